//! The one event behind log, metrics, audit and observers.
//!
//! In: what stood, about a stanza or a stream. Out: the same facts, also as one JSON object without
//! message content. Nothing here can fail.

use std::sync::Arc;
use std::time::Duration;

use portcullis_xmpp::error::{StanzaCondition, StanzaError};
use portcullis_xmpp::stanza::{Kind, Stanza};
use portcullis_xmpp::stream::{Method, Peer, Proof};
use serde::Serialize;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::format_description::FormatItem;
use time::macros::format_description;

use crate::instance::cut;
use crate::judged::{Judged, Ruling, Verdict};
use crate::reference::Reference;

/// What a decision is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    /// A stanza was judged.
    Stanza,
    /// A stream was admitted or refused.
    Stream,
    /// A stanza that had passed could not be delivered and went back.
    Bounce,
}

impl Event {
    /// As records name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stanza => "stanza",
            Self::Stream => "stream",
            Self::Bounce => "bounce",
        }
    }
}

/// That something was refused: what is told of it, and what it is asked about by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What people and `portcullis explain` name it by.
    pub reference: Reference,
    /// What the sender, or the other end of the stream, was told.
    pub told: Told,
}

/// What the sender of something that was refused was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// An error with the decision's condition, and this text if there is one.
    Error(Option<String>),
    /// Nothing, for this reason.
    Nothing(String),
}

impl Told {
    /// Why nobody is told of a stanza that a plugin dropped, or rejected where no answer may be.
    fn nothing_about(stanza: &Stanza) -> Self {
        let unanswerable = stanza
            .error_reply(&StanzaError::new(StanzaCondition::PolicyViolation))
            .is_none();
        Self::Nothing(match unanswerable {
            true => "RFC 6120 §8.3.1 and RFC 6121 §8.5 permit no error in answer to it".to_owned(),
            false => "the plugin drops it without a word".to_owned(),
        })
    }
}

/// A decision that stood, with who, why and how long.
#[derive(Clone, Debug)]
pub struct Decision {
    /// When it fell.
    pub time: OffsetDateTime,
    /// What it is about.
    pub event: Event,
    /// The stream that it is about, or that the stanza came on.
    pub peer: Arc<Peer>,
    /// Which kind of stanza it is about; none for a stream.
    pub kind: Option<Kind>,
    /// As it was passed on, or as it arrived if it was not; none for a malformed stanza and for
    /// a stream.
    pub stanza: Option<Stanza>,
    /// As it arrived, if plugins have edited it.
    pub arrived: Option<Stanza>,
    /// `pass`, `reject`, `drop`, `bounce`, `allow`, `refuse` or `close`.
    pub verdict: &'static str,
    /// The plugin, or a rule of the gateway (`gateway:default-deny`).
    pub by: Option<Arc<str>>,
    /// Why, for people.
    pub reason: Option<String>,
    /// The stanza or stream error that was sent.
    pub condition: Option<&'static str>,
    /// The generation that decided.
    pub generation: u64,
    /// How long the plugins took.
    pub elapsed: Duration,
    /// If it is a refusal of ours.
    pub refusal: Option<Refusal>,
}

impl Decision {
    /// The decision about a stanza, falling now.
    #[must_use]
    pub fn of_stanza(judged: &Judged) -> Self {
        let (reason, condition) = match judged.verdict() {
            Verdict::Pass => (None, None),
            Verdict::Reject { error, reason } => {
                (Some(reason.clone()), Some(error.condition.as_str()))
            }
            Verdict::Drop { reason } => (Some(reason.clone()), None),
        };
        let refusal = judged.reference().map(|reference| Refusal {
            reference,
            told: match judged.verdict() {
                Verdict::Reject { error, .. } => {
                    Told::Error(error.clone().with_reference(reference.to_string()).told())
                }
                _ => Told::nothing_about(judged.stanza()),
            },
        });
        Self {
            time: OffsetDateTime::now_utc(),
            event: Event::Stanza,
            peer: Arc::clone(judged.peer()),
            kind: Some(judged.stanza().kind()),
            stanza: Some(judged.stanza().clone()),
            arrived: judged.arrived().cloned(),
            verdict: judged.verdict().as_str(),
            by: judged.by().cloned(),
            reason,
            condition,
            generation: judged.generation(),
            elapsed: judged.elapsed(),
            refusal,
        }
    }

    /// The decision about a stream, falling now.
    #[must_use]
    pub fn of_stream(peer: Arc<Peer>, ruling: &Ruling, generation: u64, elapsed: Duration) -> Self {
        let (verdict, by, reason, condition) = match ruling {
            Ruling::Admitted { by } => ("allow", by, None, None),
            Ruling::Refused { by, text } => {
                ("refuse", by, Some(text.clone()), Some("policy-violation"))
            }
        };
        Self {
            time: OffsetDateTime::now_utc(),
            event: Event::Stream,
            peer,
            kind: None,
            stanza: None,
            arrived: None,
            verdict,
            by: Some(Arc::clone(by)),
            reason,
            condition,
            generation,
            elapsed,
            refusal: None,
        }
    }

    /// One JSON object on one line, without message content. Every key is always there; `null` is
    /// what is not known or does not apply. `time` is RFC 3339 in UTC with microseconds, `bytes` the
    /// stanza's size when it arrived, `elapsed_us` microseconds; `certificate` is told of streams only.
    /// `id` and `lang`, which a peer chooses, are cut after 1024 bytes: a record has an end.
    #[must_use]
    pub fn json(&self) -> String {
        let tls = self.peer.tls.as_ref();
        let stanza = self.stanza.as_ref();
        // The same for every stanza of the stream, whose own decision has it.
        let certificate = tls
            .filter(|_| self.event == Event::Stream)
            .and_then(|tls| tls.certificate.as_deref());
        let record = Record {
            time: self
                .time
                .to_offset(time::UtcOffset::UTC)
                .format(TIME)
                .unwrap_or_default(),
            event: self.event.as_str(),
            stream: &self.peer.stream_id,
            partner: self.peer.partner().as_str(),
            local: self.peer.organisation().as_str(),
            direction: self.peer.direction.as_str(),
            address: self.peer.address.map(|address| address.to_string()),
            tls: tls.map(|tls| tls.version),
            cipher: tls.map(|tls| tls.cipher),
            method: self.peer.method.map(|method| method.as_str()),
            proof: self.peer.method.and_then(Method::proof).map(Proof::as_str),
            certificate: certificate.map(|der| format!("sha256:{:x}", Sha256::digest(der))),
            kind: self.kind.map(Kind::as_str),
            subtype: stanza.map(|stanza| stanza.subtype().as_str()),
            from: stanza.map(|stanza| stanza.from().as_str()),
            to: stanza.map(|stanza| stanza.to().as_str()),
            id: stanza.and_then(Stanza::id).map(|id| cut(id, TEXT_BYTES)),
            bytes: stanza.map(Stanza::wire_size),
            verdict: self.verdict,
            plugin: self.by.as_deref(),
            reason: self.reason.as_deref(),
            condition: self.condition,
            generation: self.generation,
            elapsed_us: u64::try_from(self.elapsed.as_micros()).unwrap_or(u64::MAX),
            lang: (stanza.and_then(Stanza::lang)).map(|lang| cut(lang, TEXT_BYTES)),
            payloads: stanza.and_then(payloads),
            edited: stanza.map(|_| self.arrived.is_some()),
            refusal: (self.refusal.as_ref()).map(|refusal| refusal.reference.to_string()),
        };
        let mut json = Vec::with_capacity(RECORD_BYTES);
        // Strings and numbers alone cannot fail to serialise, and are UTF-8.
        match serde_json::to_writer(&mut json, &record) {
            Ok(()) => String::from_utf8(json).unwrap_or_default(),
            Err(_) => String::new(),
        }
    }
}

const TIME: &[FormatItem<'static>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

/// Room for most records.
const RECORD_BYTES: usize = 1024;

/// The order of the keys in the record.
#[derive(Serialize)]
struct Record<'a> {
    time: String,
    event: &'static str,
    stream: &'a str,
    partner: &'a str,
    local: &'a str,
    direction: &'static str,
    address: Option<String>,
    tls: Option<&'a str>,
    cipher: Option<&'a str>,
    method: Option<&'static str>,
    proof: Option<&'static str>,
    certificate: Option<String>,
    kind: Option<&'static str>,
    #[serde(rename = "type")]
    subtype: Option<&'static str>,
    from: Option<&'a str>,
    to: Option<&'a str>,
    id: Option<&'a str>,
    bytes: Option<usize>,
    verdict: &'static str,
    plugin: Option<&'a str>,
    reason: Option<&'a str>,
    condition: Option<&'static str>,
    generation: u64,
    elapsed_us: u64,
    refusal: Option<String>,
    lang: Option<&'a str>,
    payloads: Option<Vec<String>>,
    edited: Option<bool>,
}

/// The payloads as a header lists them; none if that is too long for a record.
fn payloads(stanza: &Stanza) -> Option<Vec<String>> {
    let named = stanza.payloads().take(PAYLOADS);
    let listed: Vec<_> = named.map(|(name, ns)| format!("{ns} {name}")).collect();
    let bytes: usize = listed.iter().map(String::len).sum();
    (bytes <= PAYLOAD_BYTES).then_some(listed)
}

/// What is told of a text that may be as long as a stanza.
const TEXT_BYTES: usize = 1024;
/// A header lists no more (WIT, `header.text`).
const PAYLOADS: usize = 64;
/// Many more than a stanza of any use has.
const PAYLOAD_BYTES: usize = 8 * 1024;
