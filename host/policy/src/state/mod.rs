//! What plugins must remember.
//!
//! In: the calls of a plugin's `state` import, under the plugin's own name. Out: answers from memory,
//! and at most a second later the same in one redb file below `data_dir`.
//!
//! Can fail: a key, a value or a plugin's share is too large (the plugin's fault), a value is no
//! counter (the plugin's fault), the file cannot be written (the operator's disk). While the last
//! write to disk failed, further changes are refused: what is answered with success is on disk within
//! a second, and a store that grew in memory alone would break that word in silence. Reads go on.
//!
//! Not guaranteed: what was written in the last second before a power failure or a kill. Expiry
//! follows the machine's wall clock and jumps with it.

mod disk;
mod space;
mod writer;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use disk::Disk;
use space::Space;
use writer::Writer;

/// The longest key in bytes.
pub const MAX_KEY: usize = 512;
/// The largest value in bytes.
pub const MAX_VALUE: usize = 64 * 1024;
/// Keys that one listing returns at most.
pub const MAX_LISTED: usize = 1000;

/// How much one plugin may remember.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Keys and values together, in bytes. All of it is in memory.
    pub bytes: usize,
    /// How many keys.
    pub keys: usize,
}

impl Default for Share {
    /// 16 MiB and 100,000 keys (WIT, interface `state`).
    fn default() -> Self {
        Self {
            bytes: 16 * 1024 * 1024,
            keys: 100_000,
        }
    }
}

/// The state of one plugin. The embedded store is the only implementation today; one that many
/// gateways share is to stand behind the same calls.
pub trait State: Send + Sync {
    /// The value of `key`, none if it was never set, was deleted, or its time is over.
    ///
    /// # Errors
    /// [`StateError::KeyTooLarge`].
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StateError>;

    /// Sets `key`, whatever was there before. It is forgotten after `ttl`, never if that is none.
    ///
    /// # Errors
    /// A limit, or a disk that does not take it.
    fn set(&self, key: &str, value: &[u8], ttl: Option<Duration>) -> Result<(), StateError>;

    /// Sets `key` if nothing is there; says whether it did. Atomic over all callers.
    ///
    /// # Errors
    /// As [`State::set`].
    fn set_if_absent(
        &self,
        key: &str,
        value: &[u8],
        ttl: Option<Duration>,
    ) -> Result<bool, StateError>;

    /// Adds to the counter at `key` (absent counts as 0) and returns the sum, which stays at the
    /// limits of `i64` instead of passing them. Atomic over all callers. The value is eight bytes,
    /// big-endian. `ttl` holds from the counter's first increment.
    ///
    /// # Errors
    /// As [`State::set`]; [`StateError::NotACounter`] if the value has another length.
    fn increment(&self, key: &str, by: i64, ttl: Option<Duration>) -> Result<i64, StateError>;

    /// Forgets `key`; says whether there was something.
    ///
    /// # Errors
    /// As [`State::set`].
    fn delete(&self, key: &str) -> Result<bool, StateError>;

    /// The keys that begin with `prefix`, in byte order, after the key `after`; at most `limit`,
    /// which is taken as 1 below 1 and as [`MAX_LISTED`] above it.
    ///
    /// # Errors
    /// [`StateError::KeyTooLarge`].
    fn keys(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StateError>;
}

/// Why nothing was read or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// The plugin's fault.
    #[error("a key of {0} bytes is longer than {MAX_KEY}")]
    KeyTooLarge(usize),
    /// The plugin's fault.
    #[error("a value of {0} bytes is larger than {MAX_VALUE}")]
    ValueTooLarge(usize),
    /// The plugin's fault: it must delete something or let it expire.
    #[error("the plugin's share of state is full ({} bytes, {} keys)", .0.bytes, .0.keys)]
    Full(Share),
    /// The plugin's fault.
    #[error("the value is no counter: it has {0} bytes instead of 8")]
    NotACounter(usize),
    /// The operator's fault, or the disk's; works again by itself once the disk does.
    #[error("state cannot be written: {0}")]
    Unavailable(String),
}

/// Why the store could not be opened. All of it is for the operator.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("{} is in use: does another gateway run with the same data_dir?", .0.display())]
    InUse(PathBuf),
    /// The file is no store, or its checksums are wrong.
    #[error(
        "{} is damaged ({reason}): restore it from a backup, or move it away, and plugins begin with no memory",
        path.display()
    )]
    Damaged {
        /// The store's file.
        path: PathBuf,
        /// What redb says.
        reason: String,
    },
    /// It cannot be read or created.
    #[error("{}: {reason}", path.display())]
    Io {
        /// The store's file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
}

/// The state of all plugins in one file. Dropping it writes what is left and ends the writing thread.
#[derive(Debug)]
pub struct Store {
    shared: Arc<Shared>,
    writer: Writer,
}

impl Store {
    /// Opens the store at `path`, creates it if there is none (mode 0600), and reads all of it.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Self::with_clock(path, Box::new(wall_clock))
    }

    fn with_clock(path: &Path, clock: Clock) -> Result<Self, OpenError> {
        let disk = Disk::open(path)?;
        let spaces = disk.load()?;
        let shared = Arc::new(Shared {
            spaces: Mutex::new(spaces),
            clock,
            signal: writer::Signal::default(),
        });
        let writer = Writer::start(Arc::clone(&shared), disk).map_err(|error| OpenError::Io {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(Self { shared, writer })
    }

    /// The state of the plugin of this name, with the default share. All handles of one name share
    /// what is in it.
    #[must_use]
    pub fn namespace(&self, plugin: &str) -> Namespace {
        let mut spaces = lock(&self.shared.spaces);
        let space = match spaces.get(plugin) {
            Some(space) => Arc::clone(space),
            None => {
                let space = Arc::new(Mutex::new(Space::default()));
                spaces.insert(Arc::from(plugin), Arc::clone(&space));
                space
            }
        };
        Namespace {
            space,
            shared: Arc::clone(&self.shared),
            share: Share::default(),
        }
    }

    /// Returns when everything that was changed before the call is on disk. Blocks for as long as
    /// the disk takes.
    ///
    /// # Errors
    /// [`StateError::Unavailable`] if the disk did not take it.
    pub fn flush(&self) -> Result<(), StateError> {
        self.writer.flush()
    }
}

/// One plugin's part of a [`Store`]. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Namespace {
    space: Arc<Mutex<Space>>,
    shared: Arc<Shared>,
    /// What this handle may fill. Handles of two generations may differ while both live.
    share: Share,
}

impl State for Namespace {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StateError> {
        space::check_key(key)?;
        Ok(lock(&self.space).get(key, self.shared.now()))
    }

    fn set(&self, key: &str, value: &[u8], ttl: Option<Duration>) -> Result<(), StateError> {
        self.change(|space, now| space.put(key, value, expiry(now, ttl), now, self.share))
    }

    fn set_if_absent(
        &self,
        key: &str,
        value: &[u8],
        ttl: Option<Duration>,
    ) -> Result<bool, StateError> {
        self.change(|space, now| {
            if space.holds(key, now) {
                return Ok(false);
            }
            space.put(key, value, expiry(now, ttl), now, self.share)?;
            Ok(true)
        })
    }

    fn increment(&self, key: &str, by: i64, ttl: Option<Duration>) -> Result<i64, StateError> {
        self.change(|space, now| space.add(key, by, expiry(now, ttl), now, self.share))
    }

    fn delete(&self, key: &str) -> Result<bool, StateError> {
        space::check_key(key)?;
        self.change(|space, now| Ok(space.remove(key, now)))
    }

    fn keys(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StateError> {
        space::check_key(prefix)?;
        let limit = limit.clamp(1, MAX_LISTED);
        Ok(lock(&self.space).keys(prefix, after, limit, self.shared.now()))
    }
}

impl Namespace {
    /// The same state through a handle that may fill so much of it. What is there beyond the share
    /// stays; nothing is added until it is below.
    #[must_use]
    pub fn limited(mut self, share: Share) -> Self {
        self.share = share;
        self
    }

    /// How much of the share is taken, expired entries included until they are swept.
    #[must_use]
    pub fn used(&self) -> Share {
        lock(&self.space).used()
    }

    /// What the handle may fill.
    #[must_use]
    pub fn share(&self) -> Share {
        self.share
    }

    /// Runs one change under the plugin's lock and wakes the writer if it is the first one since the
    /// last write.
    fn change<T>(
        &self,
        act: impl FnOnce(&mut Space, Millis) -> Result<T, StateError>,
    ) -> Result<T, StateError> {
        self.shared.signal.writable()?;
        let now = self.shared.now();
        let mut space = lock(&self.space);
        let clean = !space.is_dirty();
        let result = act(&mut space, now);
        let first = clean && space.is_dirty();
        drop(space);
        if first {
            self.shared.signal.dirty();
        }
        result
    }
}

/// Milliseconds since 1970, UTC.
type Millis = u64;
type Clock = Box<dyn Fn() -> Millis + Send + Sync>;
type Spaces = BTreeMap<Arc<str>, Arc<Mutex<Space>>>;

/// What the handles and the writing thread share.
struct Shared {
    spaces: Mutex<Spaces>,
    clock: Clock,
    signal: writer::Signal,
}

impl Shared {
    fn now(&self) -> Millis {
        (self.clock)()
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// A panic while a lock was held cannot leave a map half-changed in a way that matters here: every
/// change is one insertion or removal.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn expiry(now: Millis, ttl: Option<Duration>) -> Option<Millis> {
    ttl.map(|ttl| now.saturating_add(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)))
}

fn wall_clock() -> Millis {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
