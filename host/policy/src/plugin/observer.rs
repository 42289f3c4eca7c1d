//! A plugin that hears what was decided: everything, in order, on one instance.
//!
//! In: decisions, one by one. Out: batches to the plugin. The queue is bounded. With
//! [`OnFailure::Closed`], [`Observer::tell`] waits while the queue is full or the plugin fails, so
//! that no stream is read meanwhile; with [`OnFailure::Open`] it never waits, and what is lost is
//! counted. Each observer has a thread of its own, since it writes to disks, and a slow disk must
//! hold up no runtime thread.
//!
//! Order over a swap: a new generation's observer begins when the old generation's observers have
//! taken their last batch. What is not guaranteed: a batch may be heard twice if the plugin failed
//! after it had written.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::Plugin;
use crate::chain::Alive;
use crate::decision::Decision;
use crate::instance::{Failure, Instance};
use crate::spec::OnFailure;

/// Decisions that may wait. Each may hold a stanza of `stanza_bytes`.
const QUEUE: usize = 1024;
/// Decisions in one call (WIT, `observer.observe`).
const BATCH: usize = 256;
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
    failing: watch::Receiver<bool>,
    taken: watch::Receiver<u64>,
    /// Until the generation goes live.
    worker: Mutex<Option<Worker>>,
}

struct Worker {
    plugin: Arc<Plugin>,
    instance: Option<Instance>,
    queue: mpsc::Receiver<Arc<Decision>>,
    failing: watch::Sender<bool>,
    taken: watch::Sender<u64>,
}

impl Observer {
    pub(crate) fn new(plugin: Arc<Plugin>, instance: Instance) -> Self {
        let (queue, receiver) = mpsc::channel(QUEUE);
        let (failing_sender, failing) = watch::channel(false);
        let (taken_sender, taken) = watch::channel(0);
        let worker = Worker {
            plugin: Arc::clone(&plugin),
            instance: Some(instance),
            queue: receiver,
            failing: failing_sender,
            taken: taken_sender,
        };
        Self {
            plugin,
            queue,
            queued: AtomicU64::new(0),
            failing,
            taken,
            worker: Mutex::new(Some(worker)),
        }
    }

    /// Starts to hear, once the generation before has been heard out. `alive` is held until the last
    /// batch is taken.
    pub(crate) fn begin(&self, before: Option<watch::Receiver<()>>, alive: Arc<Alive>) {
        let Some(worker) = self
            .worker
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        else {
            return;
        };
        let name = Arc::clone(self.plugin.name());
        let spawned = thread::Builder::new()
            .name(format!("observer-{name}"))
            .spawn(move || {
                let alive = alive;
                match tokio::runtime::Builder::new_current_thread()
                    .enable_time()
                    .build()
                {
                    Ok(runtime) => runtime.block_on(worker.run(before)),
                    Err(error) => {
                        tracing::error!(plugin = %name, %error, "the observer cannot run")
                    }
                }
                drop(alive);
            });
        if let Err(error) = spawned {
            tracing::error!(plugin = %self.plugin.name(), %error, "the observer's thread cannot start");
        }
    }

    /// Queues a decision; see the module's head for when this waits.
    pub(crate) async fn tell(&self, decision: &Arc<Decision>) {
        let decision = Arc::clone(decision);
        let queued = match self.plugin.on_failure {
            OnFailure::Closed => self.queue.send(decision).await.is_ok(),
            OnFailure::Open => self.queue.try_send(decision).is_ok(),
        };
        if !queued {
            self.plugin.counters.lost.fetch_add(1, Relaxed);
            return;
        }
        self.queued.fetch_add(1, Relaxed);
        if self.plugin.on_failure == OnFailure::Closed && *self.failing.borrow() {
            // An error means that the worker has ended, and failing with it.
            let _ = self.failing.clone().wait_for(|failing| !failing).await;
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

    pub(crate) fn is_failing(&self) -> bool {
        *self.failing.borrow()
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
            self.deliver(&batch).await;
            let taken = u64::try_from(batch.len()).unwrap_or(u64::MAX);
            self.taken
                .send_modify(|total| *total = total.saturating_add(taken));
            batch.clear();
        }
    }

    async fn started(&mut self) {
        let Some(mut instance) = self.instance.take() else {
            return;
        };
        let since = Instant::now();
        let outcome = instance.started().await;
        self.plugin.count(since);
        match outcome {
            Ok(()) => self.instance = Some(instance),
            Err(failure) => {
                // It has told the log; the next batch has a new instance.
                let _ = self.plugin.failed(&failure);
            }
        }
    }

    /// Offers a batch until it is taken, or until `on_failure` or the end of the generation says to
    /// give it up.
    async fn deliver(&mut self, batch: &[Arc<Decision>]) {
        let mut pause = FIRST_PAUSE;
        let mut retired = None;
        let mut tries = 0_u32;
        loop {
            let Err(failure) = self.offer(batch).await else {
                self.plugin.succeeded();
                break;
            };
            tries = tries.saturating_add(1);
            let text = failure.to_string();
            // It has told the log and the health record.
            let _ = self.plugin.failed(&failure);
            let give_up = match self.plugin.on_failure {
                OnFailure::Open => tries > 1,
                OnFailure::Closed if self.queue.is_closed() => {
                    retired.get_or_insert_with(Instant::now).elapsed() > LAST_TRIES
                }
                OnFailure::Closed => false,
            };
            if give_up {
                let lost = batch.len();
                self.plugin
                    .counters
                    .lost
                    .fetch_add(u64::try_from(lost).unwrap_or(u64::MAX), Relaxed);
                tracing::error!(plugin = %self.plugin.name(), failure = %text, lost, "decisions were not observed and are lost");
                break;
            }
            if self.plugin.on_failure == OnFailure::Closed && !self.failing.send_replace(true) {
                tracing::error!(plugin = %self.plugin.name(), failure = %text,
                    "the observer fails; no stream is read until it works again");
            }
            sleep(pause).await;
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        }
        if self.failing.send_replace(false) {
            tracing::warn!(plugin = %self.plugin.name(), "streams are read again");
        }
    }

    async fn offer(&mut self, batch: &[Arc<Decision>]) -> Result<(), Failure> {
        let mut instance = match self.instance.take() {
            Some(instance) => instance,
            None => self.plugin.rebuild().await?,
        };
        let since = Instant::now();
        let outcome = instance.observe(batch).await;
        self.plugin.count(since);
        let word = outcome?;
        self.instance = Some(instance);
        word.map_err(Failure::Reported)
    }
}
