//! One pair of domains: a queue, and the task that sends what is in it, over one stream at a time.
//!
//! In: the queue. Out: stanzas written and flushed, which is what *delivered* means. The task opens
//! the stream when there is something to send, so there is one attempt at a time; after a failed
//! attempt everything that waits is bounced, and for a while whatever comes is bounced at once
//! instead of trying again. What was surely not written when a stream dies is tried once more on a
//! new one; what may have been written is bounced. Without work the task ends.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use portcullis_xmpp::jid::Domain;
use tokio::time::{Instant, sleep, sleep_until};

use super::Touched;
use super::delay;
use super::outgoing::{Origin, Outgoing};
use super::queue::Queue;
use super::undeliverable::{Why, undeliverable};
use crate::admin::protocol;
use crate::app::Gateway;
use crate::connect::{Backoff, ConnectError};
use crate::observe::{Delivery, Outcome};
use crate::session::{self, Failure, Line, Lost, Output};
use crate::tls::Side;

/// What one write takes from the queue, at most: enough to fill several TLS records, little enough
/// that a broken stream leaves few stanzas in doubt.
const BATCH: usize = 64 * 1024;
/// The longest pause between attempts. A partner that is back is noticed within a minute.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How long a refusal by policy is taken as read.
const REFUSED: Duration = Duration::from_secs(1);
/// How long a task without stream and work stays: the answer to what it sent comes soon.
const LINGER: Duration = Duration::from_secs(10);
/// How long opening a stream may take once the process is ending.
const LAST_CALL: Duration = Duration::from_secs(6);
/// A stream that ends sooner than this without having taken anything counts as a failed attempt.
const SHORT_LIFE: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) side: Side,
    pub(super) from: Domain,
    pub(super) to: Domain,
    pub(super) queue: Queue,
    state: Mutex<State>,
}

#[derive(Debug, Clone)]
enum State {
    Idle,
    Connecting,
    Connected,
    Waiting(String),
}

impl Pair {
    pub(super) fn new(side: Side, from: Domain, to: Domain) -> Self {
        Self {
            side,
            from,
            to,
            queue: Queue::new(),
            state: Mutex::new(State::Idle),
        }
    }

    pub(super) fn status(&self) -> protocol::Queue {
        let (stanzas, bytes) = self.queue.len();
        let (state, last_failure) = match self
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
        {
            State::Idle => ("idle", None),
            State::Connecting => ("connecting", None),
            State::Connected => ("connected", None),
            State::Waiting(failure) => ("waiting", Some(failure)),
        };
        protocol::Queue {
            from: self.from.to_string(),
            to: self.to.to_string(),
            state: state.to_owned(),
            stanzas: stanzas as u64,
            bytes: bytes as u64,
            last_failure,
        }
    }

    /// The domain of the two that is ours. (Between two internal servers, the recipient's.)
    fn ours(&self) -> &Domain {
        match self.side {
            Side::Federation => &self.from,
            Side::Internal => &self.to,
        }
    }

    fn is(&self, state: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

/// A pause after a failed attempt.
struct Pause {
    until: Instant,
    failure: Failure,
    /// Another generation may see things differently.
    generation: u64,
}

impl Pause {
    fn is_over(&self, gateway: &Gateway) -> bool {
        self.until <= Instant::now() || self.generation != gateway.chain.enter().number()
    }
}

/// The task of one pair.
pub(super) async fn run(gateway: Arc<Gateway>, pair: Arc<Pair>) {
    let mut backoff = Backoff::new(LONGEST_PAUSE);
    let mut pause: Option<Pause> = None;
    while work(&gateway, &pair, pause.as_ref()).await {
        if gateway.phases.ended.is_cancelled() {
            bounce_all(&gateway, &pair, &Why::Shutdown).await;
            continue;
        }
        if let Some(pause) = pause.as_ref().filter(|pause| !pause.is_over(&gateway)) {
            bounce_all(&gateway, &pair, &Why::NoStream(pair.side, &pause.failure)).await;
            continue;
        }
        pair.is(State::Connecting);
        let generation = gateway.chain.enter().number();
        let opened = tokio::select! {
            opened = session::open(&gateway, pair.side, &pair.from, &pair.to) => opened,
            () = last_call(&gateway) => {
                bounce_all(&gateway, &pair, &Why::Shutdown).await;
                continue;
            }
        };
        let failure = match opened {
            Ok(output) => {
                pair.is(State::Connected);
                carry(&gateway, &pair, output).await.err()
            }
            Err(failure) => {
                gateway.metrics.connect_failed(pair.side);
                tracing::warn!(
                    side = %pair.side, from = %pair.from, to = %pair.to, reason = failure.to_string(),
                    "no stream could be opened"
                );
                Some(failure)
            }
        };
        pause = failure.map(|failure| {
            let now = Instant::now();
            let wait = match failure {
                // Asking again costs one call of a plugin.
                Failure::Refused(_) => REFUSED,
                // Somebody else tried.
                Failure::Connect(ConnectError::Resting { left, .. }) => left,
                _ => backoff.failed(now.into_std()),
            };
            Pause {
                until: now + wait,
                failure,
                generation,
            }
        });
        match &pause {
            Some(pause) => {
                pair.is(State::Waiting(pause.failure.to_string()));
                bounce_all(&gateway, &pair, &Why::NoStream(pair.side, &pause.failure)).await;
            }
            None => {
                backoff.succeeded();
                pair.is(State::Idle);
            }
        }
    }
    gateway.router.forget(&pair);
}

/// Until when a stream may still be opened: at the end of the process, so long that what bounces then
/// can still reach its sender over the streams that stand.
async fn last_call(gateway: &Gateway) {
    gateway.phases.flushing.cancelled().await;
    sleep(LAST_CALL).await;
}

/// Waits for something to send; false if the task should end.
async fn work(gateway: &Gateway, pair: &Pair, pause: Option<&Pause>) -> bool {
    let linger = match pause {
        // Whoever tries again soon after the pause should find it doubled.
        Some(pause) => pause.until + LONGEST_PAUSE,
        None => Instant::now() + LINGER,
    };
    tokio::select! {
        biased;
        () = pair.queue.filled() => true,
        () = gateway.phases.flushing.cancelled() => !pair.queue.end_if_empty(),
        () = sleep_until(linger) => !pair.queue.end_if_empty(),
    }
}

/// Sends over an established stream until it ends. A failure if it was of no use.
async fn carry(gateway: &Arc<Gateway>, pair: &Pair, mut output: Output) -> Result<(), Failure> {
    let opened = Instant::now();
    let mut delivered = 0_usize;
    while output.is_open() {
        let empty = pair.queue.is_empty();
        tokio::select! {
            biased;
            () = output.closing() => break,
            () = gateway.phases.flushing.cancelled(), if empty => {
                output.leave();
                break;
            }
            () = pair.queue.filled() => {}
        }
        // The end of a stream by a reload is to be seen before it is written to.
        if !output.may_send(gateway).await {
            break;
        }
        let batch = pair.queue.take(BATCH);
        match write(gateway, pair, output.line(), batch, output.longest()).await {
            Some(more) => delivered += more,
            None => {
                output.broken();
                break;
            }
        }
    }
    let lost = output.over().await;
    if lost == Lost::ByThem && delivered == 0 && opened.elapsed() < SHORT_LIFE {
        return Err(Failure::ShortLived);
    }
    Ok(())
}

/// Sends the gateway's own stanzas, before the stream ends.
pub(super) async fn last_words(gateway: &Arc<Gateway>, pair: &Pair, line: &Line) {
    loop {
        let batch = pair.queue.take_own(BATCH);
        if batch.is_empty() || write(gateway, pair, line, batch, None).await.is_none() {
            return;
        }
    }
}

/// Writes a batch; tells how many stanzas were delivered, or none if the stream is broken. What was
/// surely not written waits in the queue again. What is longer than the peer takes goes back.
async fn write(
    gateway: &Arc<Gateway>,
    pair: &Pair,
    line: &Line,
    taken: Vec<Outgoing>,
    longest: Option<usize>,
) -> Option<usize> {
    let mut bytes = Vec::with_capacity(BATCH);
    let mut batch = Vec::with_capacity(taken.len());
    let mut starts = Vec::with_capacity(taken.len());
    let mut touched = Touched::default();
    let limit = gateway.config().limits.stanza_bytes;
    let limit = longest.map_or(limit, |longest| longest.min(limit));
    for mut outgoing in taken {
        let start = bytes.len();
        let waited = outgoing.since.elapsed();
        delay::mark(&mut outgoing.stanza, pair.ours(), waited, limit);
        outgoing.stanza.write_to(&mut bytes);
        match longest.filter(|longest| bytes.len() - start > *longest) {
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
        return Some(0);
    }
    let Err(broken) = line.send(&bytes).await else {
        let delivered = batch.len();
        batch
            .into_iter()
            .for_each(|outgoing| settle(gateway, outgoing));
        return Some(delivered);
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
    None
}

fn settle(gateway: &Gateway, outgoing: Outgoing) {
    match outgoing.origin {
        Origin::Judged { receipt, .. } => receipt.settle(Outcome::Delivered),
        Origin::Gateway(why) => gateway.metrics.made(why, Delivery::Delivered),
    }
}

async fn bounce_all(gateway: &Arc<Gateway>, pair: &Pair, why: &Why<'_>) {
    let mut touched = Touched::default();
    loop {
        let batch = pair.queue.take(BATCH);
        if batch.is_empty() {
            break;
        }
        for outgoing in batch {
            undeliverable(gateway, outgoing, why, &mut touched).await;
        }
    }
    touched.wake();
}
