//! How a stream ends: the connection closed, the end counted and on record.

use std::sync::Arc;

use portcullis_policy::Decision;
use portcullis_xmpp::error::{StreamCondition, StreamError};
use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::stream::{Initiator, Party, Peer, Phase, StreamEnd};

use super::{Session, incoming};
use crate::audit;
use crate::session::intake::Intake;
use crate::session::output::Life;
use crate::session::standing::Refusal;
use crate::tls::Side;

impl Session<'_> {
    /// The phase's time is up.
    pub(super) fn too_late(&mut self) {
        if matches!(self.machine.phase(), Phase::Closing | Phase::Closed) {
            self.machine.close(None);
            self.machine.eof();
            return;
        }
        let error = StreamError::new(StreamCondition::ConnectionTimeout)
            .with_text("the stream was not established in time");
        let error = self.refuse(Refusal {
            by: Arc::from("gateway:establish-timeout"),
            error,
        });
        self.machine.close(Some(error));
    }

    /// An element has begun and does not get on (XEP-0205).
    pub(super) fn too_slow(&mut self) {
        let floor = self.gateway.config().limits.minimum_rate;
        let error = self.refuse(Refusal::too_slow(floor));
        self.machine.close(Some(error));
    }

    /// Somebody who claims to be `remote`, for records: nothing of it is proven.
    pub(super) fn claimed(&self, remote: Domain, local: Domain) -> Arc<Peer> {
        Arc::new(Peer {
            remote,
            local,
            direction: incoming(self.side),
            party: match self.side {
                Side::Federation => Party::Partner,
                Side::Internal => Party::Internal,
            },
            initiator: Initiator::Peer,
            address: Some(self.address),
            stream_id: Arc::clone(&self.connection),
            method: None,
            tls: None,
            bidi: false,
        })
    }

    /// Closes the connection, then tells of it.
    pub(super) async fn end(mut self: Box<Self>, end: StreamEnd) {
        let generation = self.gateway.chain.enter();
        let reason = end.to_string();
        self.keep(&end);
        let established = std::mem::replace(&mut self.intake, Intake::new(self.side)).end();
        let told_of_keys = self.answered && self.refusal.is_none();
        if established.is_empty() && !told_of_keys {
            self.gateway
                .metrics
                .refused(incoming(self.side), self.side, condition(&end));
        }
        let peers = match &self.claim {
            Some((remote, local)) if established.is_empty() => {
                vec![self.claimed(remote.clone(), local.clone())]
            }
            _ => established.clone(),
        };
        self.owner.close(Life::Lost);
        for (from, to) in &self.offered {
            self.gateway.router.withdraw(from, to);
        }
        self.wire.close().await;
        let verdict = match (&self.refusal, established.is_empty()) {
            (None, false) => "close",
            _ => "refuse",
        };
        if peers.is_empty() || (established.is_empty() && told_of_keys) {
            // Nobody to name in a record, or nobody who wanted more than a word about a key.
            tracing::info!(side = %self.side, address = %self.address, reason, "a stream ended without having been established");
            return;
        }
        let (refusal, by, told) = match self.refusal {
            Some(refusal) => (refusal.told(), refusal.by, refusal.error.text),
            None => (None, Arc::from("gateway:stream"), None),
        };
        for peer in &peers {
            let decision = Decision {
                by: Some(Arc::clone(&by)),
                reason: Some(told.clone().unwrap_or_else(|| reason.clone())),
                condition: Some(condition(&end)),
                refusal: refusal.clone(),
                ..audit::of_stream(peer, generation.number(), verdict)
            };
            audit::record(self.gateway, &generation, decision).await;
        }
    }
}

/// A name for the end of a stream, for metrics and records.
pub(in crate::session) fn condition(end: &StreamEnd) -> &'static str {
    match end {
        StreamEnd::Sent(error) | StreamEnd::Received(error) => error.condition.as_str(),
        StreamEnd::NoTls(_) => "tls",
        StreamEnd::Clean => "closed",
        StreamEnd::Truncated => "truncated",
        StreamEnd::Abandoned => "abandoned",
    }
}
