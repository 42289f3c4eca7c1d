//! A plugin that hears what was decided: everything, in order, on one instance.
//!
//! In: decisions, one by one, which wait whole or, for a plugin that looks at no stanza, as records
//! (`source`). Out: batches to the plugin (`worker`). A batch waits for more decisions, [`GATHER`] (4 ms)
//! or, where few come, [`GATHER_FEW`] (8 ms), unless many are there already or the generation has
//! retired; that is how late the plugin hears of a decision at least. No stanza waits for it. The queue
//! is bounded. With [`OnFailure::Closed`], [`Observer::tell`] waits while the queue is full or the plugin
//! fails, so that no stream is read meanwhile; with [`OnFailure::Open`] it never waits, and what is lost
//! is counted. Each observer has a thread of its own, since it writes to disks, and a slow disk must hold
//! up no runtime thread.
//!
//! Order over a swap: a new generation's observer begins when the old generation's observers have
//! taken their last batch. What is not guaranteed: a batch may be heard twice if the plugin failed
//! after it had written.
//!
//! An observer that fails is in quarantine of its own kind: told once when it begins and once when
//! it ends. `closed`: the batch is offered again after pauses that double. `open`: it is offered once
//! more after such a pause and given up; the queue is short, so what comes meanwhile is lost and
//! counted.

mod sheaves;
mod source;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::watch;

use self::sheaves::NotTaken;
pub(crate) use self::source::Told;
use self::source::{Queue, queue};
use self::worker::Worker;
use super::Plugin;
use crate::beside::Beside;
use crate::chain::Alive;
use crate::instance::Instance;
use crate::spec::OnFailure;
use crate::status::Quarantine;

/// Decisions that may wait. A whole one may hold a stanza of `stanza_bytes`; of records there are fewer where
/// they are long.
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
    queue: Queue,
    queued: AtomicU64,
    /// Since when.
    failing: watch::Receiver<Option<OffsetDateTime>>,
    taken: watch::Receiver<u64>,
    worker: Beside<Worker>,
}

impl Observer {
    pub(crate) fn new(plugin: Arc<Plugin>, instance: Instance) -> Self {
        let (queue, source) = queue(instance.hears());
        let (failing_sender, failing) = watch::channel(None);
        let (taken_sender, taken) = watch::channel(0);
        let worker = Worker {
            plugin: Arc::clone(&plugin),
            instance: Some(instance),
            source,
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

    /// Whether decisions wait for it whole.
    pub(crate) fn keeps_decisions(&self) -> bool {
        matches!(self.queue, Queue::Decisions(_))
    }

    /// Queues a decision; see the module's head for when this waits.
    pub(crate) async fn tell(&self, decision: &Told) {
        let mut queued = self.queue.put(decision);
        if queued == Err(NotTaken::Full) && self.plugin.on_failure == OnFailure::Closed {
            // Boxed: it is rare, and every stanza would carry room for it.
            queued = Box::pin(self.queue.put_when_there_is_room(decision)).await;
        }
        if queued.is_err() {
            self.plugin.context.figures.lost.add(1);
            return;
        }
        self.queued.fetch_add(1, Relaxed);
        if self.plugin.on_failure == OnFailure::Closed && self.failing.borrow().is_some() {
            // An error means that the worker has ended, and failing with it.
            let wait = async { self.failing.clone().wait_for(Option::is_none).await.is_ok() };
            Box::pin(wait).await;
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
