//! How a stream ends: the connection closed, the end counted and on record.

use std::sync::Arc;

use portcullis_policy::Decision;
use portcullis_xmpp::error::{StreamCondition, StreamError};
use portcullis_xmpp::stream::{Initiator, Peer, Phase, StreamEnd};

use super::{Session, incoming};
use crate::audit;
use crate::session::standing::Refusal;

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

    /// Closes the connection, then tells of it.
    pub(super) async fn end(self, end: StreamEnd) {
        let generation = self.gateway.chain.enter();
        let reason = end.to_string();
        let established = self.established.map(|(peer, _)| peer);
        if established.is_none() {
            self.gateway
                .metrics
                .refused(incoming(self.side), self.side, condition(&end));
        }
        self.wire.close().await;
        let (peer, verdict) = match (established, self.claim) {
            (Some(peer), _) if self.refusal.is_none() => (peer, "close"),
            (Some(peer), _) => (peer, "refuse"),
            (None, Some((remote, local))) => {
                let peer = Peer {
                    remote,
                    local,
                    direction: incoming(self.side),
                    initiator: Initiator::Peer,
                    address: Some(self.address),
                    stream_id: self.connection,
                    method: None,
                    tls: None,
                };
                (Arc::new(peer), "refuse")
            }
            // Nobody to name in a record.
            (None, None) => {
                tracing::info!(side = %self.side, address = %self.address, reason, "a stream did not come to be");
                return;
            }
        };
        let (by, told) = match self.refusal {
            Some(refusal) => (refusal.by, refusal.error.text),
            None => (Arc::from("gateway:stream"), None),
        };
        let decision = Decision {
            by: Some(by),
            reason: Some(told.unwrap_or(reason)),
            condition: Some(condition(&end)),
            ..audit::of_stream(&peer, generation.number(), verdict)
        };
        audit::record(&generation, decision).await;
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
