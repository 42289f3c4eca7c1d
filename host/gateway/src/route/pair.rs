//! One pair of domains: a queue, and the task that sends what is in it, over one stream at a time.
//!
//! In: the queue. Out: stanzas delivered: acknowledged where the peer does that, otherwise written and
//! flushed. When there is
//! something to send, the task takes a stream that the peer has opened and that goes both ways, or
//! opens one, so there is one attempt at a time; after a failed attempt everything that waits is bounced, and for a while whatever comes is bounced at once
//! instead of trying again. What is not acknowledged when a stream loses its connection waits until the
//! stream goes on over another one, if it can; otherwise what was surely not written is tried once more
//! on a new stream, and what may have been written is bounced (`carry`). Without work the task ends.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use portcullis_xmpp::jid::Domain;
use tokio::time::{Instant, sleep, sleep_until};

use super::Touched;
use super::carry::carry;
use super::queue::Queue;
use super::undeliverable::{Why, undeliverable};
use crate::admin::protocol;
use crate::app::Gateway;
use crate::connect::{Backoff, ConnectError};
use crate::session::{self, Failure};
use crate::tls::Side;

/// What one write takes from the queue, at most: enough to fill several TLS records, little enough
/// that a broken stream leaves few stanzas in doubt.
pub(super) const BATCH: usize = 64 * 1024;
/// The longest pause between attempts. A partner that is back is noticed within a minute.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How long a refusal by policy is taken as read.
const REFUSED: Duration = Duration::from_secs(1);
/// How long a task without stream and work stays: the answer to what it sent comes soon.
const LINGER: Duration = Duration::from_secs(10);
/// How long opening a stream may take once the process is ending.
const LAST_CALL: Duration = Duration::from_secs(6);

/// See the module.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) side: Side,
    pub(super) from: Domain,
    pub(super) to: Domain,
    pub(super) queue: Queue,
    state: Mutex<State>,
}

/// What the task of a pair is about.
#[derive(Debug, Clone)]
pub(super) enum State {
    Idle,
    Connecting,
    Connected,
    /// The connection is lost, and the stream is to go on over another one.
    Resuming,
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
            State::Resuming => ("resuming", None),
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
    pub(super) fn ours(&self) -> &Domain {
        match self.side {
            Side::Federation => &self.from,
            Side::Internal => &self.to,
        }
    }

    pub(super) fn is(&self, state: State) {
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
        let offered = gateway.router.offers.take(&pair.from, &pair.to);
        let waiting = pause.as_ref().filter(|pause| !pause.is_over(&gateway));
        if let (None, Some(pause)) = (&offered, waiting) {
            bounce_all(&gateway, &pair, &Why::NoStream(pair.side, &pause.failure)).await;
            continue;
        }
        let generation = gateway.chain.enter().number();
        let opened = match offered {
            Some(output) => welcome(&gateway, &pair).await.map(|()| output),
            None => {
                pair.is(State::Connecting);
                tokio::select! {
                    opened = session::open(&gateway, pair.side, &pair.from, &pair.to) => opened,
                    () = last_call(&gateway) => {
                        bounce_all(&gateway, &pair, &Why::Shutdown).await;
                        continue;
                    }
                }
            }
        };
        // The peer may have come to us while we could not come to it.
        let opened = match opened {
            Err(failure @ Failure::Refused(_)) => Err(failure),
            Err(failure) => gateway
                .router
                .offers
                .take(&pair.from, &pair.to)
                .ok_or(failure),
            opened @ Ok(_) => opened,
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

/// Whether something may be sent to the pair's partner, on a stream that it has opened itself.
pub(super) async fn welcome(gateway: &Gateway, pair: &Pair) -> Result<(), Failure> {
    match pair.side {
        Side::Federation => session::may_reach(gateway, &pair.to).await,
        Side::Internal => Ok(()),
    }
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
