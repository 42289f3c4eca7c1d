//! A decision as one JSON object on one line, without message content.
//!
//! In: decisions. Out: their records. What all decisions about a stream say alike is written once and kept
//! while the stream is busy, since a record is made for every stanza. Nothing here can fail.

use std::sync::Arc;

use portcullis_xmpp::stanza::{Kind, Stanza};
use portcullis_xmpp::stream::{Method, Peer, Proof};
use sha2::{Digest, Sha256};
use time::{OffsetDateTime, UtcOffset};

use super::{Decision, Event};
use crate::instance::cut;

/// Makes records one behind the other, and keeps what the next one can use.
#[derive(Debug, Default)]
pub(crate) struct Records {
    text: String,
    /// Where each of them ends in the text.
    ends: Vec<usize>,
    streams: Streams,
    clock: Clock,
}

impl Records {
    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    /// Makes another one, the same as [`Decision::json`].
    pub(crate) fn add(&mut self, decision: &Decision) {
        let stream = self.streams.facts(&decision.peer);
        write(&mut self.text, decision, stream, &mut self.clock);
        self.ends.push(self.text.len());
    }

    /// Bytes of all of them.
    pub(crate) fn bytes(&self) -> usize {
        self.text.len()
    }

    /// All of them, in their order.
    pub(crate) fn all(&self) -> Vec<&str> {
        let mut begin = 0;
        let piece = |end: &usize| {
            let piece = self.text.get(begin..*end);
            begin = *end;
            piece.unwrap_or_default()
        };
        self.ends.iter().map(piece).collect()
    }
}

/// Streams that had decisions lately, and what their records say alike.
#[derive(Debug, Default)]
struct Streams {
    known: Vec<(Arc<Peer>, String)>,
    /// Which of them makes room for the next one.
    oldest: usize,
}

/// Streams whose facts are kept.
const STREAMS: usize = 32;

impl Streams {
    fn facts(&mut self, peer: &Arc<Peer>) -> &str {
        let known = |(known, _): &(Arc<Peer>, String)| Arc::ptr_eq(known, peer);
        let at = match self.known.iter().position(known) {
            Some(at) => at,
            None => {
                let stream = (Arc::clone(peer), facts(peer));
                match self.known.get_mut(self.oldest) {
                    Some(oldest) => *oldest = stream,
                    None => self.known.push(stream),
                }
                let at = self.oldest;
                self.oldest = (at + 1) % STREAMS;
                at
            }
        };
        self.known.get(at).map_or("", |(_, facts)| facts)
    }
}

/// The record of one decision by itself.
pub(super) fn record(decision: &Decision) -> String {
    let mut text = String::with_capacity(RECORD_BYTES);
    let mut clock = Clock::default();
    write(&mut text, decision, &facts(&decision.peer), &mut clock);
    text
}

/// The record. Its keys have one order.
fn write(text: &mut String, decision: &Decision, stream: &str, clock: &mut Clock) {
    let stanza = decision.stanza.as_ref();
    // The same for every stanza of the stream, whose own decision has it.
    let certificate = (decision.peer.tls.as_ref())
        .filter(|_| decision.event == Event::Stream)
        .and_then(|tls| tls.certificate.as_deref())
        .map(|der| format!("sha256:{:x}", Sha256::digest(der)));
    let refusal = (decision.refusal.as_ref()).map(|refusal| refusal.reference.to_string());
    text.reserve(RECORD_BYTES);
    let mut line = Line(text);
    line.0.push_str(r#"{"time":""#);
    line.time(decision.time, clock);
    line.0.push('"');
    line.text(r#","event":"#, Some(decision.event.as_str()));
    line.0.push_str(stream);
    line.text(r#","certificate":"#, certificate.as_deref());
    line.text(r#","kind":"#, decision.kind.map(Kind::as_str));
    line.text(
        r#","type":"#,
        stanza.map(|stanza| stanza.subtype().as_str()),
    );
    line.text(r#","from":"#, stanza.map(|stanza| stanza.from().as_str()));
    line.text(r#","to":"#, stanza.map(|stanza| stanza.to().as_str()));
    let id = stanza.and_then(Stanza::id);
    line.text(r#","id":"#, id.map(|id| cut(id, TEXT_BYTES)));
    let bytes = stanza.map(|stanza| u64::try_from(stanza.wire_size()).unwrap_or(u64::MAX));
    line.number(r#","bytes":"#, bytes);
    line.text(r#","verdict":"#, Some(decision.verdict));
    line.text(r#","plugin":"#, decision.by.as_deref());
    line.text(r#","reason":"#, decision.reason.as_deref());
    line.text(r#","condition":"#, decision.condition);
    line.number(r#","generation":"#, Some(decision.generation));
    let elapsed = u64::try_from(decision.elapsed.as_micros()).unwrap_or(u64::MAX);
    line.number(r#","elapsed_us":"#, Some(elapsed));
    line.text(r#","refusal":"#, refusal.as_deref());
    let lang = stanza.and_then(Stanza::lang);
    line.text(r#","lang":"#, lang.map(|lang| cut(lang, TEXT_BYTES)));
    line.payloads(stanza);
    line.0.push_str(match stanza {
        Some(_) if decision.arrived.is_some() => r#","edited":true}"#,
        Some(_) => r#","edited":false}"#,
        None => r#","edited":null}"#,
    });
}

/// What the records of a stream say alike: keys and values, each with a comma before it.
fn facts(peer: &Peer) -> String {
    let tls = peer.tls.as_ref();
    let mut text = String::new();
    let mut line = Line(&mut text);
    line.text(r#","stream":"#, Some(&peer.stream_id));
    line.text(r#","partner":"#, Some(peer.partner().as_str()));
    line.text(r#","local":"#, Some(peer.organisation().as_str()));
    line.text(r#","direction":"#, Some(peer.direction.as_str()));
    let address = peer.address.map(|address| address.to_string());
    line.text(r#","address":"#, address.as_deref());
    line.text(r#","tls":"#, tls.map(|tls| tls.version));
    line.text(r#","cipher":"#, tls.map(|tls| tls.cipher));
    line.text(r#","method":"#, peer.method.map(|method| method.as_str()));
    let proof = peer.method.and_then(Method::proof);
    line.text(r#","proof":"#, proof.map(Proof::as_str));
    text
}

/// Room for most records.
const RECORD_BYTES: usize = 1024;
/// What is told of a text that may be as long as a stanza.
const TEXT_BYTES: usize = 1024;
/// A header lists no more (WIT, `header.text`).
const PAYLOADS: usize = 64;
/// Many more than a stanza of any use has.
const PAYLOAD_BYTES: usize = 8 * 1024;

/// A record as it grows.
struct Line<'t>(&'t mut String);

impl Line<'_> {
    fn text(&mut self, key: &str, text: Option<&str>) {
        self.0.push_str(key);
        match text {
            Some(text) => self.quote([text]),
            None => self.0.push_str("null"),
        }
    }

    fn number(&mut self, key: &str, number: Option<u64>) {
        self.0.push_str(key);
        match number {
            Some(number) => decimal(self.0, number),
            None => self.0.push_str("null"),
        }
    }

    /// One string of several pieces.
    fn quote<const PIECES: usize>(&mut self, pieces: [&str; PIECES]) {
        if pieces.iter().all(|piece| is_plain(piece)) {
            self.0.push('"');
            pieces.iter().for_each(|piece| self.0.push_str(piece));
            self.0.push('"');
        } else {
            // A string cannot fail to serialise.
            let text = serde_json::to_string(&pieces.concat());
            self.0.push_str(&text.unwrap_or_default());
        }
    }

    /// RFC 3339 in UTC with microseconds.
    fn time(&mut self, time: OffsetDateTime, clock: &mut Clock) {
        self.0.push_str(clock.second(time));
        self.0.push('.');
        digits::<6>(self.0, time.microsecond());
        self.0.push('Z');
    }

    /// The payloads as a header lists them; null if that is too long for a record.
    fn payloads(&mut self, stanza: Option<&Stanza>) {
        self.0.push_str(r#","payloads":"#);
        let listed = || stanza.into_iter().flat_map(Stanza::payloads).take(PAYLOADS);
        let bytes: usize = listed().map(|(name, ns)| ns.len() + 1 + name.len()).sum();
        if stanza.is_none() || bytes > PAYLOAD_BYTES {
            self.0.push_str("null");
            return;
        }
        self.0.push('[');
        for (at, (name, ns)) in listed().enumerate() {
            if at > 0 {
                self.0.push(',');
            }
            self.quote([ns, " ", name]);
        }
        self.0.push(']');
    }
}

/// The last second that was written: most records are of the same as the one before.
#[derive(Debug, Default)]
struct Clock {
    second: Option<i64>,
    text: String,
}

impl Clock {
    /// RFC 3339 in UTC up to the seconds.
    fn second(&mut self, time: OffsetDateTime) -> &str {
        let second = time.unix_timestamp();
        if self.second != Some(second) {
            self.second = Some(second);
            self.text.clear();
            let time = time.to_offset(UtcOffset::UTC);
            let text = &mut self.text;
            digits::<4>(text, u32::try_from(time.year()).unwrap_or_default());
            text.push('-');
            digits::<2>(text, u8::from(time.month()).into());
            text.push('-');
            digits::<2>(text, time.day().into());
            text.push('T');
            digits::<2>(text, time.hour().into());
            text.push(':');
            digits::<2>(text, time.minute().into());
            text.push(':');
            digits::<2>(text, time.second().into());
        }
        &self.text
    }
}

fn decimal(text: &mut String, number: u64) {
    if number > 9 {
        decimal(text, number / 10);
    }
    digits::<1>(text, u32::try_from(number % 10).unwrap_or_default());
}

/// The last so many digits, with zeros before them.
fn digits<const DIGITS: usize>(text: &mut String, mut number: u32) {
    let mut digits = [b'0'; DIGITS];
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
    text.push_str(std::str::from_utf8(&digits).unwrap_or_default());
}

/// Whether a text stands for itself in JSON (RFC 8259 §7).
fn is_plain(text: &str) -> bool {
    let plain = |b: u8| (b >= b' ') & (b != b'"') & (b != b'\\');
    text.bytes().fold(true, |all, b| all & plain(b))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use portcullis_xmpp::jid::Domain;
    use portcullis_xmpp::stanza::Direction;
    use portcullis_xmpp::stream::{Initiator, Party};
    use serde_json::{Value, json};
    use time::macros::datetime;

    use super::*;

    fn on_stream(number: usize) -> Decision {
        let peer = Peer {
            remote: Domain::parse("remote.invalid").unwrap(),
            local: Domain::parse("local.invalid").unwrap(),
            direction: Direction::Inbound,
            party: Party::Partner,
            initiator: Initiator::Peer,
            address: None,
            stream_id: Arc::from(number.to_string()),
            method: None,
            tls: None,
            bidi: false,
        };
        Decision {
            // Two of each second.
            time: datetime!(2026-01-02 03:04:05.000067 +01:00)
                + Duration::from_millis(number as u64 * 500),
            event: Event::Stanza,
            peer: Arc::new(peer),
            kind: Some(Kind::Iq),
            stanza: None,
            arrived: None,
            verdict: "drop",
            by: Some(Arc::from("gateway:test")),
            reason: None,
            condition: None,
            generation: 7,
            elapsed: Duration::from_micros(9),
            refusal: None,
        }
    }

    #[test]
    fn a_record_is_the_same_whichever_streams_had_decisions_before() {
        let decisions: Vec<_> = (0..3 * STREAMS).map(on_stream).collect();
        let mut records = Records::default();
        for _ in 0..2 {
            records.clear();
            let both_ways = || decisions.iter().chain(decisions.iter().rev());
            both_ways().for_each(|decision| records.add(decision));
            let alone: Vec<_> = both_ways().map(Decision::json).collect();
            assert_eq!(records.all(), alone);
            assert_eq!(records.bytes(), alone.concat().len());
        }
        assert_eq!(records.streams.known.len(), STREAMS);
    }

    #[test]
    fn a_record_is_json_whatever_its_texts_are() {
        for text in [
            "",
            "plain",
            "\"",
            "a\\b",
            "\n\u{0}\u{7f}\u{1f600}",
            "\u{2028}",
        ] {
            let decision = Decision {
                reason: Some(text.to_owned()),
                elapsed: Duration::from_nanos(u64::MAX),
                ..on_stream(0)
            };
            let record: Value = serde_json::from_str(&decision.json()).unwrap();
            assert_eq!(record["reason"], text);
            assert_eq!(record["elapsed_us"], u64::MAX / 1000);
            assert_eq!(record["time"], "2026-01-02T02:04:05.000067Z");
            assert_eq!(
                [&record["plugin"], &record["generation"], &record["bytes"]],
                [&json!("gateway:test"), &json!(7), &Value::Null]
            );
        }
    }
}
