//! Where the stanzas of a pair of domains leave: an established stream, as its pair sees it.
//!
//! In: whole stanzas. Out: how far they got; the end of the stream. The stream itself belongs to the
//! session that reads it, which may be one that we opened, or one that the peer opened and that goes
//! both ways; a pair tells it what it wants done and never waits for it.

use std::sync::Arc;

use portcullis_xmpp::stream::{Peer, PeerLimits};
use tokio::sync::{mpsc, watch};

use super::line::Line;
use super::standing::{Refusal, Standing};
use crate::app::Gateway;
use crate::tls::Side;

/// Wishes that wait for the session: each ends the stream, so the first one counts.
const WISHES: usize = 2;

/// What a pair wants of the session that its stream belongs to.
#[derive(Debug)]
pub(super) enum Wish {
    /// The process ends, and nothing is left to send.
    Leave,
    /// The partner is no longer welcome.
    Revoke(Refusal),
    /// A write failed: the connection is gone.
    Broken,
}

/// How far the life of a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// Stanzas may be sent.
    Open,
    /// It ends, for a reason of ours.
    Unwanted,
    /// It ends, for a reason of the peer's or the network's.
    Lost,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Output {
    side: Side,
    peer: Arc<Peer>,
    line: Arc<Line>,
    limits: PeerLimits,
    standing: Standing,
    generations: watch::Receiver<u64>,
    wishes: mpsc::Sender<Wish>,
    life: watch::Receiver<Life>,
}

/// The session's end of an [`Output`].
#[derive(Debug)]
pub(super) struct Owner {
    wishes: mpsc::Receiver<Wish>,
    life: watch::Sender<Life>,
}

/// What an output is made from.
pub(super) struct Made {
    pub(super) side: Side,
    pub(super) peer: Arc<Peer>,
    pub(super) line: Arc<Line>,
    /// What the peer says that it takes.
    pub(super) limits: PeerLimits,
    /// What the gatekeepers say of sending to the peer.
    pub(super) standing: Standing,
    /// Subscribed before they were asked, so that no later generation is missed.
    pub(super) generations: watch::Receiver<u64>,
}

impl Output {
    pub(super) fn new(made: Made) -> (Self, Owner) {
        let (wish, wishes) = mpsc::channel(WISHES);
        let (owner, life) = watch::channel(Life::Open);
        let Made {
            side,
            peer,
            line,
            limits,
            standing,
            generations,
        } = made;
        let output = Self {
            side,
            peer,
            line,
            limits,
            standing,
            generations,
            wishes: wish,
            life,
        };
        let owner = Owner {
            wishes,
            life: owner,
        };
        (output, owner)
    }

    /// Whether stanzas may be sent now.
    pub(crate) fn is_open(&self) -> bool {
        *self.life.borrow() == Life::Open
    }

    /// Where whole stanzas are written.
    pub(crate) fn line(&self) -> &Line {
        &self.line
    }

    /// The bytes of the longest stanza that the peer takes, if it has said so (XEP-0478).
    pub(crate) fn longest(&self) -> Option<usize> {
        let longest = self.limits.max_bytes?;
        Some(usize::try_from(longest).unwrap_or(usize::MAX))
    }

    /// Waits until no more stanzas may be sent.
    pub(crate) async fn closing(&mut self) {
        // A session that is gone has closed.
        let _ = self.life.wait_for(|life| *life != Life::Open).await;
    }

    /// Waits until the stream is over; tells whether it ended for no reason of ours.
    pub(crate) async fn over(&mut self) -> Lost {
        self.closing().await;
        let lost = *self.life.borrow_and_update() != Life::Unwanted;
        while self.life.changed().await.is_ok() {}
        if lost { Lost::ByThem } else { Lost::ByUs }
    }

    /// Whether the partner is still welcome, if another generation has taken over. Asked before each
    /// batch, so that nothing leaves on a stream that a reload ends.
    pub(crate) async fn may_send(&mut self, gateway: &Gateway) -> bool {
        if self.side == Side::Internal {
            return true;
        }
        // The generation that was announced, not the one that judges: what plugins had to say to the
        // partner when it took over is in the queue by then.
        let announced = *self.generations.borrow();
        let known = self.standing.generation;
        if known < announced || !self.standing.is_current(gateway, known) {
            let generation = gateway.chain.enter();
            self.standing = Standing::of(gateway, &generation, &self.peer).await;
        }
        let Some(refusal) = self.standing.refusal() else {
            return true;
        };
        // The session has found out by itself, most likely.
        let _ = self.wishes.try_send(Wish::Revoke(refusal.clone()));
        false
    }

    /// The connection broke under a write.
    pub(crate) fn broken(&self) {
        // If there is no place, the stream is about to end anyway.
        let _ = self.wishes.try_send(Wish::Broken);
    }

    /// The process ends, and there is nothing left to send.
    pub(crate) fn leave(&self) {
        // If there is no place, the stream is about to end anyway.
        let _ = self.wishes.try_send(Wish::Leave);
    }
}

/// Whose reason it was that a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lost {
    ByUs,
    ByThem,
}

impl Owner {
    /// Waits for what the pair wants; none once the pair has let go. May be cancelled.
    pub(super) async fn wish(&mut self) -> Option<Wish> {
        self.wishes.recv().await
    }

    /// No more stanzas may be sent.
    pub(super) fn close(&self, life: Life) {
        self.life.send_if_modified(|known| {
            let first = *known == Life::Open;
            if first {
                *known = life;
            }
            first
        });
    }
}
