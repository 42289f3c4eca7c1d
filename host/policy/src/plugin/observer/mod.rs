//! A plugin that hears what was decided: everything, in order, on one instance.
//!
//! In: decisions, one by one. Out: batches to the plugin. A batch waits for more decisions,
//! [`GATHER`] (4 ms) or, where few come, [`GATHER_FEW`] (8 ms), unless it is full already or the
//! generation has retired; that is how late the plugin hears of a decision at least. No stanza waits for it. The queue is bounded. With
//! [`OnFailure::Closed`], [`Observer::tell`] waits while the queue is full or the plugin fails, so
//! that no stream is read meanwhile; with [`OnFailure::Open`] it never waits, and what is lost is
//! counted. Each observer has a thread of its own, since it writes to disks, and a slow disk must
//! hold up no runtime thread.
//!
//! Order over a swap: a new generation's observer begins when the old generation's observers have
//! taken their last batch. What is not guaranteed: a batch may be heard twice if the plugin failed
//! after it had written.
//!
//! An observer that fails is in quarantine of its own kind: told once when it begins and once when
//! it ends. `closed`: the batch is offered again after pauses that double. `open`: it is offered once
//! more after such a pause and given up; the queue is short, so what comes meanwhile is lost and
//! counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use ::time::OffsetDateTime;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::Plugin;
use crate::beside::Beside;
use crate::chain::Alive;
use crate::decision::Decision;
use crate::instance::{Failure, Instance};
use crate::journal::Ended;
use crate::spec::OnFailure;
use crate::status::Quarantine;

/// Decisions that may wait. Each may hold a stanza of `stanza_bytes`.
const QUEUE: usize = 1024;
/// Decisions in one call (WIT, `observer.observe`).
const BATCH: usize = 256;
/// How long a decision waits for others while many come. Short beside what the disk takes, and long
/// enough that the thread sleeps in between.
const GATHER: Duration = Duration::from_millis(4);
/// The same while few come: each call has costs of its own, and nobody waits for it.
const GATHER_FEW: Duration = Duration::from_millis(8);
/// A batch with less has few. So many in that time are a small part of the queue, so that none who begins
/// to send much finds it full before the pause is over.
const FEW: usize = 64;
/// The first pause after a failure; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause: how late a repaired disk is noticed.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long a retired generation's observer may go on failing before its last decisions are lost.
const LAST_TRIES: Duration = Duration::from_secs(10);
/// How long a new generation's observer waits for the old generation's to finish. Longer than
/// [`LAST_TRIES`] and one pause.
const HANDOVER: Duration = Duration::from_secs(30);

pub(crate) struct Observer {
    plugin: Arc<Plugin>,
    queue: mpsc::Sender<Arc<Decision>>,
    queued: AtomicU64,
    /// Since when.
    failing: watch::Receiver<Option<OffsetDateTime>>,
    taken: watch::Receiver<u64>,
    worker: Beside<Worker>,
}

struct Worker {
    plugin: Arc<Plugin>,
    instance: Option<Instance>,
    queue: mpsc::Receiver<Arc<Decision>>,
    failing: watch::Sender<Option<OffsetDateTime>>,
    taken: watch::Sender<u64>,
    /// How long to wait after the next failure.
    pause: Duration,
    /// How long the next decision waits for others.
    patience: Duration,
}

impl Observer {
    pub(crate) fn new(plugin: Arc<Plugin>, instance: Instance) -> Self {
        let (queue, receiver) = mpsc::channel(QUEUE);
        let (failing_sender, failing) = watch::channel(None);
        let (taken_sender, taken) = watch::channel(0);
        let worker = Worker {
            plugin: Arc::clone(&plugin),
            instance: Some(instance),
            queue: receiver,
            failing: failing_sender,
            taken: taken_sender,
            pause: FIRST_PAUSE,
            patience: GATHER,
        };
        Self {
            plugin,
            queue,
            queued: AtomicU64::new(0),
            failing,
            taken,
            worker: Beside::new("observer", worker),
        }
    }

    /// Starts to hear, once the generation before has been heard out. `alive` is held until the last
    /// batch is taken.
    pub(crate) fn begin(&self, before: Option<watch::Receiver<()>>, alive: Arc<Alive>) {
        self.worker.begin(self.plugin.name(), async move |worker| {
            worker.run(before).await;
            drop(alive);
        });
    }

    /// Queues a decision; see the module's head for when this waits.
    pub(crate) async fn tell(&self, decision: &Arc<Decision>) {
        let decision = Arc::clone(decision);
        let queued = match self.plugin.on_failure {
            OnFailure::Closed => match self.queue.try_send(decision) {
                Err(TrySendError::Full(decision)) => self.queue.send(decision).await.is_ok(),
                sent => sent.is_ok(),
            },
            OnFailure::Open => self.queue.try_send(decision).is_ok(),
        };
        if !queued {
            self.plugin.context.figures.lost.add(1);
            return;
        }
        self.queued.fetch_add(1, Relaxed);
        if self.plugin.on_failure == OnFailure::Closed && self.failing.borrow().is_some() {
            // An error means that the worker has ended, and failing with it.
            let _ = self.failing.clone().wait_for(Option::is_none).await;
        }
    }

    /// Waits until everything queued so far was taken or given up.
    pub(crate) async fn settled(&self) {
        let queued = self.queued.load(Relaxed);
        let _ = self.taken.clone().wait_for(|taken| *taken >= queued).await;
    }

    pub(crate) fn plugin(&self) -> &Arc<Plugin> {
        &self.plugin
    }

    pub(crate) fn quarantine(&self) -> Option<Quarantine> {
        let since = (*self.failing.borrow())?;
        Some(Quarantine { since, until: None })
    }
}

impl Worker {
    async fn run(mut self, before: Option<watch::Receiver<()>>) {
        if let Some(mut before) = before {
            // Nobody ever sends: it ends when the generation before is gone.
            if timeout(HANDOVER, before.changed()).await.is_err() {
                tracing::warn!(plugin = %self.plugin.name(), "the generation before still observes; decisions may be out of order");
            }
        }
        if !self.plugin.is_filter() && !self.plugin.is_gatekeeper() {
            self.started().await;
        }
        let mut batch = Vec::with_capacity(BATCH);
        while self.queue.recv_many(&mut batch, BATCH).await > 0 {
            self.gather(&mut batch).await;
            self.deliver(&batch).await;
            let taken = u64::try_from(batch.len()).unwrap_or(u64::MAX);
            self.taken
                .send_modify(|total| *total = total.saturating_add(taken));
            batch.clear();
        }
        let failing = *self.failing.borrow();
        if let Some(since) = failing {
            tracing::warn!(plugin = %self.plugin.name(), "the failing observer is gone with its generation");
            self.plugin.record_end(None, Ended::Gone, since);
        }
    }

    /// Lets more come: a call for each decision would cost more than the decisions.
    async fn gather(&mut self, batch: &mut Vec<Arc<Decision>>) {
        if batch.len() >= BATCH || self.queue.is_closed() {
            return;
        }
        sleep(self.patience).await;
        while batch.len() < BATCH
            && let Ok(decision) = self.queue.try_recv()
        {
            batch.push(decision);
        }
        self.patience = patience(batch.len());
    }

    async fn started(&mut self) {
        let Some(mut instance) = self.instance.take() else {
            return;
        };
        let since = Instant::now();
        let outcome = instance.started().await;
        self.plugin.context.figures.called(since.elapsed());
        match outcome {
            Ok(()) => self.instance = Some(instance),
            // The next batch has a new instance.
            Err(failure) => self.plugin.health.note(self.plugin.tell(&failure)),
        }
    }

    /// Offers a batch until it is taken, or until `on_failure` or the end of the generation says to
    /// give it up.
    async fn deliver(&mut self, batch: &[Arc<Decision>]) {
        let mut retired = None;
        let mut tries = 0_u32;
        loop {
            let Err(failure) = self.offer(batch).await else {
                self.works();
                return;
            };
            tries = tries.saturating_add(1);
            let text = self.plugin.tell(&failure);
            self.plugin.health.note(text.clone());
            let give_up = match self.plugin.on_failure {
                OnFailure::Open => tries > 1,
                OnFailure::Closed if self.queue.is_closed() => {
                    retired.get_or_insert_with(Instant::now).elapsed() > LAST_TRIES
                }
                OnFailure::Closed => false,
            };
            // One lost try of an open observer is no quarantine yet: the batch is not lost.
            if give_up || self.plugin.on_failure == OnFailure::Closed {
                self.fails(&text);
            }
            if give_up {
                let lost = u64::try_from(batch.len()).unwrap_or(u64::MAX);
                self.plugin.context.figures.lost.add(lost);
                if self.plugin.on_failure == OnFailure::Closed {
                    tracing::error!(plugin = %self.plugin.name(), failure = %text, lost,
                        "decisions were not observed and are lost with their generation");
                }
                return;
            }
            sleep(self.pause).await;
            self.pause = self.pause.saturating_mul(2).min(LONGEST_PAUSE);
        }
    }

    /// Tells once that the quarantine begins.
    fn fails(&self, failure: &str) {
        if self.failing.borrow().is_some() {
            return;
        }
        self.failing.send_replace(Some(OffsetDateTime::now_utc()));
        self.plugin.context.figures.quarantines.add(1);
        self.plugin.record_rest(None, failure, self.pause);
        let means = match self.plugin.on_failure {
            OnFailure::Closed => "no stream is read until it works again",
            OnFailure::Open => "decisions are lost and counted until it works again",
        };
        tracing::error!(plugin = %self.plugin.name(), failure, "the observer fails; {means}");
    }

    /// Tells once that the quarantine is over.
    fn works(&mut self) {
        self.pause = FIRST_PAUSE;
        if let Some(since) = self.failing.send_replace(None) {
            tracing::warn!(plugin = %self.plugin.name(), "the observer works again");
            self.plugin.record_end(None, Ended::Answers, since);
        }
    }

    async fn offer(&mut self, batch: &[Arc<Decision>]) -> Result<(), Failure> {
        let mut instance = match self.instance.take() {
            Some(instance) => instance,
            None => self.plugin.rebuild().await?,
        };
        let since = Instant::now();
        let outcome = instance.observe(batch).await;
        self.plugin.context.figures.called(since.elapsed());
        let word = outcome?;
        self.instance = Some(instance);
        word.map_err(Failure::Reported)
    }
}

/// How long the next decision waits for others, after a batch of so many.
fn patience(batch: usize) -> Duration {
    match batch < FEW {
        true => GATHER_FEW,
        false => GATHER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_sends_much_after_a_quiet_time_does_not_find_the_queue_full() {
        assert_eq!(patience(1), GATHER_FEW);
        assert_eq!(patience(BATCH), GATHER);
        // Ten times as fast as the fastest that still counts as few, for the whole of one pause.
        const { assert!(10 * (FEW - 1) < QUEUE) };
    }
}
