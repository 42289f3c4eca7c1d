//! The one thread that writes the store to disk.
//!
//! In: a wake-up after a change, a request to flush, the end. Out: one transaction for all changes
//! since the last, at most [`WRITE_BEHIND`] after the first of them plus the time that the disk takes.
//! A write that fails is tried again every [`RETRY`]; meanwhile changes are refused.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::disk::Disk;
use super::space::Change;
use super::{Shared, StateError, lock};

/// How long a change may wait for others before the write begins. Half of the second that the
/// contract with plugins allows; the other half is for the disk.
const WRITE_BEHIND: Duration = Duration::from_millis(500);

/// How long to wait after a write that failed.
const RETRY: Duration = Duration::from_secs(1);

/// How often expired entries are taken off the disk if nothing else happens. Reads never see them.
const SWEEP: Duration = Duration::from_secs(10);

/// What passes between the callers and the thread.
#[derive(Debug, Default)]
pub(super) struct Signal {
    pending: Mutex<Pending>,
    wake: Condvar,
    done: Condvar,
}

#[derive(Debug, Default)]
struct Pending {
    /// When the next write is due, if there is something to write.
    due: Option<Instant>,
    /// Flushes asked for, and how many of these were answered.
    asked: u64,
    answered: u64,
    /// Why the last write failed, if it did.
    failure: Option<String>,
    stopping: bool,
}

impl Signal {
    /// Whether changes may be made.
    pub(super) fn writable(&self) -> Result<(), StateError> {
        let pending = lock(&self.pending);
        match &pending.failure {
            Some(failure) => Err(StateError::Unavailable(failure.clone())),
            None if pending.stopping => Err(StateError::Unavailable("it is closed".to_owned())),
            None => Ok(()),
        }
    }

    /// Says that there is something to write.
    pub(super) fn dirty(&self) {
        let mut pending = lock(&self.pending);
        if pending.due.is_none() {
            pending.due = Some(Instant::now() + WRITE_BEHIND);
            self.wake.notify_one();
        }
    }

    /// Waits until there is something to do: the flushes this turn answers, and whether it is the
    /// last.
    fn next_turn(&self) -> (u64, bool) {
        let sweep = Instant::now() + SWEEP;
        let mut pending = lock(&self.pending);
        while !pending.stopping && pending.asked == pending.answered {
            let due = pending.due.unwrap_or(sweep);
            let wait = due.saturating_duration_since(Instant::now());
            if wait.is_zero() {
                break;
            }
            pending = self
                .wake
                .wait_timeout(pending, wait)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        pending.due = None;
        (pending.asked, pending.stopping)
    }

    pub(super) fn finish_turn(&self, answered: u64, result: Result<(), String>) {
        let mut pending = lock(&self.pending);
        pending.answered = answered;
        match result {
            Ok(()) => {
                if pending.failure.take().is_some() {
                    tracing::info!("plugin state is written to disk again");
                }
            }
            Err(error) => {
                if pending.failure.is_none() {
                    tracing::error!(%error, "plugin state cannot be written: changes are refused until it can");
                }
                pending.failure = Some(error);
                pending.due = Some(Instant::now() + RETRY);
            }
        }
        self.done.notify_all();
    }
}

/// The thread's owner: ends it when dropped, after a last write.
#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(shared: Arc<Shared>, disk: Disk) -> std::io::Result<Self> {
        let thread = std::thread::Builder::new()
            .name("state".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || run(&shared, disk)
            })?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    pub(super) fn flush(&self) -> Result<(), StateError> {
        let signal = &self.shared.signal;
        let mut pending = lock(&signal.pending);
        pending.asked += 1;
        let ticket = pending.asked;
        signal.wake.notify_one();
        while pending.answered < ticket {
            if self.thread.as_ref().is_none_or(JoinHandle::is_finished) {
                return Err(StateError::Unavailable("its thread has ended".to_owned()));
            }
            // The timeout only serves to look at the thread again.
            pending = signal
                .done
                .wait_timeout(pending, RETRY)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        match &pending.failure {
            Some(failure) => Err(StateError::Unavailable(failure.clone())),
            None => Ok(()),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        lock(&self.shared.signal.pending).stopping = true;
        self.shared.signal.wake.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that writes plugin state panicked");
        }
    }
}

fn run(shared: &Shared, mut disk: Disk) {
    loop {
        let (answers, last) = shared.signal.next_turn();
        let result = write_changes(shared, &mut disk);
        shared.signal.finish_turn(answers, result);
        if last {
            return;
        }
    }
}

fn write_changes(shared: &Shared, disk: &mut Disk) -> Result<(), String> {
    let now = shared.now();
    let spaces: Vec<_> = lock(&shared.spaces)
        .iter()
        .map(|(plugin, space)| (Arc::clone(plugin), Arc::clone(space)))
        .collect();
    let mut taken: Vec<_> = spaces
        .iter()
        .map(|(plugin, space)| {
            let mut space = lock(space);
            space.sweep(now);
            (plugin, space.take_changes())
        })
        .collect();
    taken.retain(|(_, changes): &(_, Vec<Change>)| !changes.is_empty());
    if taken.is_empty() {
        return Ok(());
    }
    let batches: Vec<_> = taken
        .iter()
        .map(|(plugin, changes)| (&***plugin, changes.as_slice()))
        .collect();
    let result = disk.write(&batches);
    if result.is_err() {
        for (plugin, changes) in taken {
            if let Some((_, space)) = spaces.iter().find(|(name, _)| name == plugin) {
                lock(space).put_back(changes);
            }
        }
    }
    result
}
