//! The audit journal: append-only, chained by hashes.
//!
//! In: one JSON object per call, from an observer plugin; notes of the gateway itself. Out: `<dir>/current.jsonl`, one record a
//! line: the object as it came, with `seq`, `prev` and `hash` as its last keys (`record.rs` says how
//! the hash is made). A full file is renamed to `audit-<first seq, 12 digits>.jsonl`; the next begins
//! with a record that names it and continues its chain. Records of the journal itself, and of plugins
//! that were left alone, have the key `journal`, which no plugin can write.
//!
//! When [`Append::append`] returns, the record is with the operating system, so it survives the end
//! of this process; it is on disk half a second later ([`SYNC_DELAY`]) plus what the disk takes.
//!
//! Can fail: an object that is none (the plugin's fault), a full disk, any other trouble with files
//! (the operator's). After a failure the file ends with the last whole record, and the next call tries
//! again: when the disk has room, records go on with no gap in the chain.
//!
//! Not guaranteed: the chain proves that no record was changed, removed or inserted *between* two
//! records that are there. Whoever can write the directory can cut off the end and write another
//! one; compare with the head hashes that every rotation puts into the gateway's log.

mod notes;
mod record;
mod recover;
mod sheet;
mod tail;
#[cfg(test)]
mod tests;
mod verify;
mod walk;

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use notes::Notes;
pub(crate) use record::{Ended, Note, Subject};
use tail::Tail;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
pub use verify::{Broken, Fault, Recovery, Report, verify};

/// The newest file.
pub const CURRENT: &str = "current.jsonl";

/// How long a record may wait for others before the file is synced. Half of the second that the
/// contract with plugins allows; the other half is for the disk.
pub const SYNC_DELAY: Duration = Duration::from_millis(500);

/// The longest line that is taken, in bytes.
pub const MAX_LINE: usize = 1024 * 1024;

/// Where records are appended. The embedded [`Journal`] is the only implementation today; a stream
/// that many gateways write is to stand behind the same calls.
pub trait Append: Send + Sync {
    /// Appends one JSON object.
    ///
    /// # Errors
    /// See [`JournalError`]. Nothing of the line is in the journal then.
    fn append(&self, line: &str) -> Result<(), JournalError>;

    /// Appends JSON objects that the gateway itself has made, in as few writes as there are files for
    /// them. The caller bounds how much that is.
    ///
    /// # Errors
    /// [`CutShort`]: those that it counts are in the journal, and nothing of the others.
    fn append_own(&self, objects: &[&str]) -> Result<(), CutShort>;

    /// Returns when everything that was appended before the call is on disk.
    ///
    /// # Errors
    /// [`JournalError::Full`] or [`JournalError::Unavailable`].
    fn flush(&self) -> Result<(), JournalError>;
}

/// Why nothing was appended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// The plugin's fault.
    #[error("this is no audit record: {0}")]
    Malformed(String),
    /// The operator's: make room, and it goes on.
    #[error("no space left on the device of the audit journal")]
    Full,
    /// The operator's, or the disk's.
    #[error("the audit journal cannot be written: {0}")]
    Unavailable(String),
}

impl JournalError {
    fn io(what: &str, path: &Path, error: &std::io::Error) -> Self {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        match error.kind() {
            StorageFull | QuotaExceeded => Self::Full,
            _ => Self::Unavailable(format!("{what} {}: {error}", path.display())),
        }
    }
}

/// Not all of some records could be appended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("after {appended} records: {error}")]
pub struct CutShort {
    /// How many were, of the first ones.
    pub appended: usize,
    /// Why the next one was not.
    pub error: JournalError,
}

/// How the journal is kept.
#[derive(Debug, Clone)]
pub struct Settings {
    /// A file that would grow beyond so many bytes is rotated. Default 64 MiB: a file that any tool
    /// still opens.
    pub max_bytes: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_bytes: 64 * 1024 * 1024,
        }
    }
}

/// The journal in one directory. Dropping it syncs and ends the syncing thread.
#[derive(Debug)]
pub struct Journal {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    notes: Notes,
    /// Holds the lock that keeps a second gateway out.
    _lock: File,
}

#[derive(Debug)]
struct Shared {
    inner: Mutex<Inner>,
    wake: Condvar,
}

#[derive(Debug)]
struct Inner {
    tail: Tail,
    /// When the file has to be synced, if something was written since the last time.
    due: Option<Instant>,
    /// Why the last sync failed, if it did: what it was to bring to disk may be lost.
    unsynced: Option<JournalError>,
    stopping: bool,
}

impl Journal {
    /// Opens the journal in `dir`, creates the directory (mode 0700) and its first file (mode 0600)
    /// if there is none, and closes a torn last line with a recovery record.
    ///
    /// # Errors
    /// [`JournalError::Unavailable`] with the reason, or [`JournalError::Full`].
    pub fn open(dir: &Path, settings: Settings) -> Result<Self, JournalError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|error| JournalError::io("cannot create", dir, &error))?;
        let lock = exclusive(dir)?;
        let tail = Tail::open(dir, settings.max_bytes)?;
        let shared = Arc::new(Shared {
            inner: Mutex::new(Inner {
                tail,
                due: Some(Instant::now()),
                unsynced: None,
                stopping: false,
            }),
            wake: Condvar::new(),
        });
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || shared.sync_when_due()
            })
            .map_err(|error| JournalError::io("cannot start the thread of", dir, &error))?;
        Ok(Self {
            shared,
            thread: Some(thread),
            notes: Notes::default(),
            _lock: lock,
        })
    }

    /// Begins a new file now, unless the current one has nothing but its first record.
    ///
    /// # Errors
    /// As [`Append::append`]. The next append tries again.
    pub fn rotate(&self) -> Result<(), JournalError> {
        let mut inner = self.shared.lock();
        inner.tail.rotate()?;
        inner.due = None;
        Ok(())
    }

    /// Sequence number and hash of the last record.
    #[must_use]
    pub fn head(&self) -> (u64, String) {
        let inner = self.shared.lock();
        let link = inner.tail.link();
        (link.seq, link.hash.clone())
    }

    /// Records what the gateway itself has to say, soon and without waiting for a disk. What cannot
    /// be recorded is told in the log.
    pub(crate) fn note(&self, note: &Note) {
        let time = OffsetDateTime::now_utc().format(&Rfc3339);
        self.notes
            .tell(&self.shared, note.object(&time.unwrap_or_default()));
    }
}

impl Append for Journal {
    fn append(&self, line: &str) -> Result<(), JournalError> {
        let object = record::check(line).map_err(JournalError::Malformed)?;
        let appended = self.shared.append(std::iter::once(object));
        appended.map_err(|cut_short| cut_short.error)
    }

    fn append_own(&self, objects: &[&str]) -> Result<(), CutShort> {
        self.shared.append(objects.iter().copied())
    }

    fn flush(&self) -> Result<(), JournalError> {
        self.shared.lock().sync()
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.notes.close();
        self.shared.lock().stopping = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that syncs the audit journal panicked");
        }
    }
}

impl Shared {
    /// The lock is poisoned only if a bug panicked inside: [`Tail`] then still knows the length of
    /// the whole records, and cuts the file there before it writes again.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append<'a>(&self, objects: impl Iterator<Item = &'a str>) -> Result<(), CutShort> {
        let mut inner = self.lock();
        if inner.unsynced.is_some() {
            // Not to be told "appended" while what came before may never reach the disk.
            inner
                .sync()
                .map_err(|error| CutShort { appended: 0, error })?;
        }
        let result = inner.tail.append(objects);
        if inner.due.is_none() {
            inner.due = Some(Instant::now() + SYNC_DELAY);
            self.wake.notify_one();
        }
        result
    }

    fn sync_when_due(&self) {
        let mut inner = self.lock();
        loop {
            let wait = inner
                .due
                .map(|due| due.saturating_duration_since(Instant::now()));
            match wait {
                _ if inner.stopping => break,
                None => {
                    inner = self
                        .wake
                        .wait(inner)
                        .unwrap_or_else(PoisonError::into_inner);
                }
                Some(wait) if !wait.is_zero() => {
                    inner = self
                        .wake
                        .wait_timeout(inner, wait)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0;
                }
                Some(_) => {
                    // The disk may take long; appends go on meanwhile.
                    inner.due = None;
                    let file = inner.tail.handle();
                    drop(inner);
                    let result = file.and_then(|file| sync(file.as_ref()));
                    inner = self.lock();
                    inner.synced(result);
                }
            }
        }
        // Whether it worked is in the log; there is nobody left to tell.
        let _ = inner.sync();
    }
}

impl Inner {
    fn sync(&mut self) -> Result<(), JournalError> {
        self.due = None;
        let result = self.tail.handle().and_then(|file| sync(file.as_ref()));
        self.synced(result.clone());
        result
    }

    fn synced(&mut self, result: Result<(), JournalError>) {
        match result {
            Ok(()) => {
                if self.unsynced.take().is_some() {
                    tracing::info!("the audit journal reaches the disk again");
                }
                self.tail.check_place();
            }
            Err(error) => {
                tracing::error!(%error, "the audit journal may not have reached the disk");
                self.unsynced = Some(error);
            }
        }
    }
}

fn sync(file: Option<&(File, PathBuf)>) -> Result<(), JournalError> {
    match file {
        None => Ok(()),
        Some((file, path)) => file
            .sync_data()
            .map_err(|error| JournalError::io("cannot sync", path, &error)),
    }
}

/// Two writers would tear the chain apart.
fn exclusive(dir: &Path) -> Result<File, JournalError> {
    let path = dir.join(".lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(|error| JournalError::io("cannot open", &path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(JournalError::Unavailable(format!(
            "{} is in use: does another gateway run with the same data_dir?",
            dir.display()
        ))),
        Err(TryLockError::Error(error)) => Err(JournalError::io("cannot lock", &path, &error)),
    }
}
