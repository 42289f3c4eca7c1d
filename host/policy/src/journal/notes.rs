//! What the gateway itself has to say in the journal.
//!
//! In: notes, from threads that must not wait for a disk. Out: records, in their order, from a thread of
//! its own that begins with the first note. While the journal cannot be written a note waits and is
//! tried again; what the bounded queue has no room for, and what still waits at the end, is in the
//! gateway's log alone, which says so.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{CutShort, JournalError, Shared};

/// Notes that may wait: each is a few hundred bytes, and pauses keep them rare.
const QUEUE: usize = 256;
/// How long after a failure the journal is tried again.
const RETRY: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Notes(Mutex<Option<Writer>>);

#[derive(Debug)]
struct Writer {
    queue: SyncSender<String>,
    closing: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Notes {
    /// Queues an object that is fit to be sealed; never waits.
    pub(super) fn tell(&self, journal: &Arc<Shared>, object: String) {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let told = match &mut *place {
            Some(writer) => Ok(writer),
            place => Writer::start(journal).map(|writer| place.insert(writer)),
        };
        match told.map(|writer| writer.queue.try_send(object)) {
            Ok(Ok(())) => {}
            Ok(Err(_)) => lost("too many wait to be written"),
            Err(error) => lost(&format!("cannot start a thread: {error}")),
        }
    }

    /// Writes what waits, if the journal takes it.
    pub(super) fn close(&self) {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(writer) = place.take() {
            writer.closing.store(true, Ordering::SeqCst);
            writer.thread.thread().unpark();
            drop(writer.queue);
            if writer.thread.join().is_err() {
                tracing::error!("the thread that writes notes into the audit journal panicked");
            }
        }
    }
}

impl Writer {
    fn start(journal: &Arc<Shared>) -> std::io::Result<Self> {
        let (queue, notes) = sync_channel(QUEUE);
        let closing = Arc::new(AtomicBool::new(false));
        let thread = thread::Builder::new()
            .name("journal-notes".to_owned())
            .spawn({
                let (journal, closing) = (Arc::clone(journal), Arc::clone(&closing));
                move || write(&journal, &notes, &closing)
            })?;
        Ok(Self {
            queue,
            closing,
            thread,
        })
    }
}

fn write(journal: &Shared, notes: &Receiver<String>, closing: &AtomicBool) {
    let mut before: Option<JournalError> = None;
    for note in notes {
        while let Err(CutShort { error, .. }) = journal.append(std::iter::once(note.as_str())) {
            if closing.load(Ordering::SeqCst) {
                lost(&error.to_string());
                break;
            }
            if before.as_ref() != Some(&error) {
                tracing::error!(%error, "what the log says of a plugin waits to be recorded in the audit journal");
                before = Some(error);
            }
            thread::park_timeout(RETRY);
        }
    }
}

fn lost(why: &str) {
    tracing::error!(
        why,
        "what the log says of a plugin is not recorded in the audit journal"
    );
}
