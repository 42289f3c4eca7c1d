//! Streams that outlive their connection (XEP-0198 §5).
//!
//! In: managed streams whose connection was lost: nobody has said that they end. Out: their
//! [`Successor`], which the pair of domains gets in place of the stream: what we need to take up a stream of our own
//! ([`Kept`], used by [`open`](super::open)), or the stream with which the peer takes up one of its own
//! (the [`Table`] keeps what is needed for that).
//!
//! What was not acknowledged stays with its pair of domains meanwhile, within the bytes that
//! [`Table::hold`] gives. Everything here has an end: the time that was told to the peer, a generation
//! that does not admit it any more, the end of the process. Nothing is taken up after a stream was
//! closed, by whomever.

mod table;

use std::sync::Arc;
use std::time::Duration;

use portcullis_xmpp::stream::{Peer, StreamEnd};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

pub(crate) use self::table::Table;
pub(super) use self::table::{Detached, Found, Grant, Remains, Request, Waiting};
use super::handled::Handled;
use super::line::Sent;
use super::output::Output;
use super::standing::Standing;
use crate::app::Gateway;
use crate::tls::Side;

/// What takes the place of a stream that was lost.
#[derive(Debug)]
pub(crate) enum Successor {
    /// We opened it, and can take it up.
    Ours(Box<Kept>),
    /// The peer opened it; it may come back with another connection, or not.
    Theirs(oneshot::Receiver<Output>),
}

/// What is left of a stream that we opened.
#[derive(Debug)]
pub(crate) struct Kept {
    /// How it is called; only whoever has authenticated as we did is believed.
    pub(super) id: String,
    /// Who was there, and how that was proven: nobody else is told of it.
    pub(super) peer: Arc<Peer>,
    /// How long the peer remembers it, each time.
    pub(super) lasts: Duration,
    /// Until when it does now.
    pub(super) until: Instant,
    /// What came on it.
    pub(super) handled: Handled,
    /// What the peer has not acknowledged.
    pub(super) sent: Sent,
    /// How many stanzas came on it in all, modulo 2^32.
    pub(super) came: u32,
}

impl Kept {
    /// When the peer forgets it.
    pub(crate) fn until(&self) -> Instant {
        self.until
    }

    /// How many stanzas came on it in all, modulo 2^32.
    pub(crate) fn came(&self) -> u32 {
        self.came
    }

    /// Whether the peer may have something for us that it waits to send again.
    pub(crate) fn is_for_both(&self) -> bool {
        self.peer.bidi
    }
}

/// Whether a stream that ended so was neither closed nor refused, but has lost its connection.
pub(super) fn is_lost(gateway: &Gateway, end: &StreamEnd) -> bool {
    let lost = matches!(end, StreamEnd::Truncated | StreamEnd::NoTls(_));
    lost && !gateway.phases.draining.is_cancelled()
}

/// Keeps a stream for its peer, until it comes back or must not any more.
pub(super) async fn keep(gateway: Arc<Gateway>, mut detached: Detached) {
    loop {
        tokio::select! {
            // The peer came back, or others needed the room.
            _ = &mut detached.taken => return,
            () = sleep_until(detached.waiting.until) => break,
            () = gateway.phases.draining.cancelled() => break,
            Ok(()) = detached.waiting.generations.changed() => {
                if detached.waiting.side == Side::Internal {
                    continue;
                }
                let generation = gateway.chain.enter();
                let standing = Standing::of(&gateway, &generation, &detached.waiting.peer).await;
                if standing.refusal().is_some() {
                    break;
                }
            }
        }
    }
    let Waiting { side, peer, .. } = &detached.waiting;
    tracing::debug!(%side, peer = %peer.remote, "a lost stream is kept no longer");
    gateway.resumable.forget(&detached);
}
