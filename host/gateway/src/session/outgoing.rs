//! A stream that the gateway has opened: to a partner, or to an internal server in a partner's name.
//!
//! In: bytes of stanzas. Out: how far they got, and [`Wake`] when something else happened. The
//! stream ends when the peer ends it, when nothing was sent for `timeouts.inactivity`, when another
//! generation does not admit the partner, and at shutdown. What the peer sends on it is read, since
//! it may be a stream error, but never a stanza: those come on streams that the peer opens.

use std::sync::Arc;
use std::time::Duration;

use portcullis_policy::Decision;
use portcullis_xmpp::error::{StreamCondition, StreamError};
use portcullis_xmpp::stream::{Outbound, OutboundAction, Peer, Phase, StreamEnd};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::inbound::condition;
use super::registry::Registered;
use super::standing::{Refusal, Standing};
use super::wire::{SendError, Wire, read_failure};
use crate::app::Gateway;
use crate::audit;
use crate::listen::Slot;
use crate::tls::{Side, TlsError};

/// How long a peer may take to answer our closing tag.
const CLOSING: Duration = Duration::from_secs(3);
/// Never, in a timer.
const FAR: Duration = Duration::from_secs(86_400);

/// An established stream that takes stanzas.
pub(crate) struct OutgoingStream {
    pub(super) side: Side,
    pub(super) machine: Outbound,
    pub(super) wire: Wire,
    pub(super) peer: Arc<Peer>,
    pub(super) standing: Standing,
    pub(super) generations: watch::Receiver<u64>,
    /// Why the stream ends, if it is for a reason of ours.
    pub(super) refusal: Option<Refusal>,
    /// Whether we have no reason to end it.
    pub(super) wanted: bool,
    /// When the peer's answer to our closing tag must be there.
    pub(super) closing: Option<Instant>,
    /// When we last sent anything, and when a stanza.
    pub(super) said: Instant,
    pub(super) worked: Instant,
    pub(super) registered: Registered,
    pub(super) slot: Option<Slot>,
}

/// What woke a stream up.
#[derive(Debug)]
pub(crate) enum Wake {
    /// Bytes came, or the connection ended; the machine knows.
    Read,
    /// Another generation judges.
    Generation,
    /// No stanza for too long.
    Idle,
    /// Nothing sent for too long.
    Silence,
    /// The peer does not answer our closing tag.
    Unanswered,
}

impl OutgoingStream {
    /// Whether stanzas may be sent now.
    pub(crate) fn is_open(&self) -> bool {
        self.machine.phase() == Phase::Established
    }

    /// Sends stanzas and flushes.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        self.said = Instant::now();
        self.worked = self.said;
        self.wire.send(bytes).await
    }

    /// The connection broke under a write.
    pub(crate) fn broken(&mut self) {
        self.machine.eof();
    }

    /// Takes in what the peer has sent already, without waiting; whether there was something.
    pub(crate) async fn glance(&mut self) -> bool {
        let read = tokio::select! {
            biased;
            read = self.wire.read() => read,
            () = std::future::ready(()) => return false,
        };
        received(&mut self.machine, read);
        true
    }

    /// Whether it ends, if it ends, for no reason of ours.
    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// Waits until something happens. May be cancelled.
    pub(crate) async fn wait(&mut self, gateway: &Gateway) -> Wake {
        let timeouts = gateway.config().timeouts;
        let open = self.is_open();
        let far = Instant::now() + FAR;
        let idle = if open {
            self.worked + timeouts.inactivity
        } else {
            far
        };
        let keepalive = if open && gateway.keeps_alive(self.side, &self.peer.remote) {
            self.said + timeouts.keepalive
        } else {
            far
        };
        tokio::select! {
            read = self.wire.read() => {
                received(&mut self.machine, read);
                Wake::Read
            }
            Ok(()) = self.generations.changed(), if open => Wake::Generation,
            () = sleep_until(idle), if open => Wake::Idle,
            () = sleep_until(keepalive), if open => Wake::Silence,
            () = sleep_until(self.closing.unwrap_or(far)), if self.closing.is_some() => Wake::Unanswered,
        }
    }

    /// Deals with what [`wait`](Self::wait) said. Must not be cancelled.
    pub(crate) async fn deal(&mut self, wake: Wake) {
        match wake {
            // The owner asks `revoked`, since it may have last words for the partner.
            Wake::Read | Wake::Generation => {}
            Wake::Idle => self.close(None),
            Wake::Silence => {
                self.said = Instant::now();
                if self.wire.send(b" ").await.is_err() {
                    self.machine.eof();
                }
            }
            Wake::Unanswered => {
                self.machine.close(None);
                self.machine.eof();
            }
        }
    }

    /// Does what the machine wants done; tells the end of the stream. Must not be cancelled.
    pub(crate) async fn act(&mut self) -> Option<StreamEnd> {
        let mut bytes = Vec::new();
        let mut ended = None;
        while let Some(action) = self.machine.next() {
            match action {
                OutboundAction::Send(more) => bytes.extend_from_slice(&more),
                OutboundAction::Closed(end) => ended = Some(end),
                OutboundAction::Failed(_) | OutboundAction::Verified(_) => {
                    ended = Some(StreamEnd::Truncated)
                }
                // Questions and handshakes belong to the negotiation, which is over.
                OutboundAction::StartTls { .. }
                | OutboundAction::Ask(_)
                | OutboundAction::Established(_) => {}
                // Not on our terms.
                OutboundAction::Stanza(_)
                | OutboundAction::BadStanza { .. }
                | OutboundAction::Management(_) => {}
            }
        }
        if !bytes.is_empty() && self.wire.send(&bytes).await.is_err() {
            self.machine.eof();
        }
        if self.machine.phase() == Phase::Closing && self.closing.is_none() {
            self.closing = Some(Instant::now() + CLOSING);
        }
        ended
    }

    /// Says goodbye; [`act`](Self::act) tells when the stream is over.
    pub(crate) fn close(&mut self, error: Option<StreamError>) {
        if self.is_open() {
            self.wanted = false;
            self.machine.close(error);
        }
    }

    /// For the end of the process.
    pub(crate) fn shut_down(&mut self) {
        self.close(Some(StreamError::new(StreamCondition::SystemShutdown)));
    }

    /// Closes the connection and records the end.
    pub(crate) async fn end(self, gateway: &Gateway, end: StreamEnd) {
        let generation = gateway.chain.enter();
        let (by, told, verdict) = match self.refusal {
            Some(refusal) => (refusal.by, refusal.error.text, "refuse"),
            None => (Arc::from("gateway:stream"), None, "close"),
        };
        let decision = Decision {
            by: Some(by),
            reason: Some(told.unwrap_or_else(|| end.to_string())),
            condition: Some(condition(&end)),
            ..audit::of_stream(&self.peer, generation.number(), verdict)
        };
        drop(self.registered);
        self.wire.close().await;
        drop(self.slot);
        audit::record(&generation, decision).await;
    }

    /// Why the partner is no longer welcome, if another generation that has taken over says so.
    /// Asked before each batch, so that nothing leaves on a stream that a reload has ended.
    pub(crate) async fn revoked(&mut self, gateway: &Gateway) -> Option<Refusal> {
        if self.side == Side::Internal || !self.is_open() {
            return None;
        }
        // The generation that was announced, not the one that judges: what plugins had to say to the
        // partner when it took over is in the queue by then.
        if self.standing.generation < *self.generations.borrow() {
            let generation = gateway.chain.enter();
            self.standing = Standing::of(&generation, &self.peer).await;
        }
        self.standing.refusal().cloned()
    }

    /// Ends the stream because the partner is no longer welcome.
    pub(crate) fn revoke(&mut self, refusal: Refusal) {
        self.close(Some(refusal.error.clone()));
        self.refusal = Some(refusal);
    }
}

fn received(machine: &mut Outbound, read: std::io::Result<&[u8]>) {
    match read {
        Ok([]) => machine.eof(),
        Ok(bytes) => machine.receive(bytes),
        Err(error) if TlsError::of_stream(&error).is_some() => {
            machine.tls_failed(read_failure(&error))
        }
        Err(_) => machine.eof(),
    }
}
