//! Sending over one output until it ends.
//!
//! In: the pair's queue, and an established stream. Out: stanzas that are settled. Where the peer
//! acknowledges them (XEP-0198), that is when it has; otherwise when they are written and flushed. Of
//! those that are not acknowledged there are never more than [`AWAITED`]: beyond that nothing is
//! written. When the stream is lost, what was surely not written waits in the queue again, and the
//! rest is bounced, since nobody knows what became of it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::Touched;
use super::delay;
use super::outgoing::{Origin, Outgoing};
use super::pair::{BATCH, Pair};
use super::undeliverable::{Why, undeliverable};
use crate::app::Gateway;
use crate::observe::{Delivery, Outcome};
use crate::session::{Acknowledged, Failure, Line, Lost, Output, Written};

/// A stream that ends sooner than this without having taken anything counts as a failed attempt.
const SHORT_LIFE: Duration = Duration::from_secs(5);
/// Stanzas that may wait for their acknowledgement on one stream: a second of a busy partner's traffic.
const AWAITED: usize = 1024;
/// How long a peer may say nothing at all about what it was asked to acknowledge. It is told to answer
/// at once, settled or not (XEP-0198 §4).
const ANSWER: Duration = Duration::from_secs(60);
/// Never, in a timer.
const FAR: Duration = Duration::from_secs(86_400);

/// Sends over an established stream until it ends. A failure if it was of no use.
pub(super) async fn carry(
    gateway: &Arc<Gateway>,
    pair: &Pair,
    output: Output,
) -> Result<(), Failure> {
    let of = Arc::<Acknowledged>::default();
    let carrier = Carrier {
        gateway,
        pair,
        output,
        acknowledged: of.subscribe(),
        of,
        awaited: VecDeque::new(),
        settled: 0,
        written: Instant::now(),
    };
    carrier.run().await
}

struct Carrier<'a> {
    gateway: &'a Arc<Gateway>,
    pair: &'a Pair,
    output: Output,
    of: Arc<Acknowledged>,
    acknowledged: watch::Receiver<u64>,
    /// Written, and not acknowledged.
    awaited: VecDeque<Outgoing>,
    /// How many stanzas were settled by this stream.
    settled: u64,
    /// When something was last written.
    written: Instant,
}

/// What a carrier is to do next.
enum Wake {
    Send,
    /// The peer has acknowledged something.
    Acknowledged,
    /// The peer acknowledges nothing.
    Unanswered,
    /// The process ends.
    Flushing,
    /// The stream does.
    Closing,
}

impl Carrier<'_> {
    async fn run(mut self) -> Result<(), Failure> {
        let opened = Instant::now();
        let mut delivered = 0;
        while self.output.is_open() {
            match self.wait().await {
                Wake::Closing => break,
                Wake::Flushing => {
                    self.output.leave();
                    break;
                }
                Wake::Unanswered => {
                    self.output.unanswered();
                    break;
                }
                Wake::Acknowledged => {
                    self.take_acknowledged();
                    continue;
                }
                Wake::Send => {}
            }
            // The end of a stream by a reload is to be seen before it is written to.
            if let Err(refusal) = self.output.may_send(self.gateway).await {
                if self.output.is_offered() && self.awaited.is_empty() {
                    return Err(Failure::Refused(refusal));
                }
                break;
            }
            let batch = self.pair.queue.take(BATCH);
            let to = Way {
                line: self.output.line(),
                of: &self.of,
                longest: self.output.longest(),
            };
            let sent = write(self.gateway, self.pair, to, batch).await;
            self.written = Instant::now();
            match sent {
                Sent::Delivered(more) => delivered += more,
                Sent::Awaited(batch) => self.awaited.extend(batch),
                Sent::Broken => {
                    self.output.broken();
                    break;
                }
            }
        }
        let offered = self.output.is_offered();
        let lost = self.output.over().await;
        self.take_acknowledged();
        let useless = delivered == 0 && self.settled == 0 && self.awaited.is_empty();
        let mut touched = Touched::default();
        for outgoing in std::mem::take(&mut self.awaited) {
            undeliverable(self.gateway, outgoing, &Why::Interrupted, &mut touched).await;
        }
        touched.wake();
        if !offered && lost == Lost::ByThem && useless && opened.elapsed() < SHORT_LIFE {
            return Err(Failure::ShortLived);
        }
        Ok(())
    }

    async fn wait(&mut self) -> Wake {
        let idle = self.pair.queue.is_empty() && self.awaited.is_empty();
        let awaits = !self.awaited.is_empty();
        let answer = match awaits {
            true => self.written.max(self.output.line().answered()) + ANSWER,
            false => Instant::now() + FAR,
        };
        tokio::select! {
            biased;
            () = self.output.closing() => Wake::Closing,
            Ok(()) = self.acknowledged.changed() => Wake::Acknowledged,
            () = self.gateway.phases.flushing.cancelled(), if idle => Wake::Flushing,
            () = self.pair.queue.filled(), if self.awaited.len() < AWAITED => Wake::Send,
            () = sleep_until(answer), if awaits => Wake::Unanswered,
        }
    }

    /// Settles what the peer has acknowledged.
    fn take_acknowledged(&mut self) {
        let acknowledged = *self.acknowledged.borrow_and_update();
        while self.settled < acknowledged
            && let Some(outgoing) = self.awaited.pop_front()
        {
            settle(self.gateway, outgoing);
            self.settled += 1;
        }
    }
}

/// Sends the gateway's own stanzas, before the stream ends.
pub(super) async fn last_words(gateway: &Arc<Gateway>, pair: &Pair, line: &Line) {
    loop {
        let batch = pair.queue.take_own(BATCH);
        if batch.is_empty() {
            return;
        }
        let to = Way {
            line,
            of: &Arc::default(),
            longest: None,
        };
        match write(gateway, pair, to, batch).await {
            Sent::Delivered(_) => {}
            // Nobody waits for more: the stream ends now.
            Sent::Awaited(batch) => batch
                .into_iter()
                .for_each(|outgoing| settle(gateway, outgoing)),
            Sent::Broken => return,
        }
    }
}

/// What became of a batch.
enum Sent {
    /// So many stanzas are settled.
    Delivered(usize),
    /// The peer will say.
    Awaited(Vec<Outgoing>),
    /// The stream is broken; each has gone its way.
    Broken,
}

/// Where a batch goes.
struct Way<'a> {
    line: &'a Line,
    of: &'a Arc<Acknowledged>,
    /// The longest stanza that the peer takes, in bytes, if it has said so.
    longest: Option<usize>,
}

/// Writes a batch. What is longer than the peer takes goes back.
async fn write(gateway: &Arc<Gateway>, pair: &Pair, to: Way<'_>, taken: Vec<Outgoing>) -> Sent {
    let mut bytes = Vec::with_capacity(BATCH);
    let mut batch = Vec::with_capacity(taken.len());
    let mut starts = Vec::with_capacity(taken.len());
    let mut touched = Touched::default();
    let limit = gateway.config().limits.stanza_bytes;
    let limit = to.longest.map_or(limit, |longest| longest.min(limit));
    for mut outgoing in taken {
        let start = bytes.len();
        let waited = outgoing.since.elapsed();
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
    let broken = match to.line.send(&bytes, batch.len(), to.of).await {
        Ok(Written::Delivered) => {
            let delivered = batch.len();
            batch
                .into_iter()
                .for_each(|outgoing| settle(gateway, outgoing));
            return Sent::Delivered(delivered);
        }
        Ok(Written::Awaited) => return Sent::Awaited(batch),
        Err(broken) => broken,
    };
    tracing::debug!(from = %pair.from, to = %pair.to, error = %broken, "a stream broke while it was written");
    let mut back = Vec::new();
    let mut touched = Touched::default();
    for (mut outgoing, start) in batch.into_iter().zip(starts) {
        if start >= broken.accepted && !outgoing.retried {
            outgoing.retried = true;
            back.push(outgoing);
        } else {
            undeliverable(gateway, outgoing, &Why::Interrupted, &mut touched).await;
        }
    }
    touched.wake();
    pair.queue.put_back(back);
    Sent::Broken
}

fn settle(gateway: &Gateway, outgoing: Outgoing) {
    match outgoing.origin {
        Origin::Judged { receipt, .. } => receipt.settle(Outcome::Delivered),
        Origin::Gateway(why) => gateway.metrics.made(why, Delivery::Delivered),
    }
}
