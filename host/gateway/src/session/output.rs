//! Where the stanzas of a pair of domains leave: an established stream, as its pair sees it.
//!
//! In: whole stanzas. Out: how far they got; the end of the stream. The stream itself belongs to the
//! session that reads it, which may be one that we opened, or one that the peer opened and that goes
//! both ways (XEP-0288), for one pair or several; a pair tells it what it wants done and never waits
//! for it.

use std::sync::{Arc, Mutex, PoisonError};

use portcullis_xmpp::stream::{Peer, PeerLimits};
use tokio::sync::{mpsc, watch};

use super::line::Line;
use super::resumption::Successor;
use super::standing::{Refusal, Standing};
use crate::app::Gateway;
use crate::tls::Side;

/// Wishes that wait for the session: each ends the stream, so the first one counts.
const WISHES: usize = 2;

/// What a pair wants of the session that its stream belongs to.
#[derive(Debug)]
pub(super) enum Wish {
    /// The pair has no use for the stream any more: the process ends, and nothing is left to send.
    Leave,
    /// The partner is no longer welcome.
    Revoke(Box<Refusal>),
    /// A write failed: the connection is gone.
    Broken,
    /// The peer does not say what it has settled.
    Unanswered,
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

/// Who opened the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// We, for this pair: it ends when the partner is no longer welcome, or the pair lets go.
    Opened,
    /// The peer, which sends on it, too.
    Offered,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Output {
    source: Source,
    side: Side,
    peer: Arc<Peer>,
    line: Arc<Line>,
    limits: PeerLimits,
    standing: Standing,
    generations: watch::Receiver<u64>,
    wishes: mpsc::Sender<Wish>,
    life: watch::Receiver<Life>,
    successor: Arc<Mutex<Option<Successor>>>,
}

/// The session's end of its [`Output`]s.
#[derive(Debug)]
pub(super) struct Owner {
    life: Life,
    /// None as long as there was no output: most streams never have one.
    ends: Option<Box<Ends>>,
}

#[derive(Debug)]
struct Ends {
    /// For further outputs.
    wish: mpsc::Sender<Wish>,
    wishes: mpsc::Receiver<Wish>,
    life: watch::Sender<Life>,
    /// For the one pair whose stream may go on over another connection.
    successor: Arc<Mutex<Option<Successor>>>,
}

/// What an output is made from.
pub(super) struct Made {
    pub(super) source: Source,
    pub(super) side: Side,
    /// The peer, as the one who takes stanzas.
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

    /// Waits until the stream is over; tells whether it ended for no reason of ours, and what may take
    /// its place.
    pub(crate) async fn over(&mut self) -> (Lost, Option<Successor>) {
        self.closing().await;
        let lost = *self.life.borrow_and_update() != Life::Unwanted;
        while self.life.changed().await.is_ok() {}
        let lost = if lost { Lost::ByThem } else { Lost::ByUs };
        let mut successor = self
            .successor
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        (lost, successor.take())
    }

    /// Whether the peer opened the stream.
    pub(crate) fn is_offered(&self) -> bool {
        self.source == Source::Offered
    }

    /// Whether the partner is still welcome, if another generation has taken over. Asked before each
    /// batch, so that nothing leaves on a stream that a reload ends.
    pub(crate) async fn may_send(&mut self, gateway: &Gateway) -> Result<(), Refusal> {
        if self.side == Side::Internal {
            return Ok(());
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
            return Ok(());
        };
        if self.source == Source::Opened {
            // The session has found out by itself, most likely.
            let _ = self
                .wishes
                .try_send(Wish::Revoke(Box::new(refusal.clone())));
        }
        Err(refusal.clone())
    }

    /// The partner is no longer welcome to what was sent.
    pub(crate) fn revoke(&self, refusal: Refusal) {
        // If there is no place, the stream is about to end anyway.
        let _ = self.wishes.try_send(Wish::Revoke(Box::new(refusal)));
    }

    /// The connection broke under a write.
    pub(crate) fn broken(&self) {
        // If there is no place, the stream is about to end anyway.
        let _ = self.wishes.try_send(Wish::Broken);
    }

    /// The peer does not answer what it was asked to acknowledge.
    pub(crate) fn unanswered(&self) {
        // If there is no place, the stream is about to end anyway.
        let _ = self.wishes.try_send(Wish::Unanswered);
    }

    /// The process ends, and there is nothing left to send.
    pub(crate) fn leave(&self) {
        // If there is no place, the stream is about to end anyway.
        let _ = self.wishes.try_send(Wish::Leave);
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if self.source == Source::Opened {
            // Nobody else will ever send on it.
            let _ = self.wishes.try_send(Wish::Leave);
        }
    }
}

/// Whose reason it was that a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lost {
    ByUs,
    ByThem,
}

impl Owner {
    pub(super) fn new() -> Self {
        Self {
            life: Life::Open,
            ends: None,
        }
    }

    /// Another pair of domains may send over the stream.
    pub(super) fn output(&mut self, made: Made) -> Output {
        let Made {
            source,
            side,
            peer,
            line,
            limits,
            standing,
            generations,
        } = made;
        let life = self.life;
        let ends = self.ends.get_or_insert_with(|| Box::new(Ends::new(life)));
        Output {
            source,
            side,
            peer,
            line,
            limits,
            standing,
            generations,
            wishes: ends.wish.clone(),
            life: ends.life.subscribe(),
            successor: Arc::clone(&ends.successor),
        }
    }

    /// Waits for what a pair wants. May be cancelled.
    pub(super) async fn wish(&mut self) -> Wish {
        let wish = match &mut self.ends {
            Some(ends) => ends.wishes.recv().await,
            None => None,
        };
        match wish {
            Some(wish) => wish,
            // There is nobody to want anything, since we hold a sender ourselves.
            None => std::future::pending().await,
        }
    }

    /// The stream ends, and this may take its place. Said before the owner goes.
    pub(super) fn leave(&self, successor: Successor) {
        // Without an output there is nobody who waits for one.
        if let Some(ends) = &self.ends {
            *ends
                .successor
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = Some(successor);
        }
    }

    /// No more stanzas may be sent.
    pub(super) fn close(&mut self, life: Life) {
        if self.life != Life::Open {
            return;
        }
        self.life = life;
        if let Some(ends) = &self.ends {
            ends.life.send_replace(life);
        }
    }
}

impl Ends {
    fn new(life: Life) -> Self {
        let (wish, wishes) = mpsc::channel(WISHES);
        Self {
            wish,
            wishes,
            life: watch::Sender::new(life),
            successor: Arc::default(),
        }
    }
}
