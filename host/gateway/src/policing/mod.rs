//! The gateway's own rules about a stanza: those of the partner's record, before any plugin is asked.
//!
//! In: a stanza whose sender is proven, and the record of the partner that it comes from or goes to.
//! Out: nothing against it, or a [`Breach`]: which rule, and what the sender is told. A stanza that
//! comes too fast waits first, and nothing more is read from its stream meanwhile.
//!
//! Answers (`result`, `error`) are no traffic of their own: where a kind of request may pass one way, its
//! answer passes the other way, or the asker would wait for ever. `unavailable` passes wherever
//! the direction is open at all, or somebody would stay online for ever in a list (PRS-04). What the
//! sender is told: inside, what the record forbids; outside, that there is no such service, as if the
//! user had said so (MSG-05). Whether anything may be told at all is decided where it is sent back: a room is never
//! told what would put an occupant out (MSG-01).

mod rate;

use std::time::Duration;

use portcullis_xmpp::error::{ErrorType, StanzaCondition, StanzaError};
use portcullis_xmpp::stanza::{Direction, Kind, Stanza, Subtype};
use portcullis_xmpp::stream::Peer;
use tokio::time::{Instant, sleep};

pub(crate) use self::rate::Buckets;
use self::rate::Pace;
use crate::app::Gateway;
use crate::config::Partner;
use crate::route::Touched;

/// The namespace of rooms (XEP-0045), and what those of its parts begin with.
const MUC: &str = "http://jabber.org/protocol/muc";
const MUC_PART: &str = "http://jabber.org/protocol/muc#";
/// A direct invitation to a room (XEP-0249).
const CONFERENCE: &str = "jabber:x:conference";
/// What the namespaces of channels begin with (XEP-0369).
const MIX_PART: &str = "urn:xmpp:mix:";

/// A rule of the gateway that a stanza is against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Breach {
    /// As records name it.
    pub(crate) rule: &'static str,
    /// What the sender is told, if it may be told.
    pub(crate) error: Box<StanzaError>,
    /// For the record.
    pub(crate) reason: String,
}

impl Breach {
    /// What the record does not allow, whatever the stanza says.
    fn forbidden(rule: &'static str, direction: Direction, reason: String) -> Self {
        let error = match direction {
            Direction::Outbound => {
                StanzaError::new(StanzaCondition::NotAllowed).with_text(reason.clone())
            }
            Direction::Inbound => StanzaError::new(StanzaCondition::ServiceUnavailable),
        };
        Self {
            rule,
            error: Box::new(error),
            reason,
        }
    }

    /// What would be allowed more slowly (RFC 6120 §13.12).
    fn too_fast(partner: &Partner) -> Self {
        let reason = format!("more than the rate that is agreed with {}", partner.domain);
        Self {
            rule: "gateway:partner-rate",
            error: Box::new(
                StanzaError::new(StanzaCondition::PolicyViolation)
                    .with_type(ErrorType::Wait)
                    .with_text(reason.clone()),
            ),
            reason,
        }
    }
}

/// Applies the partner's record to a stanza that came on this stream. Returns when its turn has come;
/// meanwhile what was judged before it leaves.
pub(crate) async fn admit(
    gateway: &Gateway,
    peer: &Peer,
    stanza: &Stanza,
    touched: &mut Touched,
) -> Result<(), Breach> {
    let direction = peer.direction;
    let ruled = gateway.of_partner(peer.partner(), |partner| {
        check(partner, direction, stanza)?;
        let size = stanza.wire_size();
        match (gateway.buckets).ask(partner, direction, size, Instant::now) {
            Pace::Free => Ok((Duration::ZERO, Ok(()))),
            Pace::Wait(pause) => Ok((pause, Ok(()))),
            Pace::Refuse(pause) => Ok((pause, Err(Breach::too_fast(partner)))),
        }
    });
    // A domain without a record has no rules beyond those of everybody.
    let (pause, ruled) = ruled.unwrap_or(Ok((Duration::ZERO, Ok(()))))?;
    if !pause.is_zero() {
        touched.wake();
        tokio::select! {
            () = sleep(pause) => {}
            () = gateway.phases.draining.cancelled() => {}
        }
    }
    ruled
}

/// Whether the partner's record has anything against this stanza, its rate aside.
fn check(partner: &Partner, direction: Direction, stanza: &Stanza) -> Result<(), Breach> {
    let domain = &partner.domain;
    let forbidden = |rule, reason| Err(Breach::forbidden(rule, direction, reason));
    if !flows(partner, direction) {
        let reason = format!("the record of {domain} has no {direction} stanzas");
        return forbidden("gateway:partner-direction", reason);
    }
    if !is_kind_allowed(partner, direction, stanza) {
        let kind = stanza.kind();
        let reason = format!("the record of {domain} has no {direction} stanzas of kind {kind}");
        return forbidden("gateway:partner-kind", reason);
    }
    if !partner.group_chat && is_group_chat(stanza) {
        let reason = format!("the record of {domain} has no group chat");
        return forbidden("gateway:partner-group-chat", reason);
    }
    if stanza.wire_size() > partner.stanza_bytes {
        let reason = format!("more than {} bytes", partner.stanza_bytes);
        return Err(Breach {
            rule: "gateway:partner-size",
            error: Box::new(StanzaError::too_big(reason.clone())),
            reason,
        });
    }
    Ok(())
}

fn flows(partner: &Partner, direction: Direction) -> bool {
    match direction {
        Direction::Inbound => partner.direction.takes(),
        Direction::Outbound => partner.direction.sends(),
    }
}

fn is_answer(stanza: &Stanza) -> bool {
    matches!(stanza.subtype(), Subtype::Result | Subtype::Error)
}

fn is_kind_allowed(partner: &Partner, direction: Direction, stanza: &Stanza) -> bool {
    let (this_way, back) = match direction {
        Direction::Inbound => (partner.stanzas_in, partner.stanzas_out),
        Direction::Outbound => (partner.stanzas_out, partner.stanzas_in),
    };
    let kind = stanza.kind();
    this_way.contains(kind)
        || (is_answer(stanza) && back.contains(kind))
        || stanza.subtype() == Subtype::Unavailable
}

/// Whether a stanza belongs to a room or a channel: its messages, joining it, being in it, inviting
/// to it, and managing it. Leaving it and its errors are not refused: they end what there is. A
/// join without any mark (the protocol before XEP-0045) looks like any directed presence, but what the
/// room answers has its mark.
fn is_group_chat(stanza: &Stanza) -> bool {
    match (stanza.kind(), stanza.subtype()) {
        (_, Subtype::Error | Subtype::Result | Subtype::Unavailable) => false,
        (_, Subtype::Groupchat) => true,
        (Kind::Message | Kind::Presence | Kind::Iq, _) => stanza.payloads().any(|(_, ns)| {
            ns == MUC || ns == CONFERENCE || ns.starts_with(MUC_PART) || ns.starts_with(MIX_PART)
        }),
    }
}

#[cfg(test)]
mod tests;
