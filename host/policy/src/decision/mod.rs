//! The one event behind log, metrics, audit and observers.
//!
//! In: what stood, about a stanza or a stream. Out: the same facts, also as one JSON object without
//! message content. Nothing here can fail.

mod heard;
mod record;
mod sheaf;

use std::sync::Arc;
use std::time::Duration;

use portcullis_xmpp::error::{StanzaCondition, StanzaError};
use portcullis_xmpp::stanza::{Kind, Stanza};
use portcullis_xmpp::stream::Peer;
use serde::Serialize;
use time::OffsetDateTime;

pub(crate) use heard::{Heard, Hears};
pub(crate) use record::Scribe;
pub(crate) use sheaf::Sheaf;

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
        record::record(self)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use portcullis_xmpp::jid::Domain;
    use portcullis_xmpp::stanza::Direction;
    use portcullis_xmpp::stream::{Initiator, Party};
    use time::macros::datetime;

    use super::*;

    /// A dropped iq, for this reason, on a stream of its own.
    pub(crate) fn about(reason: String) -> Decision {
        let peer = Peer {
            remote: Domain::parse("remote.invalid").unwrap(),
            local: Domain::parse("local.invalid").unwrap(),
            direction: Direction::Inbound,
            party: Party::Partner,
            initiator: Initiator::Peer,
            address: None,
            stream_id: Arc::from("stream"),
            method: None,
            tls: None,
            bidi: false,
        };
        Decision {
            time: datetime!(2026-01-02 03:04:05 UTC),
            event: Event::Stanza,
            peer: Arc::new(peer),
            kind: Some(Kind::Iq),
            stanza: None,
            arrived: None,
            verdict: "drop",
            by: Some(Arc::from("gateway:test")),
            reason: Some(reason),
            condition: None,
            generation: 7,
            elapsed: Duration::from_micros(9),
            refusal: None,
        }
    }
}
