//! All addresses of a domain, one after the other, until one leads where we want to go.
//!
//! In: who we are, whom we want to reach and what for. Out: a stream whose negotiation is done, or the
//! word of an authoritative server, or the [`Failure`] that says most. Bounded by the deadline that the
//! caller sets; no single address takes all of it.

use std::sync::Arc;
use std::time::Duration;

use portcullis_xmpp::dialback::Verified;
use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::stanza::Direction;
use portcullis_xmpp::stream::{
    Initiator, Outbound, OutboundFailure, OutboundSettings, Peer, Purpose, Start, Terms, TlsMode,
};
use tokio::time::{Instant, timeout_at};

use super::negotiation::Negotiation;
use crate::app::Gateway;
use crate::connect::{Candidates, ConnectError, Connection, Search};
use crate::prove::promised;
use crate::session::failure::Failure;
use crate::session::standing::Standing;
use crate::session::terms;
use crate::session::wire::Wire;
use crate::tls::{PeerChain, Side};

/// The least that a negotiation gets before the next address is tried, of the time that is left.
const ATTEMPT: Duration = Duration::from_secs(10);
/// How often in a row a partner's servers may send us to another host (RFC 6120 §4.9.3.19).
const HOPS: usize = 3;

/// Who we are and whom we want to reach.
#[derive(Clone, Copy)]
pub(super) struct Attempt<'a> {
    pub(super) gateway: &'a Arc<Gateway>,
    pub(super) side: Side,
    pub(super) from: &'a Domain,
    pub(super) to: &'a Domain,
    pub(super) purpose: &'a Purpose,
}

/// What an attempt leads to.
pub(super) enum Reached<'a> {
    /// A stream whose negotiation is done, and who is at its other end.
    Stream(Box<Negotiation<'a>>, Arc<Peer>),
    Verified(Verified),
}

impl<'a> Attempt<'a> {
    pub(super) async fn every_address(self, deadline: Instant) -> Result<Reached<'a>, Failure> {
        let found = timeout_at(deadline, self.find())
            .await
            .map_err(|_| Failure::TooSlow)?;
        let mut candidates = found.map_err(Failure::Connect)?;
        let mut worst: Option<Failure> = None;
        let mut hops = 0;
        loop {
            let connection = match timeout_at(deadline, candidates.next()).await {
                Ok(Ok(connection)) => connection,
                // There is no further address.
                Ok(Err(error)) => return Err(Failure::telling(worst, Failure::Connect(error))),
                Err(_) => return Err(Failure::telling(worst, Failure::TooSlow)),
            };
            let now = Instant::now();
            let left = deadline.saturating_duration_since(now);
            let until = now + left.min((left / 2).max(ATTEMPT));
            let candidate = connection.candidate.clone();
            let failure = match timeout_at(until, self.negotiate(connection)).await {
                Ok(Ok(reached)) => return Ok(reached),
                Ok(Err(failure)) => failure,
                Err(_) => Failure::TooSlow,
            };
            tracing::debug!(from = %self.from, to = %self.to, %candidate, reason = failure.to_string(), "no stream there");
            if let (Failure::Elsewhere(place), Side::Federation) = (&failure, self.side)
                && hops < HOPS
            {
                hops += 1;
                match self.gateway.dialer.other_host(self.to, &candidate, place) {
                    Ok(others) => candidates = others,
                    Err(error) => worst = Some(Failure::telling(worst, Failure::Connect(error))),
                }
            }
            worst = Some(Failure::telling(worst, failure));
        }
    }

    async fn find(self) -> Result<Candidates, ConnectError> {
        match self.side {
            Side::Federation => {
                let record = self.gateway.partner(self.to);
                let search = record.as_ref().map(Search::from).unwrap_or_default();
                self.gateway.dialer.partner(self.to, search).await
            }
            Side::Internal => match self.gateway.server(self.to) {
                // It takes stanzas on the streams that it opens, and there is none.
                Some(server) if server.connect.is_empty() => Err(ConnectError::Unreachable(
                    format!("the server of {} has not opened a stream", self.to),
                )),
                Some(server) => self.gateway.dialer.internal(self.to, &server),
                None => Err(ConnectError::NotFound(format!(
                    "{} has no internal server",
                    self.to
                ))),
            },
        }
    }

    async fn negotiate(self, connection: Connection) -> Result<Reached<'a>, Failure> {
        let Connection { stream, candidate } = connection;
        let address = candidate.address;
        let (wire, chain, start) = match candidate.mode {
            TlsMode::StartTls => (Wire::plain(stream), PeerChain::default(), Start::Plain),
            mode @ TlsMode::Direct => {
                let connecting = self
                    .gateway
                    .tls
                    .connect(self.side, stream, mode, self.from, self.to);
                let secured = connecting.await.map_err(Failure::Tls)?;
                promised(self.gateway, self.side, &secured.chain, self.to, &candidate)
                    .await
                    .map_err(|unproven| {
                        let refused = OutboundFailure::CertificateRefused(unproven.to_string());
                        Failure::Negotiation(refused)
                    })?;
                (
                    Wire::tls(secured.stream),
                    secured.chain,
                    Start::Tls(secured.facts),
                )
            }
        };
        let settings = OutboundSettings {
            limits: self.gateway.stream_limits(),
            direction: match self.side {
                Side::Federation => Direction::Outbound,
                Side::Internal => Direction::Inbound,
            },
            address: Some(address),
            local: self.from.clone(),
            remote: self.to.clone(),
            terms: own_terms(self.gateway, self.side, self.to).await,
            secret: self.gateway.dialback.clone(),
            purpose: self.purpose.clone(),
            idle_seconds: None,
        };
        let settings = OutboundSettings {
            terms: candidate.narrowed(settings.terms),
            ..settings
        };
        let negotiation = Negotiation {
            attempt: self,
            candidate,
            machine: Outbound::new(settings, start),
            wire,
            chain,
            standing: Standing::inside(self.gateway, &self.gateway.chain.enter()),
            // Before the gatekeepers are asked, so that no later generation is missed.
            generations: self.gateway.generations.subscribe(),
            key: None,
            unproven: None,
        };
        negotiation.run().await
    }
}

/// On what terms we open a stream. Stanzas flow both ways on it only if the partner may send some.
async fn own_terms(gateway: &Gateway, side: Side, remote: &Domain) -> Terms {
    let terms = terms::of(gateway, side, Initiator::Gateway, remote);
    let both = match side {
        Side::Federation if terms.bidi => {
            let generation = gateway.chain.enter();
            let ruling = generation.knock(remote, Direction::Inbound, None).await;
            ruling.is_admitted()
        }
        _ => terms.bidi,
    };
    Terms {
        bidi: both,
        ..terms
    }
}
