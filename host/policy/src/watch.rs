//! When files may have changed.
//!
//! In: directories (the plugins' and the configuration's). Out: "look again", once a burst of events
//! is over: [`QUIET`] after the last one, [`AT_MOST`] after the first. What was changed, and whether
//! anything was, the caller finds out by comparing digests.
//!
//! Directories are watched, not files: editors and package managers replace a file by renaming
//! another one over it. A directory that is deleted, moved away or swapped through a symbolic link is
//! watched again when there is one of its name: nothing tells of that, so its identity is looked at
//! every [`LOOK`].
//!
//! Can fail: the system gives no more watches. Then only that look remains, the log says so, and
//! SIGHUP and `portcullis reload` work as ever. Not guaranteed: events of network file systems, and
//! of what a symbolic link in a directory points at.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

/// How long no event may come before a burst counts as over: longer than a copy of a component
/// pauses between two writes.
pub const QUIET: Duration = Duration::from_millis(200);

/// How long a burst that does not end may keep the caller waiting.
pub const AT_MOST: Duration = Duration::from_secs(2);

/// How often the directories' identities are compared.
pub const LOOK: Duration = Duration::from_secs(1);

/// Why nothing can be watched.
#[derive(Debug, thiserror::Error)]
#[error("files cannot be watched ({0}): use SIGHUP or `portcullis reload` after a change")]
pub struct WatchError(#[from] notify::Error);

/// Watches directories until it is dropped.
#[derive(Debug)]
pub struct Watcher {
    /// Holds one permit: however many bursts nobody asked about are one "look again".
    changed: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Watcher {
    /// Watches these directories, whether they exist yet or not. Runs on the current tokio runtime.
    ///
    /// # Errors
    /// The system offers no notification at all.
    pub fn new(directories: impl IntoIterator<Item = PathBuf>) -> Result<Self, WatchError> {
        // One place: an event that finds it taken is part of a burst that is being waited for.
        let (event, events) = mpsc::channel(1);
        let watcher = notify::recommended_watcher(move |result: notify::Result<notify::Event>| {
            let looks = result
                .as_ref()
                .map_or(true, |event| !event.kind.is_access());
            if looks {
                // Full: see above. Closed: nobody watches any more.
                let _ = event.try_send(());
            }
        })?;
        let mut watched = Watched {
            watcher,
            directories: directories.into_iter().map(Directory::new).collect(),
        };
        watched.look();
        let changed = Arc::new(Notify::new());
        let task = tokio::spawn(watched.run(events, Arc::clone(&changed)));
        Ok(Self { changed, task })
    }

    /// Returns when something may have changed since it returned last. Nothing is lost if the future
    /// is dropped.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Watched {
    watcher: RecommendedWatcher,
    directories: BTreeSet<Directory>,
}

impl Watched {
    async fn run(mut self, mut events: mpsc::Receiver<()>, changed: Arc<Notify>) {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = events.recv() => {
                    if event.is_none() {
                        return;
                    }
                    settle(&mut events).await;
                    changed.notify_one();
                }
                _ = look.tick() => {
                    if self.look() {
                        changed.notify_one();
                    }
                }
            }
        }
    }

    /// Watches anew what is not the directory any more that was watched; says whether there was any.
    fn look(&mut self) -> bool {
        let mut moved = false;
        let directories = std::mem::take(&mut self.directories);
        for mut directory in directories {
            moved |= directory.look(&mut self.watcher);
            self.directories.insert(directory);
        }
        moved
    }
}

/// Waits until the burst that has begun is over.
async fn settle(events: &mut mpsc::Receiver<()>) {
    let last = Instant::now() + AT_MOST;
    loop {
        let quiet = (Instant::now() + QUIET).min(last);
        match timeout_at(quiet, events.recv()).await {
            Ok(Some(())) if Instant::now() < last => {}
            _ => return,
        }
    }
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Directory {
    path: PathBuf,
    /// Device and inode of what is watched under this name; none if nothing is.
    identity: Option<(u64, u64)>,
    /// Whether the log has said that it cannot be watched.
    complained: bool,
}

impl Directory {
    fn new(path: PathBuf) -> Self {
        Self {
            path,
            identity: None,
            complained: false,
        }
    }

    fn look(&mut self, watcher: &mut RecommendedWatcher) -> bool {
        let found = identity(&self.path);
        if found == self.identity {
            return false;
        }
        if self.identity.take().is_some() {
            // It fails if the system has dropped the watch with the directory.
            let _ = watcher.unwatch(&self.path);
        }
        if found.is_none() {
            return true;
        }
        match watcher.watch(&self.path, RecursiveMode::NonRecursive) {
            Ok(()) => {
                self.complained = false;
                self.identity = found;
            }
            Err(error) if !self.complained => {
                self.complained = true;
                tracing::error!(directory = %self.path.display(), %error,
                    "changes will not be noticed: use SIGHUP or `portcullis reload`");
            }
            Err(_) => return false,
        }
        true
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    metadata.is_dir().then(|| (metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// Far beyond what a loaded machine needs; only a failure takes so long.
    const PATIENCE: Duration = Duration::from_secs(30);

    async fn expect_change(watcher: &Watcher) {
        tokio::time::timeout(PATIENCE, watcher.changed())
            .await
            .expect("a change is reported");
    }

    /// Waits until everything that was done so far has been reported, whatever the number of reports.
    async fn expect_quiet(watcher: &Watcher) {
        while tokio::time::timeout(QUIET * 4, watcher.changed())
            .await
            .is_ok()
        {}
    }

    #[tokio::test]
    async fn a_written_file_is_reported_once() {
        let dir = tempfile::tempdir().unwrap();
        let watcher = Watcher::new([dir.path().to_owned()]).unwrap();
        for part in 0..20 {
            fs::write(dir.path().join(format!("{part}.wasm")), b"x").unwrap();
        }
        expect_change(&watcher).await;
        let again = tokio::time::timeout(QUIET * 2, watcher.changed()).await;
        assert!(again.is_err(), "one burst, one report");
    }

    #[tokio::test]
    async fn a_file_that_is_only_read_is_not_reported() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.wasm"), b"x").unwrap();
        let watcher = Watcher::new([dir.path().to_owned()]).unwrap();
        fs::read(dir.path().join("a.wasm")).unwrap();
        let read = tokio::time::timeout(QUIET * 3, watcher.changed()).await;
        assert!(read.is_err());
    }

    #[tokio::test]
    async fn an_editors_rename_over_the_file_is_reported() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("portcullis.toml");
        fs::write(&file, b"old").unwrap();
        let watcher = Watcher::new([dir.path().to_owned()]).unwrap();
        for text in ["new", "newer"] {
            let swap = dir.path().join(".portcullis.toml.swp");
            fs::write(&swap, text).unwrap();
            fs::rename(&swap, &file).unwrap();
            expect_change(&watcher).await;
            expect_quiet(&watcher).await;
        }
    }

    #[tokio::test]
    async fn a_directory_that_vanishes_and_returns_is_watched_again() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("plugins");
        fs::create_dir(&dir).unwrap();
        let watcher = Watcher::new([dir.clone()]).unwrap();
        fs::remove_dir_all(&dir).unwrap();
        expect_change(&watcher).await;
        expect_quiet(&watcher).await;
        fs::create_dir(&dir).unwrap();
        expect_change(&watcher).await;
        expect_quiet(&watcher).await;
        fs::write(dir.join("a.wasm"), b"x").unwrap();
        expect_change(&watcher).await;
    }

    #[tokio::test]
    async fn a_directory_that_is_swapped_through_a_link_is_watched_again() {
        let parent = tempfile::tempdir().unwrap();
        let (one, two) = (parent.path().join("1"), parent.path().join("2"));
        fs::create_dir(&one).unwrap();
        fs::create_dir(&two).unwrap();
        let link = parent.path().join("current");
        std::os::unix::fs::symlink(&one, &link).unwrap();
        let watcher = Watcher::new([link.clone()]).unwrap();
        let next = parent.path().join("next");
        std::os::unix::fs::symlink(&two, &next).unwrap();
        fs::rename(&next, &link).unwrap();
        expect_change(&watcher).await;
        expect_quiet(&watcher).await;
        fs::write(two.join("a.wasm"), b"x").unwrap();
        expect_change(&watcher).await;
    }

    #[tokio::test]
    async fn a_directory_that_comes_later_is_watched() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("plugins");
        let watcher = Watcher::new([dir.clone()]).unwrap();
        fs::create_dir(&dir).unwrap();
        expect_change(&watcher).await;
    }
}
