//! Streams that their peers take up again (XEP-0198 §5): what is promised, kept and given back.
//!
//! In: `<enable resume='true'/>`, `<resume/>`, the loss of the connection, somebody who takes the stream
//! up elsewhere. Out: the same stream on this connection, with what was not acknowledged sent once more by
//! its pair of domains; or `item-not-found`, which tells nobody whether there is such a stream.
//!
//! Only a stream of a single pair of domains can be taken up, and only as that pair.

use std::sync::Arc;
use std::time::Duration;

use portcullis_xmpp::error::{StanzaCondition, StreamCondition, StreamError};
use portcullis_xmpp::management::{Nonza, Resumption};
use portcullis_xmpp::stream::StreamEnd;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::Session;
use crate::session::line::Sent;
use crate::session::output::{Life, Output, Owner};
use crate::session::resumption::{
    Found, Grant, Remains, Request, Successor, Waiting, is_lost, keep,
};

/// How long the session of the lost connection may take to let go: a plugin may be thinking about the
/// last stanza.
const HANDOVER: Duration = Duration::from_secs(10);

/// What waits until the peer was told that it counts.
pub(super) struct Told {
    /// What it is to acknowledge beside what comes now.
    pub(super) sent: Sent,
    /// To the pair of domains that waits for this stream.
    pub(super) heir: Option<oneshot::Sender<Output>>,
}

impl Session<'_> {
    /// The peer wants its stanzas acknowledged, and may want to come back to the stream.
    pub(super) fn enable(&mut self, resume: Option<Option<u64>>) {
        let ours = self.gateway.config().timeouts.resumption;
        let lasts =
            resume.map(|most| most.map_or(ours, |most| Duration::from_secs(most).min(ours)));
        let lasts = lasts.filter(|lasts| !lasts.is_zero());
        let grant = match (lasts, self.intake.only_peer()) {
            (Some(lasts), Some(peer)) => {
                Some((self.gateway.resumable.promise(self.side, peer), lasts))
            }
            _ => None,
        };
        let enabled = Nonza::Enabled {
            resume: (grant.as_ref())
                .map(|(grant, lasts)| (grant.id().to_owned(), Some(lasts.as_secs()))),
        };
        if self.machine.manage(&enabled) {
            self.intake.manage();
            self.grant = grant;
            self.told = Some(Told {
                sent: Sent::default(),
                heir: None,
            });
        }
    }

    /// The peer wants to go on with a stream that it has lost.
    pub(super) async fn resume(&mut self, asked: &Resumption) {
        let Some(remains) = self.remains(asked).await else {
            self.machine.manage(&Nonza::Failed {
                condition: StanzaCondition::ItemNotFound,
                handled: None,
            });
            return;
        };
        let Remains {
            mut handled,
            sent,
            heir,
            lasts,
        } = *remains;
        let Some(peer) = self.intake.only_peer() else {
            return;
        };
        let grant = (self.gateway.resumable).promise_again(self.side, peer, &asked.id);
        let resumed = Nonza::Resumed(Resumption {
            id: asked.id.clone(),
            handled: handled.take_over(),
        });
        if self.machine.manage(&resumed) {
            tracing::info!(side = %self.side, peer = %peer.remote, stream = &*peer.stream_id, "a lost stream goes on");
            self.intake.resume(handled);
            self.grant = Some((grant, lasts));
            self.told = Some(Told {
                sent,
                heir: Some(heir),
            });
        }
    }

    /// What is left of the stream that the peer means, after what it says it has settled. None if there
    /// is none, or nobody who would send the rest again.
    async fn remains(&mut self, asked: &Resumption) -> Option<Box<Remains>> {
        let peer = self.intake.only_peer()?;
        let mut remains = match self.gateway.resumable.find(self.side, peer, &asked.id)? {
            Found::Remains(remains) => remains,
            Found::Asked(answer) => timeout(HANDOVER, answer).await.ok()?.ok()?,
        };
        if let Err(wrong) = remains.sent.acknowledge(asked.handled) {
            self.machine.close_too_high(wrong);
            return None;
        }
        (remains.sent.is_empty() || !remains.heir.is_closed()).then_some(remains)
    }

    /// The peer has been told, before any stanza: the pair of domains that waits may go on.
    pub(super) fn hand_on(&mut self, heir: oneshot::Sender<Output>, waits: Waits) {
        let Some(peer) = self.intake.only_peer().cloned() else {
            return;
        };
        let Some(line) = self.wire.line() else {
            return;
        };
        let given = heir.send(self.output(&peer, line));
        if given.is_err() && waits == Waits::Unacknowledged {
            // It has just given up; what it sent is not to be had again.
            let error = StreamError::new(StreamCondition::Reset)
                .with_text("the stream cannot go on after all");
            self.machine.close(Some(error));
        }
    }

    /// Somebody takes the stream up on another connection: this one ends (XEP-0198 §5).
    pub(super) fn hand_over(&mut self, request: Request) {
        let lasts = self.grant.take().map(|(_, lasts)| lasts);
        if let Some(remains) = lasts.and_then(|lasts| self.leave(lasts)) {
            // Who asked may have given up; the stream is lost then.
            let _ = request.send(Box::new(remains));
        }
        self.machine
            .close(Some(StreamError::new(StreamCondition::Conflict)));
        // The pair need not wait until this connection has ended.
        self.owner.close(Life::Lost);
        self.owner = Owner::new();
    }

    /// Keeps what is left of the stream, if it can be taken up.
    pub(super) fn keep(&mut self, end: &StreamEnd) {
        let lost = !self.closing && self.refusal.is_none() && is_lost(self.gateway, end);
        let Some((grant, lasts)) = self.grant.take().filter(|_| lost) else {
            return;
        };
        let Some(peer) = self.intake.only_peer().cloned() else {
            return;
        };
        let Some(remains) = self.leave(lasts) else {
            return;
        };
        let partner = self.gateway.quota(peer.partner()).partner;
        let waiting = Waiting {
            side: self.side,
            peer,
            until: Instant::now() + lasts,
            generations: self.generations.clone(),
        };
        if let Some(detached) = grant.detach(waiting, partner, remains) {
            let gateway = Arc::clone(self.gateway);
            self.gateway.tasks.spawn(keep(gateway, detached));
        }
    }

    /// Takes out of this session what another one goes on with.
    fn leave(&mut self, lasts: Duration) -> Option<Remains> {
        let sent = self.wire.line()?.hand_over()?;
        let handled = self.intake.take_handled()?;
        let (heir, waiting) = oneshot::channel();
        self.owner.leave(Successor::Theirs(waiting));
        Some(Remains {
            handled,
            sent,
            heir,
            lasts,
        })
    }
}

/// Whether something is not acknowledged that its pair of domains has to send again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waits {
    Unacknowledged,
    Nothing,
}

impl Told {
    pub(super) fn waits(&self) -> Waits {
        match self.sent.is_empty() {
            true => Waits::Nothing,
            false => Waits::Unacknowledged,
        }
    }
}

/// Waits until somebody takes the stream up elsewhere. May be cancelled.
pub(super) async fn requested(grant: Option<&mut (Grant, Duration)>) -> Request {
    match grant {
        Some((grant, _)) => grant.requested().await,
        None => std::future::pending().await,
    }
}
