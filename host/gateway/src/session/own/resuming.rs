//! Taking up a stream of ours over another connection (XEP-0198 §5).
//!
//! In: what is left of the stream, and a connection whose other end has proven to be the same peer. Out:
//! the stream, where the peer says `<resumed/>`; another one, where it says `<failed/>`; or what is
//! left, once more, if this connection is lost as well. Until the peer has answered nobody gets the
//! stream to send on.

use std::sync::Arc;
use std::time::Duration;

use portcullis_xmpp::error::{StreamCondition, StreamError};
use portcullis_xmpp::management::{Nonza, Resumption};
use portcullis_xmpp::stream::{OutboundAction, OutboundFailure, StreamEnd};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::{Parts, Session, made};
use crate::app::Gateway;
use crate::session::failure::Failure;
use crate::session::line::Sent;
use crate::session::open::{Resumed, Unresumed};
use crate::session::output::{Life, Output};
use crate::session::resumption::{Kept, Successor, is_lost};

/// What the peer has promised.
#[derive(Debug, Clone)]
pub(super) struct Resumable {
    id: String,
    lasts: Duration,
}

/// A stream that we have asked to go on with.
pub(super) struct Resuming {
    kept: Box<Kept>,
    /// When the peer must have answered.
    until: Instant,
    reply: oneshot::Sender<Answered>,
}

/// What came of it.
enum Answered {
    Resumed,
    Other,
    /// The connection is gone.
    Lost(Box<Kept>),
}

/// Goes on with a stream on another connection, if the peer lets us.
pub(in crate::session) async fn resume(
    gateway: &Arc<Gateway>,
    parts: Parts,
    mut kept: Box<Kept>,
) -> Result<(Output, Resumed), Unresumed> {
    let (mut session, output) = made(gateway, parts);
    kept.came = kept.handled.take_over();
    let asked = Nonza::Resume(Resumption {
        id: kept.id.clone(),
        handled: kept.came,
    });
    session.machine.manage(&asked);
    let (reply, answered) = oneshot::channel();
    session.resuming = Some(Resuming {
        kept,
        until: Instant::now() + gateway.config().timeouts.establish,
        reply,
    });
    gateway.pairs.spawn(Box::new(session).run());
    let failed = |kept| Unresumed {
        failure: Failure::Negotiation(OutboundFailure::Ended),
        kept,
    };
    match answered.await {
        Ok(Answered::Resumed) => Ok((output, Resumed::Same)),
        Ok(Answered::Other) => Ok((output, Resumed::Other)),
        Ok(Answered::Lost(kept)) => Err(failed(Some(kept))),
        Err(_) => Err(failed(None)),
    }
}

/// The peer does not say whether it knows the stream.
pub(super) fn undecided() -> StreamError {
    StreamError::new(StreamCondition::ConnectionTimeout)
        .with_text("no answer about the stream that was to go on")
}

/// Waits until the peer should have answered. May be cancelled.
pub(super) async fn undecided_since(resuming: Option<&Resuming>) {
    match resuming {
        Some(resuming) => sleep_until(resuming.until).await,
        None => std::future::pending().await,
    }
}

impl Session {
    /// Says that the stanzas which follow are to be acknowledged.
    pub(super) fn enable(&mut self) {
        let lasts = self.gateway.config().timeouts.resumption;
        let enable = Nonza::Enable {
            resume: (!lasts.is_zero()).then_some(Some(lasts.as_secs())),
        };
        if !self.machine.may_manage() || !self.machine.manage(&enable) {
            return;
        }
        let mut bytes = Vec::new();
        // The element comes before anything that was read.
        if let Some(OutboundAction::Send(more)) = self.machine.next() {
            bytes.extend_from_slice(&more);
        }
        // There is room for one element.
        let _ = self.line.say_managed(&bytes, Sent::default());
    }

    /// What the peer's `<enabled/>` allows. Some servers repeat `resume` and give no id: that promises
    /// nothing.
    pub(super) fn allowed(&self, granted: Option<&(String, Option<u64>)>) -> Option<Resumable> {
        let (id, most) = granted?;
        let ours = self.gateway.config().timeouts.resumption;
        let lasts = most.map_or(ours, |most| Duration::from_secs(most).min(ours));
        (!lasts.is_zero()).then(|| Resumable {
            id: id.clone(),
            lasts,
        })
    }

    /// The stream goes on here.
    pub(super) fn resumed(&mut self, resumed: &Resumption) {
        let Some(Resuming { kept, reply, .. }) = self.resuming.take() else {
            return;
        };
        let Kept {
            id,
            lasts,
            handled,
            mut sent,
            ..
        } = *kept;
        if resumed.id != id {
            let error = StreamError::new(StreamCondition::PolicyViolation)
                .with_text("this is not the stream that was to go on");
            self.close(Some(error));
            return;
        }
        if let Err(wrong) = sent.acknowledge(resumed.handled) {
            self.owner.close(Life::Lost);
            self.machine.close_too_high(wrong);
            return;
        }
        tracing::info!(side = %self.side, peer = %self.peer.remote, stream = &*self.peer.stream_id, "a lost stream goes on");
        self.line.resume(sent);
        self.intake.resume(handled);
        self.resumable = Some(Resumable { id, lasts });
        // Who asked may have given up; the stream ends then.
        let _ = reply.send(Answered::Resumed);
    }

    /// The peer does not know the stream. It may say how much of it was settled; what comes now is
    /// another stream.
    pub(super) fn not_resumed(&mut self, handled: Option<u32>) {
        let Some(Resuming {
            mut kept, reply, ..
        }) = self.resuming.take()
        else {
            return;
        };
        if let Some(handled) = handled
            && let Err(wrong) = kept.sent.acknowledge(handled)
        {
            self.owner.close(Life::Lost);
            self.machine.close_too_high(wrong);
            return;
        }
        tracing::info!(side = %self.side, peer = %self.peer.remote, stream = &*self.peer.stream_id, "the peer has forgotten a lost stream");
        self.enable();
        // Who asked may have given up; the stream ends then.
        let _ = reply.send(Answered::Other);
    }

    /// Keeps what is left of the stream, if it can be taken up.
    pub(super) fn keep(&mut self, end: &StreamEnd) {
        let lost = self.closing.is_none() && self.refusal.is_none() && is_lost(&self.gateway, end);
        if let Some(Resuming { kept, reply, .. }) = self.resuming.take() {
            if lost {
                // Who asked may have given up.
                let _ = reply.send(Answered::Lost(kept));
            }
            return;
        }
        let Some(Resumable { id, lasts }) = self.resumable.take().filter(|_| lost) else {
            return;
        };
        let (Some(mut handled), Some(sent)) = (self.intake.take_handled(), self.line.hand_over())
        else {
            return;
        };
        let came = handled.take_over();
        self.owner.leave(Successor::Ours(Box::new(Kept {
            id,
            peer: Arc::clone(&self.peer),
            lasts,
            until: Instant::now() + lasts,
            handled,
            sent,
            came,
        })));
    }
}
