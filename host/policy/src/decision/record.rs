//! A decision as one JSON object on one line, without message content.
//!
//! In: decisions. Out: their records, alone or in a [`Sheaf`]. What all decisions about a stream say alike is
//! written once and kept while the stream is busy, since a record is made for every stanza. Nothing here can
//! fail.

use std::sync::Arc;

use lru::LruCache;
use portcullis_xmpp::stanza::{Kind, Stanza};
use portcullis_xmpp::stream::{Method, Peer, Proof};
use sha2::{Digest, Sha256};
use time::{OffsetDateTime, UtcOffset};

use super::{Decision, Event, Sheaf};
use crate::instance::cut;

/// Writes records, and keeps what the next one can use.
#[derive(Debug, Default)]
pub(crate) struct Scribe {
    streams: Streams,
    clock: Clock,
}

impl Scribe {
    /// Adds a record, the same as [`Decision::json`].
    pub(crate) fn add(&mut self, decision: &Decision, sheaf: &mut Sheaf) {
        let stream = self.streams.facts(&decision.peer);
        sheaf.add(&decision.peer, |text| {
            write(text, decision, stream, &mut self.clock);
        });
    }
}

/// Streams that had decisions lately, by their place in memory, and what their records say alike. Each is
/// kept alive, so that no other takes its place.
#[derive(Debug)]
struct Streams(LruCache<usize, (Arc<Peer>, String)>);

/// Streams whose facts are kept, some 300 bytes each.
const STREAMS: usize = 1024;

impl Default for Streams {
    /// Without room for all of them: most gateways have few.
    fn default() -> Self {
        Self(LruCache::unbounded())
    }
}

impl Streams {
    fn facts(&mut self, peer: &Arc<Peer>) -> &str {
        if self.0.len() > STREAMS {
            self.0.pop_lru();
        }
        let place = Arc::as_ptr(peer).addr();
        let new = || (Arc::clone(peer), facts(peer));
        let (_, facts) = self.0.get_or_insert(place, new);
        facts
    }
}

/// The record of one decision by itself.
pub(super) fn record(decision: &Decision) -> String {
    let mut text = String::with_capacity(RECORD_BYTES);
    let mut clock = Clock::default();
    write(&mut text, decision, &facts(&decision.peer), &mut clock);
    text
}

/// The record. Its keys have one order. What is the same in most records is written in one piece.
fn write(text: &mut String, decision: &Decision, stream: &str, clock: &mut Clock) {
    let stanza = decision.stanza.as_ref();
    text.reserve(RECORD_BYTES);
    let mut line = Line(text);
    line.raw(r#"{"time":""#);
    line.time(decision.time, clock);
    line.raw(r#"","event":""#);
    line.raw(decision.event.as_str());
    line.raw("\"");
    line.raw(stream);
    line.certificate(decision);
    line.word(r#","kind":"#, decision.kind.map(Kind::as_str));
    line.word(
        r#","type":"#,
        stanza.map(|stanza| stanza.subtype().as_str()),
    );
    line.text(r#","from":"#, stanza.map(|stanza| stanza.from().as_str()));
    line.text(r#","to":"#, stanza.map(|stanza| stanza.to().as_str()));
    let id = stanza.and_then(Stanza::id);
    line.text(r#","id":"#, id.map(|id| cut(id, TEXT_BYTES)));
    let bytes = stanza.map(|stanza| u64::try_from(stanza.wire_size()).unwrap_or(u64::MAX));
    line.number(r#","bytes":"#, bytes);
    line.word(r#","verdict":"#, Some(decision.verdict));
    line.why(decision);
    line.number(r#","generation":"#, Some(decision.generation));
    let elapsed = u64::try_from(decision.elapsed.as_micros()).unwrap_or(u64::MAX);
    line.number(r#","elapsed_us":"#, Some(elapsed));
    match &decision.refusal {
        None => line.raw(r#","refusal":null"#),
        Some(refusal) => line.text(r#","refusal":"#, Some(&refusal.reference.to_string())),
    }
    let lang = stanza.and_then(Stanza::lang);
    line.text(r#","lang":"#, lang.map(|lang| cut(lang, TEXT_BYTES)));
    line.payloads(stanza);
    line.raw(match stanza {
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
    #[inline]
    fn raw(&mut self, text: &str) {
        self.0.push_str(text);
    }

    /// A word of ours, which stands for itself.
    #[inline]
    fn word(&mut self, key: &str, word: Option<&str>) {
        self.raw(key);
        match word {
            Some(word) => {
                self.raw("\"");
                self.raw(word);
                self.raw("\"");
            }
            None => self.raw("null"),
        }
    }

    #[inline]
    fn text(&mut self, key: &str, text: Option<&str>) {
        self.raw(key);
        match text {
            Some(text) => self.quote([text]),
            None => self.raw("null"),
        }
    }

    #[inline]
    fn number(&mut self, key: &str, number: Option<u64>) {
        self.raw(key);
        match number {
            Some(number) => self.raw(itoa::Buffer::new().format(number)),
            None => self.raw("null"),
        }
    }

    /// The same for every stanza of the stream, whose own decision has it.
    fn certificate(&mut self, decision: &Decision) {
        let certificate = (decision.peer.tls.as_ref())
            .filter(|_| decision.event == Event::Stream)
            .and_then(|tls| tls.certificate.as_deref());
        match certificate {
            None => self.raw(r#","certificate":null"#),
            Some(der) => {
                let fingerprint = format!("sha256:{:x}", Sha256::digest(der));
                self.word(r#","certificate":"#, Some(&fingerprint));
            }
        }
    }

    /// Who decided, and why; nothing of that if all let it pass.
    fn why(&mut self, decision: &Decision) {
        match (&decision.by, &decision.reason, decision.condition) {
            (None, None, None) => self.raw(r#","plugin":null,"reason":null,"condition":null"#),
            (by, reason, condition) => {
                self.text(r#","plugin":"#, by.as_deref());
                self.text(r#","reason":"#, reason.as_deref());
                self.word(r#","condition":"#, condition);
            }
        }
    }

    /// One string of several pieces.
    fn quote<const PIECES: usize>(&mut self, pieces: [&str; PIECES]) {
        if pieces.iter().all(|piece| is_plain(piece)) {
            self.raw("\"");
            pieces.iter().for_each(|piece| self.raw(piece));
            self.raw("\"");
        } else {
            // A string cannot fail to serialise.
            let text = serde_json::to_string(&pieces.concat());
            self.raw(&text.unwrap_or_default());
        }
    }

    /// RFC 3339 in UTC with microseconds.
    fn time(&mut self, time: OffsetDateTime, clock: &mut Clock) {
        self.raw(clock.second(time));
        // A digit before it, so that there are six whatever they are.
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(1_000_000 + time.microsecond());
        self.raw(".");
        self.raw(digits.get(1..).unwrap_or_default());
        self.raw("Z");
    }

    /// The payloads as a header lists them; null if that is too long for a record.
    fn payloads(&mut self, stanza: Option<&Stanza>) {
        self.raw(r#","payloads":"#);
        let listed = || stanza.into_iter().flat_map(Stanza::payloads).take(PAYLOADS);
        let bytes: usize = listed().map(|(name, ns)| ns.len() + 1 + name.len()).sum();
        if stanza.is_none() || bytes > PAYLOAD_BYTES {
            self.raw("null");
            return;
        }
        self.raw("[");
        for (at, (name, ns)) in listed().enumerate() {
            if at > 0 {
                self.raw(",");
            }
            self.quote([ns, " ", name]);
        }
        self.raw("]");
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

    use serde_json::{Value, json};
    use time::macros::datetime;

    use super::*;
    use crate::decision::tests::about;

    fn on_stream(number: usize) -> Decision {
        let decision = about(number.to_string());
        let peer = Peer {
            stream_id: Arc::from(number.to_string()),
            ..(*decision.peer).clone()
        };
        Decision {
            // Two of each second.
            time: datetime!(2026-01-02 03:04:05.000067 +01:00)
                + Duration::from_millis(number as u64 * 500),
            peer: Arc::new(peer),
            ..decision
        }
    }

    #[test]
    fn a_record_is_the_same_whichever_streams_had_decisions_before() {
        let decisions: Vec<_> = (0..3 * STREAMS).map(on_stream).collect();
        let (mut scribe, mut sheaf) = (Scribe::default(), Sheaf::default());
        for _ in 0..2 {
            sheaf.clear();
            let both_ways = || decisions.iter().chain(decisions.iter().rev());
            both_ways().for_each(|decision| scribe.add(decision, &mut sheaf));
            let alone: Vec<_> = both_ways().map(Decision::json).collect();
            let together: Vec<_> = (0..sheaf.len()).filter_map(|at| sheaf.record(at)).collect();
            assert_eq!(together, alone);
            assert_eq!(sheaf.bytes(), alone.concat().len());
        }
        assert!(scribe.streams.0.len() <= STREAMS + 1);
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
