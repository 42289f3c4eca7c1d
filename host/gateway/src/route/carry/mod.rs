//! Sending over one output until it ends, and over the one that takes its place.
//!
//! In: the pair's queue, and an established stream. Out: stanzas that are settled. Where the peer
//! acknowledges them (XEP-0198), that is when it has; otherwise when they are written and flushed. Of
//! those that are not acknowledged there are never more than [`AWAITED`], nor more bytes than
//! [`AWAITED_BYTES`]: beyond that nothing is written. When the connection is lost and the stream can go on
//! over another one (`successor`), they wait for it, are written again there in order, and nothing goes
//! before them. When the stream is lost for good, what was surely not written waits in the queue again,
//! and the rest is bounced, since nobody knows what became of it.

mod successor;
mod write;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use self::successor::{Next, Patience};
use self::write::{Halted, Sent, Way, settle, write};
use super::Touched;
use super::delay;
use super::outgoing::Outgoing;
use super::pair::{BATCH, Pair};
use super::undeliverable::{Why, undeliverable};
use crate::app::Gateway;
use crate::session::{Acknowledged, Failure, Line, Lost, Output};

/// A stream that ends sooner than this without having taken anything counts as a failed attempt.
const SHORT_LIFE: Duration = Duration::from_secs(5);
/// Stanzas that may wait for their acknowledgement on one stream: a second of a busy partner's traffic.
const AWAITED: usize = 1024;
/// Bytes that may.
const AWAITED_BYTES: usize = 8 * 1024 * 1024;
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
        bytes: 0,
        settled: 0,
        delivered: 0,
        written: Instant::now(),
        patience: Patience::default(),
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
    /// What they cost.
    bytes: usize,
    /// How many stanzas were acknowledged.
    settled: u64,
    /// How many were written where nobody acknowledges them.
    delivered: usize,
    /// When something was last written.
    written: Instant,
    /// With a stream that breaks again and again.
    patience: Patience,
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
        loop {
            let opened = Instant::now();
            let halted = self.feed().await?;
            let offered = self.output.is_offered();
            let (lost, successor) = self.output.over().await;
            self.take_acknowledged();
            let useless = self.delivered == 0 && self.settled == 0 && self.awaited.is_empty();
            let next = self.next(successor, halted).await;
            // Who lets the stream go on, or does not, may have said how far it got.
            self.take_acknowledged();
            match next {
                Next::Same(output) => {
                    self.output = output;
                    if !self.again().await {
                        self.output.broken();
                    }
                }
                Next::Other(output) => {
                    self.give_up().await;
                    self.output = output;
                }
                Next::None(failure) => {
                    self.give_up().await;
                    let short = opened.elapsed() < SHORT_LIFE;
                    return match failure {
                        Some(failure) => Err(failure),
                        None if !offered && lost == Lost::ByThem && useless && short => {
                            Err(Failure::ShortLived)
                        }
                        None => Ok(()),
                    };
                }
            }
        }
    }

    /// Sends until the stream ends. Returns what it broke under.
    async fn feed(&mut self) -> Result<Option<Halted>, Failure> {
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
                Sent::Delivered(more) => self.delivered += more,
                Sent::Awaited(batch) => self.wait_for(batch),
                Sent::Broken(halted) => {
                    self.output.broken();
                    return Ok(Some(halted));
                }
            }
        }
        Ok(None)
    }

    /// Writes what is not acknowledged once more, in order, on the stream that takes the place of the lost
    /// one. False if that one breaks, too.
    async fn again(&mut self) -> bool {
        let limit = self.gateway.config().limits.stanza_bytes;
        let longest = self.output.longest();
        let limit = longest.map_or(limit, |longest| longest.min(limit));
        let mut bytes = Vec::with_capacity(BATCH);
        let mut left = self.awaited.len();
        for outgoing in &mut self.awaited {
            let waited = outgoing.since.elapsed();
            delay::mark(&mut outgoing.stanza, self.pair.ours(), waited, limit);
            outgoing.stanza.write_to(&mut bytes);
            left -= 1;
            if bytes.len() >= BATCH || left == 0 {
                if self.output.line().send_again(&bytes).await.is_err() {
                    return false;
                }
                bytes.clear();
            }
        }
        self.written = Instant::now();
        true
    }

    fn wait_for(&mut self, batch: Vec<Outgoing>) {
        self.bytes += batch.iter().map(Outgoing::size).sum::<usize>();
        self.awaited.extend(batch);
    }

    /// Nobody will say what became of what is not acknowledged.
    async fn give_up(&mut self) {
        let mut touched = Touched::default();
        for outgoing in std::mem::take(&mut self.awaited) {
            undeliverable(self.gateway, outgoing, &Why::Interrupted, &mut touched).await;
        }
        self.bytes = 0;
        touched.wake();
    }

    async fn wait(&mut self) -> Wake {
        let idle = self.pair.queue.is_empty() && self.awaited.is_empty();
        let awaits = !self.awaited.is_empty();
        let answer = match awaits {
            true => self.written.max(self.output.line().answered()) + ANSWER,
            false => Instant::now() + FAR,
        };
        let room = self.awaited.len() < AWAITED && self.bytes < AWAITED_BYTES;
        tokio::select! {
            biased;
            () = self.output.closing() => Wake::Closing,
            Ok(()) = self.acknowledged.changed() => Wake::Acknowledged,
            () = self.gateway.phases.flushing.cancelled(), if idle => Wake::Flushing,
            () = self.pair.queue.filled(), if room => Wake::Send,
            () = sleep_until(answer), if awaits => Wake::Unanswered,
        }
    }

    /// Settles what the peer has acknowledged.
    fn take_acknowledged(&mut self) {
        let acknowledged = *self.acknowledged.borrow_and_update();
        while self.settled < acknowledged
            && let Some(outgoing) = self.awaited.pop_front()
        {
            self.bytes = self.bytes.saturating_sub(outgoing.size());
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
            Sent::Broken(halted) => {
                halted.part(gateway, pair).await;
                return;
            }
        }
    }
}
