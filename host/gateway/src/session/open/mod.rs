//! From a pair of domains to an [`Output`] that is authenticated and admitted, or to the word of an
//! authoritative server about a dialback key.
//!
//! In: the domain in whose name we speak and the one we want to reach; what is left of a stream between
//! them that was lost, if one was. Out: the stream, or the
//! [`Failure`] that says most. All addresses are tried, in the order in which they were found, until
//! one leads to an authenticated stream; the whole of it has `timeouts.establish`.

mod attempt;
mod negotiation;

use std::sync::Arc;

use portcullis_xmpp::dialback::{Verification, Verified};
use portcullis_xmpp::error::StreamCondition;
use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::stream::{OutboundFailure, Purpose};
use tokio::time::Instant;

use self::attempt::{Attempt, Reached};
use self::negotiation::Negotiation;
use super::failure::Failure;
use super::intake::Intake;
use super::output::Output;
use super::own;
use super::resumption::Kept;
use super::standing::Standing;
use super::terms;
use crate::app::Gateway;
use crate::prove::Evidence;
use crate::tls::Side;

/// Opens a stream that carries stanzas of `from` to `to`.
pub(crate) async fn open(
    gateway: &Arc<Gateway>,
    side: Side,
    from: &Domain,
    to: &Domain,
) -> Result<Output, Failure> {
    Ok(own::start(gateway, reach(gateway, side, from, to).await?))
}

/// How it is with a stream that was lost.
#[derive(Debug)]
pub(crate) enum Resumed {
    /// It goes on.
    Same,
    /// The peer does not know it any more, or is not what it was: this is another one. What the peer
    /// has said to have settled of the lost one is acknowledged.
    Other,
}

/// There is no stream.
#[derive(Debug)]
pub(crate) struct Unresumed {
    pub(crate) failure: Failure,
    /// For another attempt, if one makes sense.
    pub(crate) kept: Option<Box<Kept>>,
}

/// Opens a stream in place of one that was lost, and takes that one up if the peer is still the same:
/// proven by the same method, for as many directions.
pub(crate) async fn resume(
    gateway: &Arc<Gateway>,
    side: Side,
    from: &Domain,
    to: &Domain,
    kept: Box<Kept>,
) -> Result<(Output, Resumed), Unresumed> {
    let parts = match reach(gateway, side, from, to).await {
        Ok(parts) => parts,
        Err(failure) => {
            let kept = match failure {
                Failure::Refused(_) => None,
                _ => Some(kept),
            };
            return Err(Unresumed { failure, kept });
        }
    };
    let same = parts.peer.method == kept.peer.method && parts.peer.bidi == kept.peer.bidi;
    if !same || !parts.machine.may_manage() {
        return Ok((own::start(gateway, parts), Resumed::Other));
    }
    own::resume(gateway, parts, kept).await
}

/// Opens a connection and leads it to an established stream, which nobody drives yet.
async fn reach(
    gateway: &Arc<Gateway>,
    side: Side,
    from: &Domain,
    to: &Domain,
) -> Result<own::Parts, Failure> {
    let slot = match side {
        Side::Federation => {
            // Design 5: before DNS.
            may_reach(gateway, to).await?;
            if !gateway.streams.has_room(&gateway.quota(to)) {
                return Err(Failure::TooMany);
            }
            Some(
                gateway
                    .federation_slots
                    .take_own()
                    .ok_or(Failure::TooMany)?,
            )
        }
        Side::Internal => None,
    };
    let deadline = Instant::now() + gateway.config().timeouts.establish;
    let attempt = Attempt {
        gateway,
        side,
        from,
        to,
        purpose: &Purpose::Stanzas,
    };
    let Reached::Stream(negotiated, peer) = attempt.every_address(deadline).await? else {
        return Err(Failure::Negotiation(OutboundFailure::Ended));
    };
    let Negotiation {
        machine,
        wire,
        chain,
        candidate,
        standing,
        generations,
        key,
        ..
    } = *negotiated;
    let mut intake = Intake::new(side);
    let evidence = Evidence {
        chain: &chain,
        candidate: Some(&candidate),
        judged: None,
    };
    intake
        .establish(gateway, Arc::clone(&peer), evidence)
        .await
        .map_err(|refusal| match refusal.error.condition {
            StreamCondition::ResourceConstraint => Failure::TooMany,
            _ => Failure::Refused(refusal),
        })?;
    Ok(own::Parts {
        side,
        machine,
        wire,
        peer,
        intake,
        standing,
        generations,
        slot,
        key,
    })
}

/// Whether something may be sent to a partner.
pub(crate) async fn may_reach(gateway: &Gateway, partner: &Domain) -> Result<(), Failure> {
    let generation = gateway.chain.enter();
    let standing = Standing::of_partner(gateway, &generation, partner).await;
    standing.answer.map_err(Failure::Refused)?;
    gateway
        .of_record(partner, terms::may_send)
        .map_err(Failure::Refused)
}

/// Asks the authoritative server of a partner's domain about a key.
pub(super) async fn verify(
    gateway: &Arc<Gateway>,
    asked: &Verification,
    deadline: Instant,
) -> Result<Verified, Failure> {
    let _slot = gateway
        .federation_slots
        .take_own()
        .ok_or(Failure::TooMany)?;
    let attempt = Attempt {
        gateway,
        side: Side::Federation,
        from: &asked.receiving,
        to: &asked.originating,
        purpose: &Purpose::Verify(asked.clone()),
    };
    match attempt.every_address(deadline).await? {
        Reached::Verified(verified) => Ok(verified),
        Reached::Stream(..) => Err(Failure::Negotiation(OutboundFailure::Ended)),
    }
}
