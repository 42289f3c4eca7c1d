//! The end of the journal, where records are added.
//!
//! In: objects that have been checked. Out: whole records in `current.jsonl`; the file is rotated
//! before it would grow too large. Fails as the file system does, and leaves the file as it was
//! before the call, or cuts it there before it writes again.

use std::fs::{self, File, OpenOptions};
use std::iter::Peekable;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::record::{self, Link, Note};
use super::recover::{self, Rotated};
use super::sheet::Sheet;
use super::{CURRENT, CutShort, JournalError};

#[derive(Debug)]
pub(super) struct Tail {
    dir: PathBuf,
    max_bytes: u64,
    link: Link,
    /// None between the rotation of one file and the beginning of the next.
    open: Option<Open>,
    /// How the next file will say that it begins.
    beginning: Note,
    /// Used again for all records.
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Open {
    sheet: Sheet<File>,
    first: u64,
    records: u64,
}

impl Tail {
    pub(super) fn open(dir: &Path, max_bytes: u64) -> Result<Self, JournalError> {
        let path = dir.join(CURRENT);
        let unreadable = |error| JournalError::io("cannot read", dir, &error);
        let found = recover::current(dir).map_err(unreadable)?;
        let last = found.as_ref().and_then(|contents| contents.last.clone());
        let (link, beginning) = match last {
            Some(link) => (link, Note::Created),
            None => match recover::predecessor(dir).map_err(unreadable)? {
                Some((after, link)) => {
                    let head = link.hash.clone();
                    (link, Note::Rotated { after, head })
                }
                None => (Link::genesis(), Note::Created),
            },
        };
        let mut tail = Self {
            dir: dir.to_owned(),
            max_bytes,
            link,
            open: None,
            beginning,
            buffer: Vec::new(),
        };
        match found {
            Some(found) if found.bytes > 0 => {
                let file = OpenOptions::new()
                    .append(true)
                    .open(&path)
                    .map_err(|error| JournalError::io("cannot open", &path, &error))?;
                let mut sheet = Sheet::new(file, found.bytes);
                if found.unended {
                    sheet
                        .put(b"\n")
                        .map_err(|error| JournalError::io("cannot write", &path, &error))?;
                }
                tail.open = Some(Open {
                    sheet,
                    first: found.first.unwrap_or(tail.link.seq + 1),
                    records: found.records,
                });
                if let Some((torn_bytes, torn_sha256)) = found.torn {
                    tail.close_torn(torn_bytes, torn_sha256)?;
                }
            }
            _ => tail.begin()?,
        }
        tracing::info!(dir = %dir.display(), seq = tail.link.seq, head = %tail.link.hash, "audit journal opened");
        Ok(tail)
    }

    pub(super) fn link(&self) -> &Link {
        &self.link
    }

    /// The current file, to be synced without the journal's lock.
    pub(super) fn handle(&self) -> Result<Option<(File, PathBuf)>, JournalError> {
        let Some(open) = &self.open else {
            return Ok(None);
        };
        let path = self.dir.join(CURRENT);
        match open.sheet.medium().try_clone() {
            Ok(file) => Ok(Some((file, path))),
            Err(error) => Err(JournalError::io("cannot sync", &path, &error)),
        }
    }

    /// Writes the objects with one call to the system for each file that takes some of them.
    pub(super) fn append<'a>(
        &mut self,
        objects: impl Iterator<Item = &'a str>,
    ) -> Result<(), CutShort> {
        let mut objects = objects.peekable();
        let mut appended = 0;
        while objects.peek().is_some() {
            let written = self.fill(&mut objects);
            appended += written.map_err(|error| CutShort { appended, error })?;
        }
        Ok(())
    }

    /// Writes as many as the file has room for, and at least one; says how many.
    fn fill<'a>(
        &mut self,
        objects: &mut Peekable<impl Iterator<Item = &'a str>>,
    ) -> Result<usize, JournalError> {
        // seq, prev and hash make about 180 bytes more.
        let size = |object: &str| object.len() as u64 + 200;
        let next = objects.peek().map_or(0, |object| size(object));
        let full = |open: &Open| open.records > 1 && open.sheet.len() + next > self.max_bytes;
        if self.open.as_ref().is_some_and(full) {
            self.rotate()?;
        }
        if self.open.is_none() {
            self.begin()?;
        }
        let room = self
            .open
            .as_ref()
            .map_or(0, |open| self.max_bytes.saturating_sub(open.sheet.len()));
        let mut records = Records::after(&self.link, std::mem::take(&mut self.buffer));
        while let Some(object) =
            objects.next_if(|object| records.count == 0 || records.len() + size(object) <= room)
        {
            records.add(object);
        }
        self.write(records)
    }

    /// Renames the current file and begins the next one.
    pub(super) fn rotate(&mut self) -> Result<(), JournalError> {
        if let Some(open) = &self.open {
            if open.records <= 1 {
                return Ok(());
            }
            let current = self.dir.join(CURRENT);
            let name = Rotated::name(open.first);
            let path = self.dir.join(&name);
            if path.exists() {
                return Err(JournalError::Unavailable(format!(
                    "{} is in the way of the rotation: move it away",
                    path.display()
                )));
            }
            open.sheet
                .medium()
                .sync_data()
                .and_then(|()| fs::rename(&current, &path))
                .and_then(|()| File::open(&self.dir)?.sync_all())
                .map_err(|error| JournalError::io("cannot rotate", &current, &error))?;
            tracing::info!(file = %name, seq = self.link.seq, head = %self.link.hash, "audit journal rotated");
            self.open = None;
            self.beginning = Note::Rotated {
                after: name,
                head: self.link.hash.clone(),
            };
        }
        self.begin()
    }

    /// Looks whether the current file is still the one that is written, so that a journal which
    /// somebody moves away or deletes does not go on in a file without a name.
    pub(super) fn check_place(&mut self) {
        let Some(open) = &self.open else { return };
        let path = self.dir.join(CURRENT);
        let same = match (open.sheet.medium().metadata(), fs::metadata(&path)) {
            (Ok(ours), Ok(theirs)) => ours.dev() == theirs.dev() && ours.ino() == theirs.ino(),
            _ => false,
        };
        if !same {
            tracing::error!(file = %path.display(), seq = self.link.seq, head = %self.link.hash,
                "the audit journal's current file was taken away while it was written");
            self.open = None;
            self.beginning = Note::Replaced {
                head: self.link.hash.clone(),
            };
        }
    }

    fn begin(&mut self) -> Result<(), JournalError> {
        let path = self.dir.join(CURRENT);
        let failed = |error| JournalError::io("cannot create", &path, &error);
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        if file.metadata().map_err(failed)?.len() > 0 {
            return Err(JournalError::Unavailable(format!(
                "{} is not the file that this gateway has written: move it away",
                path.display()
            )));
        }
        File::open(&self.dir)
            .and_then(|dir| dir.sync_all())
            .map_err(failed)?;
        self.open = Some(Open {
            sheet: Sheet::new(file, 0),
            first: self.link.seq + 1,
            records: 0,
        });
        let result = self.note(&self.beginning.object(&now()), "");
        if result.is_err() {
            self.open = None;
        }
        result
    }

    fn close_torn(&mut self, torn_bytes: u64, torn_sha256: String) -> Result<(), JournalError> {
        tracing::warn!(
            torn_bytes,
            seq = self.link.seq + 1,
            "the audit journal's last line was torn by a crash: a recovery record closes it"
        );
        let note = Note::Recovered {
            torn_bytes,
            torn_sha256,
        };
        self.note(&note.object(&now()), "\n")
    }

    /// Writes one record of the journal's own, after `before`.
    fn note(&mut self, object: &str, before: &str) -> Result<(), JournalError> {
        let mut records = Records::after(&self.link, std::mem::take(&mut self.buffer));
        records.bytes.extend_from_slice(before.as_bytes());
        records.add(object);
        self.write(records).map(drop)
    }

    /// Writes records in one call to the system, all or none; says how many.
    fn write(&mut self, records: Records) -> Result<usize, JournalError> {
        let Records { bytes, count, link } = records;
        let written = match &mut self.open {
            None => Err(JournalError::Unavailable("no file is open".to_owned())),
            Some(open) => match open.sheet.put(&bytes) {
                Ok(()) => {
                    open.records += count as u64;
                    self.link = link;
                    Ok(count)
                }
                Err(error) => Err(JournalError::io(
                    "cannot write",
                    &self.dir.join(CURRENT),
                    &error,
                )),
            },
        };
        self.buffer = bytes;
        written
    }
}

/// Records that are written together.
struct Records {
    bytes: Vec<u8>,
    count: usize,
    /// What the record after them continues.
    link: Link,
}

impl Records {
    /// None yet. They continue `last`; the buffer is used again.
    fn after(last: &Link, mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        Self {
            bytes,
            count: 0,
            link: last.clone(),
        }
    }

    fn add(&mut self, object: &str) {
        self.link = record::seal(&mut self.bytes, object, &self.link);
        self.count += 1;
    }

    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }
}

fn now() -> String {
    // The format of a time between the years 0 and 9999 cannot fail.
    OffsetDateTime::now_utc()
        .format(&Rfc3339)
        .unwrap_or_default()
}
