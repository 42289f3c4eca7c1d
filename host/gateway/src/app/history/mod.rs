//! The last generations, on disk: what to go back to.
//!
//! In: each generation that takes over, with everything that it was made from. Out: their list; a
//! generation of the past, complete; and the next free number, so that a number means one policy for
//! as long as the data directory lives. Below `<data_dir>/generations` (0700):
//!
//! - `NUMBER.generation` (0600): one [`Record`], behind the SHA-256 of it;
//! - `objects/SHA256` (0600): one file of a generation, stored once however many generations have it;
//! - `rolled-back` (0600), while a generation of the past judges: see [`Mark`].
//!
//! Each file is written under another name, synced and renamed, and its digest is checked when it is
//! read: half a file is never taken for one. What can fail: the disk is full, read-only or damaged.
//! Then generations change as ever, and who changes them is told what could not be kept.
//!
//! Not guaranteed: that what was kept can still be built; going back builds and tries it like any other.

mod disk;
mod record;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(super) use record::{Mark, Record};

use super::content::Bytes;
use crate::admin::protocol::{Generations, Kept};
use disk::Directory;

/// Why a generation of the past cannot be had. The operator's to know.
#[derive(Debug, thiserror::Error)]
pub(super) enum HistoryError {
    #[error("generation {0} is not kept; `portcullis generations` lists those that are")]
    NotKept(u64),
    #[error("no generation before this one is kept that said something else")]
    NoneBefore,
    #[error("what was kept of generation {number} cannot be used: {reason}")]
    Damaged { number: u64, reason: String },
}

/// See the module.
pub(super) struct History {
    directory: Directory,
    index: Mutex<Index>,
}

#[derive(Default)]
struct Index {
    /// By number, which is the highest of its run of equal policies.
    records: BTreeMap<u64, Entry>,
    /// What could not be read or written, the last time that it was tried.
    problems: Vec<String>,
    last: u64,
}

/// What is remembered of a [`Record`].
struct Entry {
    kept: Kept,
    identity: String,
    objects: BTreeSet<String>,
}

impl From<&Record> for Entry {
    fn from(record: &Record) -> Self {
        Self {
            kept: record.kept.clone(),
            identity: record.identity.clone(),
            objects: record.files.values().cloned().collect(),
        }
    }
}

impl History {
    /// Reads what is there. Blocks. Never fails: what cannot be read is a problem to be told.
    pub(super) fn open(data_dir: &Path) -> Self {
        let directory = Directory::new(data_dir.join("generations"));
        let mut index = Index::default();
        match directory.records() {
            Ok(records) => {
                for (number, record) in records {
                    // A damaged record still has a number that was used.
                    index.last = index.last.max(number);
                    match record {
                        Ok(record) => {
                            index.records.insert(number, Entry::from(&record));
                        }
                        Err(error) => index
                            .problems
                            .push(format!("generation {number} is damaged: {error}")),
                    }
                }
            }
            Err(error) => index
                .problems
                .push(format!("{}: {error}", directory.path().display())),
        }
        let needed = index.records.values().flat_map(|entry| &entry.objects);
        if let Err(error) = directory.sweep(&needed.collect()) {
            let text = format!("{}: {error}", directory.path().display());
            index.problems.push(text);
        }
        for problem in &index.problems {
            tracing::warn!("the history of generations: {problem}");
        }
        Self {
            directory,
            index: Mutex::new(index),
        }
    }

    /// The number of the next generation: higher than any before it.
    pub(super) fn next_number(&self) -> u64 {
        self.index().last + 1
    }

    /// Takes a number, whether its generation can be kept or not.
    pub(super) fn take(&self, number: u64) {
        let mut index = self.index();
        index.last = index.last.max(number);
    }

    /// Which generations are kept; `current` is the one that judges.
    pub(super) fn list(&self, current: u64) -> Generations {
        let index = self.index();
        let kept = index.records.values().rev().map(|entry| Kept {
            current: entry.kept.number == current,
            ..entry.kept.clone()
        });
        Generations {
            kept: kept.collect(),
            problems: index.problems.clone(),
        }
    }

    /// Keeps a generation, and no more than `most` in all. Blocks until it is on disk. An equal one
    /// right before it is replaced: a gateway that starts again and again forgets nothing.
    ///
    /// # Errors
    /// What the system said; the number is taken all the same.
    pub(super) fn keep(&self, record: Record, bytes: &Bytes, most: usize) -> io::Result<()> {
        let number = record.kept.number;
        self.take(number);
        let kept = self.write(record, bytes, most);
        self.index().problems = match &kept {
            Ok(()) => Vec::new(),
            Err(error) => vec![format!("generation {number} could not be kept: {error}")],
        };
        kept
    }

    fn write(&self, mut record: Record, bytes: &Bytes, most: usize) -> io::Result<()> {
        let number = record.kept.number;
        let before = {
            let index = self.index();
            let last = index.records.last_key_value();
            last.filter(|(_, entry)| entry.identity == record.identity)
                .map(|(before, entry)| (*before, entry.kept.first))
        };
        if let Some((_, first)) = before {
            record.kept.first = first;
        }
        for (path, digest) in &record.files {
            if let Some(bytes) = bytes.get(path) {
                self.directory.write_object(digest, bytes)?;
            }
        }
        self.directory.write_record(&record)?;
        let unused = {
            let mut index = self.index();
            index.records.insert(number, Entry::from(&record));
            let mut gone: Vec<u64> = before.into_iter().map(|(before, _)| before).collect();
            let beyond = index.records.len().saturating_sub(gone.len() + most);
            gone.extend(index.records.keys().take(beyond).copied());
            index.remove(&gone)
        };
        self.directory.forget(&unused.0, &unused.1)
    }

    /// The one to go back to from `current`: the last before it, and before what it was itself made
    /// from, that said something else.
    pub(super) fn before(&self, current: u64) -> Result<u64, HistoryError> {
        let index = self.index();
        let Some(now) = index.find(current) else {
            // The disk did not take the current one: the last that it took is before it.
            let last = index.records.range(..current).next_back();
            return last
                .map(|(number, _)| *number)
                .ok_or(HistoryError::NoneBefore);
        };
        let from = now.kept.made_from.unwrap_or(current);
        let first = index.find(from).map_or(from, |entry| entry.kept.first);
        let mut earlier = index.records.range(..first).rev();
        earlier
            .find(|(_, entry)| entry.identity != now.identity)
            .map(|(number, _)| *number)
            .ok_or(HistoryError::NoneBefore)
    }

    /// A generation of the past with the content of its files, each proven by its digest. Blocks.
    pub(super) fn load(&self, number: u64) -> Result<(Record, Bytes), HistoryError> {
        let kept = (self.index().find(number)).map(|entry| entry.kept.number);
        let newest = kept.ok_or(HistoryError::NotKept(number))?;
        let read = || -> io::Result<(Record, Bytes)> {
            let record = self.directory.read_record(newest)?;
            let mut bytes = Bytes::new();
            for (path, digest) in &record.files {
                let object = self.directory.read_object(digest)?;
                bytes.insert(path.clone(), Arc::from(object));
            }
            Ok((record, bytes))
        };
        read().map_err(|error| HistoryError::Damaged {
            number,
            reason: error.to_string(),
        })
    }

    /// Where each file of a generation lies, by its own path.
    pub(super) fn places(&self, record: &Record) -> BTreeMap<PathBuf, PathBuf> {
        let place = |(path, digest): (&PathBuf, &String)| {
            let object = self.directory.object(digest);
            (path.clone(), object)
        };
        record.files.iter().map(place).collect()
    }

    /// The rollback that was in force when the gateway ended, if one was. Blocks.
    ///
    /// # Errors
    /// There is a mark that cannot be read.
    pub(super) fn mark(&self) -> io::Result<Option<Mark>> {
        self.directory.read_mark()
    }

    /// Where the mark of a rollback is.
    pub(super) fn mark_file(&self) -> PathBuf {
        self.directory.mark()
    }

    /// Remembers, or forgets, that a generation of the past judges. Blocks.
    ///
    /// # Errors
    /// What the system said: a restart would not know of it.
    pub(super) fn set_mark(&self, mark: Option<&Mark>) -> io::Result<()> {
        self.directory.write_mark(mark)
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Index {
    /// The record whose run of equal policies has this number.
    fn find(&self, number: u64) -> Option<&Entry> {
        let (_, entry) = self.records.range(number..).next()?;
        (entry.kept.first <= number).then_some(entry)
    }

    /// Takes these out; the records and the objects that nobody needs any more.
    fn remove(&mut self, numbers: &[u64]) -> (Vec<u64>, Vec<String>) {
        let gone: Vec<_> = (numbers.iter())
            .filter_map(|number| self.records.remove(number).map(|entry| (*number, entry)))
            .collect();
        let needed: BTreeSet<&String> = (self.records.values())
            .flat_map(|entry| &entry.objects)
            .collect();
        let objects: BTreeSet<&String> = (gone.iter())
            .flat_map(|(_, entry)| &entry.objects)
            .filter(|object| !needed.contains(object))
            .collect();
        let objects = objects.into_iter().cloned().collect();
        (gone.iter().map(|(number, _)| *number).collect(), objects)
    }
}
