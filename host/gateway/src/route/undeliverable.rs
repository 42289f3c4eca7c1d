//! What becomes of a stanza that cannot go on: it goes back as an error, or it ends under a rule.
//!
//! In: the stanza and why. Out: an error on the way to its sender, over the pair of domains in the
//! other direction, which counts as *bounced*; or nothing, where RFC 6120 §8.3.1 forbids an answer,
//! which counts as *dropped* by the rule that the decision names. An error is never answered by an
//! error, so no loop can begin here.

use std::sync::Arc;

use portcullis_policy::{Decision, Event, Reference, Refusal, Told};
use portcullis_xmpp::error::{ErrorType, StanzaCondition, StanzaError};
use portcullis_xmpp::stanza::{Kind, Stanza, Subtype};

use super::outgoing::{Origin, Outgoing};
use super::{Touched, send_back};
use crate::app::Gateway;
use crate::audit;
use crate::observe::{Delivery, GatewayStanza, Outcome, Receipt};
use crate::session::Failure;
use crate::tls::Side;

/// The rule under which a stanza ends whose bounce has no room in its queue.
pub(super) const QUEUE_FULL: &str = "gateway:bounce-queue-full";

/// Why a stanza was not delivered.
#[derive(Debug)]
pub(super) enum Why<'a> {
    /// There is no stream to where it should go.
    NoStream(Side, &'a Failure),
    /// The queue is full.
    QueueFull,
    /// The stream died while it was being written; it may have arrived.
    Interrupted,
    /// The other server takes no stanza of more bytes than this (XEP-0478).
    TooLong(usize),
    /// The gateway is shutting down and its time is up.
    Shutdown,
}

impl Why<'_> {
    /// Table 4b: a row per cause, and on the inside one per kind, since for its own domains the
    /// gateway *is* the server and `remote-server-*` would be a lie.
    fn error(&self, kind: Kind) -> StanzaError {
        match (self, kind) {
            (Self::NoStream(Side::Federation, failure), _) => failure.stanza_error(),
            (Self::NoStream(Side::Internal, _), Kind::Iq) => {
                StanzaError::new(StanzaCondition::ServiceUnavailable)
            }
            (Self::NoStream(Side::Internal, _), _) => {
                StanzaError::new(StanzaCondition::ResourceConstraint)
                    .with_type(ErrorType::Wait)
                    .with_text("the server cannot be reached at present")
            }
            (Self::QueueFull, _) => StanzaError::new(StanzaCondition::ResourceConstraint)
                .with_type(ErrorType::Wait)
                .with_text("too many stanzas wait for this domain"),
            (Self::Interrupted, _) => StanzaError::new(StanzaCondition::RemoteServerTimeout)
                .with_type(ErrorType::Wait)
                .with_text("the connection broke; the stanza may or may not have arrived"),
            // Without `by`: it is the recipient's server that has this limit.
            (Self::TooLong(limit), _) => StanzaError::new(StanzaCondition::PolicyViolation)
                .with_text(format!("the server takes at most {limit} bytes")),
            (Self::Shutdown, _) => StanzaError::new(StanzaCondition::RemoteServerTimeout)
                .with_type(ErrorType::Wait)
                .with_text("the gateway is shutting down"),
        }
    }

    /// For the record, not for the sender.
    fn reason(&self) -> String {
        match self {
            Self::NoStream(side, failure) => format!("no {side} stream: {failure}"),
            Self::QueueFull => "the queue of this pair of domains is full".to_owned(),
            Self::Interrupted => "the stream died while it was written".to_owned(),
            Self::TooLong(limit) => format!("the peer takes at most {limit} bytes"),
            Self::Shutdown => "shutting down".to_owned(),
        }
    }
}

/// Ends a stanza that had passed.
pub(super) async fn undeliverable(
    gateway: &Arc<Gateway>,
    outgoing: Outgoing,
    why: &Why<'_>,
    touched: &mut Touched,
) {
    let Outgoing { stanza, origin, .. } = outgoing;
    let error = match why {
        // The limit is the peer's (XEP-0478 §4).
        Why::TooLong(_) => why.error(stanza.kind()),
        _ => by_us(gateway, &stanza, why.error(stanza.kind())),
    };
    match origin {
        Origin::Gateway(made) => {
            gateway.metrics.made(made, Delivery::Failed);
            tracing::debug!(
                from = %stanza.from().domain(),
                to = %stanza.to().domain(),
                reason = why.reason(),
                "a stanza of the gateway's own was not delivered"
            );
        }
        Origin::Judged {
            peer,
            generation,
            receipt,
        } => {
            let reference = Reference::draw();
            let error = error.with_reference(reference.to_string());
            let ending = bounce(gateway, &stanza, &error, receipt, touched);
            let decision = Decision {
                by: Some(Arc::from(ending.rule().unwrap_or("gateway:undeliverable"))),
                reason: Some(why.reason()),
                condition: Some(error.condition.as_str()),
                refusal: Some(ending.refusal(reference, &error)),
                ..audit::of_stanza(Event::Bounce, &peer, &stanza, generation, ending.verdict())
            };
            audit::record(gateway, &gateway.chain.enter(), decision).await;
        }
    }
}

/// How a stanza ended that did not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(super) enum Ending {
    Bounced,
    Dropped {
        /// Which rule of the gateway forbade an answer.
        rule: &'static str,
    },
}

impl Ending {
    pub(super) fn rule(self) -> Option<&'static str> {
        match self {
            Self::Bounced => None,
            Self::Dropped { rule } => Some(rule),
        }
    }

    /// What the sender was told of the refusal.
    pub(super) fn refusal(self, reference: Reference, error: &StanzaError) -> Refusal {
        let told = match self {
            Self::Bounced => Told::Error(error.told()),
            Self::Dropped { rule } if rule == QUEUE_FULL => {
                Told::Nothing(format!("the queue back to the sender is full ({rule})"))
            }
            Self::Dropped { rule } => Told::Nothing(format!(
                "RFC 6120 §8.3.1 and RFC 6121 §8.5 permit no error in answer to it ({rule})"
            )),
        };
        Refusal { reference, told }
    }

    fn verdict(self) -> &'static str {
        match self {
            Self::Bounced => "bounce",
            Self::Dropped { .. } => "drop",
        }
    }
}

/// ADR-08: an error that the gateway itself has found says so, lest anybody takes it for the
/// recipient's.
pub(super) fn by_us(gateway: &Gateway, stanza: &Stanza, error: StanzaError) -> StanzaError {
    let (from, to) = (stanza.from().domain(), stanza.to().domain());
    let ours = if gateway.is_own(from) { from } else { to };
    match error.by {
        Some(_) => error,
        None => error.with_by(ours.as_str()),
    }
}

/// Sends the error to the sender, if there may be one, and settles the stanza.
pub(super) fn bounce(
    gateway: &Arc<Gateway>,
    stanza: &Stanza,
    error: &StanzaError,
    receipt: Receipt,
    touched: &mut Touched,
) -> Ending {
    let ending = match stanza.error_reply(error) {
        None => Ending::Dropped {
            rule: unanswerable(stanza),
        },
        Some(reply) => match send_back(gateway, reply, GatewayStanza::Bounce, touched) {
            Ok(()) => Ending::Bounced,
            Err(()) => Ending::Dropped { rule: QUEUE_FULL },
        },
    };
    receipt.settle(match ending {
        Ending::Bounced => Outcome::Bounced,
        Ending::Dropped { .. } => Outcome::Dropped,
    });
    ending
}

/// Why nothing may go back.
fn unanswerable(stanza: &Stanza) -> &'static str {
    match (stanza.subtype(), stanza.kind()) {
        (Subtype::Error, _) => "gateway:error-undeliverable",
        (_, Kind::Presence) => "gateway:presence-undeliverable",
        (_, Kind::Iq) => "gateway:answer-undeliverable",
        (_, Kind::Message) => "gateway:room-message-undeliverable",
    }
}
