//! Writing a batch of stanzas to a stream, and what becomes of it when the stream breaks under it.
//!
//! In: stanzas from a queue. Out: bytes; who is settled by that, who is to be acknowledged, who goes back
//! because the peer takes nothing so long.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use tokio::time::Instant;

use crate::app::Gateway;
use crate::observe::{Delivery, Outcome};
use crate::route::outgoing::{Origin, Outgoing};
use crate::route::pair::Pair;
use crate::route::undeliverable::{Why, undeliverable};
use crate::route::{Touched, delay};
use crate::session::{Acknowledged, Counted, Line, SendError, Written};

/// What became of a batch.
pub(super) enum Sent {
    /// So many stanzas are settled.
    Delivered(usize),
    /// The peer will say.
    Awaited(Vec<Outgoing>),
    /// The stream is broken.
    Broken(Halted),
}

/// A batch under which a stream broke. What becomes of it depends on whether the stream goes on.
pub(super) struct Halted {
    batch: Vec<Outgoing>,
    /// Where in the bytes each begins.
    starts: Vec<usize>,
    error: SendError,
}

/// Where a batch goes.
pub(super) struct Way<'a> {
    pub(super) line: &'a Line,
    pub(super) of: &'a Arc<Acknowledged>,
    /// The longest stanza that the peer takes, in bytes, if it has said so.
    pub(super) longest: Option<usize>,
}

/// Writes a batch. What is longer than the peer takes goes back.
pub(super) async fn write(
    gateway: &Arc<Gateway>,
    pair: &Pair,
    to: Way<'_>,
    taken: Vec<Outgoing>,
) -> Sent {
    let mut bytes = Bytes::with_room(taken.iter().map(Outgoing::size).sum());
    let mut batch = Vec::with_capacity(taken.len());
    let mut starts = Vec::with_capacity(taken.len());
    let mut touched = Touched::default();
    let limit = gateway.config().limits.stanza_bytes;
    let limit = to.longest.map_or(limit, |longest| longest.min(limit));
    let now = Instant::now();
    for mut outgoing in taken {
        let start = bytes.len();
        let waited = now.saturating_duration_since(outgoing.since);
        delay::mark(&mut outgoing.stanza, pair.ours(), waited, limit);
        outgoing.stanza.write_to(&mut bytes);
        match to.longest.filter(|longest| bytes.len() - start > *longest) {
            Some(longest) => {
                bytes.truncate(start);
                undeliverable(gateway, outgoing, &Why::TooLong(longest), &mut touched).await;
            }
            None => {
                starts.push(start);
                batch.push(outgoing);
            }
        }
    }
    touched.wake();
    if batch.is_empty() {
        return Sent::Delivered(0);
    }
    match to.line.send(&bytes, batch.len(), to.of).await {
        Ok(Written::Delivered) => {
            let delivered = batch.len();
            batch
                .into_iter()
                .for_each(|outgoing| settle(gateway, outgoing));
            Sent::Delivered(delivered)
        }
        Ok(Written::Awaited) => Sent::Awaited(batch),
        Err(error) => {
            tracing::debug!(from = %pair.from, to = %pair.to, %error, "a stream broke while it was written");
            Sent::Broken(Halted {
                batch,
                starts,
                error,
            })
        }
    }
}

impl Halted {
    /// The stream is lost for good: what was surely not written waits in the queue again, and the rest is
    /// bounced, since nobody knows what became of it.
    pub(super) async fn part(self, gateway: &Arc<Gateway>, pair: &Pair) {
        let mut back = Vec::new();
        let mut touched = Touched::default();
        for (mut outgoing, start) in self.batch.into_iter().zip(self.starts) {
            if start >= self.error.accepted && !outgoing.retried {
                outgoing.retried = true;
                back.push(outgoing);
            } else {
                undeliverable(gateway, outgoing, &Why::Interrupted, &mut touched).await;
            }
        }
        touched.wake();
        pair.queue.put_back(back);
    }

    /// The stream may go on: gives back what has its place on it. What has none waits in the queue
    /// again.
    pub(super) fn keep(self, pair: &Pair) -> Vec<Outgoing> {
        match self.error.counted {
            Counted::Yes => self.batch,
            Counted::No => {
                pair.queue.put_back(self.batch);
                Vec::new()
            }
        }
    }
}

/// What is kept of a thread's buffer: a full batch.
const KEPT: usize = 128 * 1024;

thread_local! {
    /// The last batch's buffer, for the next one: to get and give back so much memory for each batch costs
    /// more than to fill it. While a batch waits for its peer another one has its own.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The bytes of a batch.
struct Bytes(Vec<u8>);

impl Bytes {
    fn with_room(size: usize) -> Self {
        let mut bytes = SPARE.take();
        bytes.reserve(size);
        Self(bytes)
    }
}

impl Drop for Bytes {
    fn drop(&mut self) {
        if self.0.capacity() <= KEPT {
            let mut bytes = std::mem::take(&mut self.0);
            bytes.clear();
            // A thread that ends keeps nothing.
            let _ = SPARE.try_with(|spare| spare.set(bytes));
        }
    }
}

impl Deref for Bytes {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Bytes {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

/// A stanza is where it should be.
pub(super) fn settle(gateway: &Gateway, outgoing: Outgoing) {
    match outgoing.origin {
        Origin::Judged { receipt, .. } => receipt.settle(Outcome::Delivered),
        Origin::Gateway(why) => gateway.metrics.made(why, Delivery::Delivered),
    }
}
