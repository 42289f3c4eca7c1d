//! A decision as one JSON object on one line, without message content.
//!
//! In: decisions. Out: their records. What all decisions about a stream say alike is written once and kept
//! while the stream is busy, since a record is made for every stanza. Nothing here can fail.

use std::sync::Arc;

use portcullis_xmpp::stanza::{Kind, Stanza};
use portcullis_xmpp::stream::{Method, Peer, Proof};
use serde::Serialize;
use sha2::{Digest, Sha256};
use time::{OffsetDateTime, UtcOffset};

use super::{Decision, Event};
use crate::instance::cut;

/// Makes records one after the other.
#[derive(Debug, Default)]
pub(crate) struct Records {
    /// Streams that had decisions lately, and what their records say alike.
    streams: Vec<(Arc<Peer>, String)>,
    /// Which of them makes room for the next one.
    oldest: usize,
}

/// Streams whose facts are kept.
const STREAMS: usize = 32;

impl Records {
    /// The same as [`Decision::json`].
    pub(crate) fn of(&mut self, decision: &Decision) -> String {
        record(decision, self.stream(&decision.peer))
    }

    fn stream(&mut self, peer: &Arc<Peer>) -> &str {
        let known = |(known, _): &(Arc<Peer>, String)| Arc::ptr_eq(known, peer);
        let at = match self.streams.iter().position(known) {
            Some(at) => at,
            None => {
                let stream = (Arc::clone(peer), stream(peer));
                match self.streams.get_mut(self.oldest) {
                    Some(oldest) => *oldest = stream,
                    None => self.streams.push(stream),
                }
                let at = self.oldest;
                self.oldest = (at + 1) % STREAMS;
                at
            }
        };
        self.streams.get(at).map_or("", |(_, facts)| facts)
    }
}

/// The record. Its keys have one order.
pub(super) fn record(decision: &Decision, stream: &str) -> String {
    let stanza = decision.stanza.as_ref();
    // The same for every stanza of the stream, whose own decision has it.
    let certificate = (decision.peer.tls.as_ref())
        .filter(|_| decision.event == Event::Stream)
        .and_then(|tls| tls.certificate.as_deref())
        .map(|der| format!("sha256:{:x}", Sha256::digest(der)));
    let refusal = (decision.refusal.as_ref()).map(|refusal| refusal.reference.to_string());
    let mut line = Line(String::with_capacity(RECORD_BYTES));
    line.0.push_str(r#"{"time":""#);
    line.time(decision.time);
    line.0.push('"');
    line.text("event", Some(decision.event.as_str()));
    line.0.push_str(stream);
    line.text("certificate", certificate.as_deref());
    line.text("kind", decision.kind.map(Kind::as_str));
    line.text("type", stanza.map(|stanza| stanza.subtype().as_str()));
    line.text("from", stanza.map(|stanza| stanza.from().as_str()));
    line.text("to", stanza.map(|stanza| stanza.to().as_str()));
    let id = stanza.and_then(Stanza::id);
    line.text("id", id.map(|id| cut(id, TEXT_BYTES)));
    line.value("bytes", &stanza.map(Stanza::wire_size));
    line.text("verdict", Some(decision.verdict));
    line.text("plugin", decision.by.as_deref());
    line.text("reason", decision.reason.as_deref());
    line.text("condition", decision.condition);
    line.value("generation", &decision.generation);
    let elapsed = u64::try_from(decision.elapsed.as_micros()).unwrap_or(u64::MAX);
    line.value("elapsed_us", &elapsed);
    line.text("refusal", refusal.as_deref());
    let lang = stanza.and_then(Stanza::lang);
    line.text("lang", lang.map(|lang| cut(lang, TEXT_BYTES)));
    line.payloads(stanza);
    line.value("edited", &stanza.map(|_| decision.arrived.is_some()));
    line.0.push('}');
    line.0
}

/// What the records of a stream say alike: keys and values, each with a comma before it.
pub(super) fn stream(peer: &Peer) -> String {
    let tls = peer.tls.as_ref();
    let mut line = Line(String::new());
    line.text("stream", Some(&peer.stream_id));
    line.text("partner", Some(peer.partner().as_str()));
    line.text("local", Some(peer.organisation().as_str()));
    line.text("direction", Some(peer.direction.as_str()));
    let address = peer.address.map(|address| address.to_string());
    line.text("address", address.as_deref());
    line.text("tls", tls.map(|tls| tls.version));
    line.text("cipher", tls.map(|tls| tls.cipher));
    line.text("method", peer.method.map(|method| method.as_str()));
    let proof = peer.method.and_then(Method::proof);
    line.text("proof", proof.map(Proof::as_str));
    line.0
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
struct Line(String);

impl Line {
    fn key(&mut self, key: &str) {
        self.0.push_str(",\"");
        self.0.push_str(key);
        self.0.push_str("\":");
    }

    fn text(&mut self, key: &str, text: Option<&str>) {
        self.key(key);
        match text {
            Some(text) => self.quote([text]),
            None => self.0.push_str("null"),
        }
    }

    /// A number, a truth, or nothing.
    fn value(&mut self, key: &str, value: &impl Serialize) {
        self.key(key);
        self.json(value);
    }

    /// One string of several pieces.
    fn quote<const PIECES: usize>(&mut self, pieces: [&str; PIECES]) {
        if pieces.iter().all(|piece| is_plain(piece)) {
            self.0.push('"');
            pieces.iter().for_each(|piece| self.0.push_str(piece));
            self.0.push('"');
        } else {
            self.json(&pieces.concat());
        }
    }

    /// Strings, numbers and truths cannot fail to serialise.
    fn json(&mut self, value: &impl Serialize) {
        self.0
            .push_str(&serde_json::to_string(value).unwrap_or_default());
    }

    /// RFC 3339 in UTC with microseconds.
    fn time(&mut self, time: OffsetDateTime) {
        let time = time.to_offset(UtcOffset::UTC);
        let year = u32::try_from(time.year()).unwrap_or_default();
        self.digits::<4>(year);
        self.0.push('-');
        self.digits::<2>(u8::from(time.month()).into());
        self.0.push('-');
        self.digits::<2>(time.day().into());
        self.0.push('T');
        self.digits::<2>(time.hour().into());
        self.0.push(':');
        self.digits::<2>(time.minute().into());
        self.0.push(':');
        self.digits::<2>(time.second().into());
        self.0.push('.');
        self.digits::<6>(time.microsecond());
        self.0.push('Z');
    }

    /// The last so many digits, with zeros before them.
    fn digits<const DIGITS: usize>(&mut self, mut number: u32) {
        let mut digits = ['0'; DIGITS];
        for digit in digits.iter_mut().rev() {
            *digit = char::from_digit(number % 10, 10).unwrap_or('0');
            number /= 10;
        }
        self.0.extend(digits);
    }

    /// The payloads as a header lists them; null if that is too long for a record.
    fn payloads(&mut self, stanza: Option<&Stanza>) {
        self.key("payloads");
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
            time: datetime!(2026-01-02 03:04:05.000067 +01:00),
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
        for decision in decisions.iter().chain(decisions.iter().rev()) {
            for _ in 0..2 {
                assert_eq!(records.of(decision), decision.json());
            }
        }
        assert_eq!(records.streams.len(), STREAMS);
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
                ..on_stream(1)
            };
            let record: Value = serde_json::from_str(&decision.json()).unwrap();
            assert_eq!(record["reason"], text);
            assert_eq!(record["time"], "2026-01-02T02:04:05.000067Z");
            assert_eq!(
                [&record["plugin"], &record["generation"], &record["bytes"]],
                [&json!("gateway:test"), &json!(7), &Value::Null]
            );
        }
    }
}
