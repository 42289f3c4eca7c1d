//! The files of the history.
//!
//! In: records, objects. Out: the same, proven by their digests. Every error is the system's, or
//! [`io::ErrorKind::InvalidData`] for a file that is not what was written.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::record::{Mark, Record};
use crate::app::content::hex;

const EXTENSION: &str = "generation";
/// How the names of files begin that are not renamed yet.
const TEMPORARY: &str = ".new-";

pub(super) struct Directory(PathBuf);

impl Directory {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Every record with its number, in no order; none if the directory is not there yet.
    pub(super) fn records(&self) -> io::Result<Vec<(u64, io::Result<Record>)>> {
        let entries = match fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut records = Vec::new();
        for entry in entries {
            let path = entry?.path();
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            let number = stem.and_then(|stem| stem.parse().ok());
            if let Some(number) = number
                && path.extension().is_some_and(|found| found == EXTENSION)
            {
                records.push((number, self.read_record(number)));
            }
        }
        Ok(records)
    }

    pub(super) fn read_record(&self, number: u64) -> io::Result<Record> {
        read_sealed(&self.record(number))
    }

    pub(super) fn write_record(&self, record: &Record) -> io::Result<()> {
        self.write(&self.record(record.kept.number), &sealed(record)?)
    }

    pub(super) fn object(&self, digest: &str) -> PathBuf {
        self.objects().join(digest)
    }

    /// What was stored under this digest.
    pub(super) fn read_object(&self, digest: &str) -> io::Result<Vec<u8>> {
        let path = self.object(digest);
        let bytes = fs::read(&path).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", path.display()))
        })?;
        if hex(&Sha256::digest(&bytes)) == digest {
            return Ok(bytes);
        }
        Err(damaged(&path, "it is not what was stored"))
    }

    /// Stores an object, unless it is there, whole.
    pub(super) fn write_object(&self, digest: &str, bytes: &[u8]) -> io::Result<()> {
        if hex(&Sha256::digest(bytes)) != digest {
            return Err(damaged(&self.object(digest), "its content has changed"));
        }
        match self.read_object(digest) {
            Ok(_) => Ok(()),
            Err(_) => self.write(&self.object(digest), bytes),
        }
    }

    /// Removes these. What is gone already is no error.
    pub(super) fn forget(&self, records: &[u64], objects: &[String]) -> io::Result<()> {
        let records = records.iter().map(|number| self.record(*number));
        let objects = objects.iter().map(|digest| self.object(digest));
        // Records first: none names an object that is not there.
        for path in records.chain(objects) {
            remove(&path)?;
        }
        Ok(())
    }

    /// Removes what a process that was killed left behind: files that were not renamed yet, and objects
    /// whose record was never written.
    pub(super) fn sweep(&self, needed: &BTreeSet<&String>) -> io::Result<()> {
        for directory in [&self.0, &self.objects()] {
            let Ok(entries) = fs::read_dir(directory) else {
                // Nothing was ever kept, or it was told already why nothing can be.
                continue;
            };
            for entry in entries {
                let path = entry?.path();
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let object = directory != &self.0 && !needed.contains(&name.to_string());
                if object || name.starts_with(TEMPORARY) {
                    remove(&path)?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn mark(&self) -> PathBuf {
        self.0.join("rolled-back")
    }

    pub(super) fn read_mark(&self) -> io::Result<Option<Mark>> {
        match read_sealed(&self.mark()) {
            Ok(mark) => Ok(Some(mark)),
            // The second: something is where the directory should be, so nobody can have rolled back.
            Err(error)
                if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind()) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn write_mark(&self, mark: Option<&Mark>) -> io::Result<()> {
        match mark {
            Some(mark) => self.write(&self.mark(), &sealed(mark)?),
            None => remove(&self.mark()),
        }
    }

    fn record(&self, number: u64) -> PathBuf {
        // So many digits that a list by name is a list by number.
        self.0.join(format!("{number:08}.{EXTENSION}"))
    }

    fn objects(&self) -> PathBuf {
        self.0.join("objects")
    }

    /// Writes beside the place, syncs and renames: a file is there whole or not at all.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let directory = path.parent().unwrap_or(&self.0);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
        // Made with mode 0600, and removed if it is not renamed.
        let mut temporary = tempfile::Builder::new()
            .prefix(TEMPORARY)
            .tempfile_in(directory)?;
        temporary.write_all(bytes)?;
        temporary.as_file().sync_all()?;
        temporary.persist(path).map_err(|error| error.error)?;
        File::open(directory)?.sync_all()
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// A line with the digest of the rest, and the rest.
fn sealed(document: &impl Serialize) -> io::Result<Vec<u8>> {
    let text = serde_json::to_vec_pretty(document)?;
    let mut bytes = hex(&Sha256::digest(&text)).into_bytes();
    bytes.push(b'\n');
    bytes.extend(text);
    Ok(bytes)
}

fn read_sealed<T: DeserializeOwned>(path: &Path) -> io::Result<T> {
    let bytes = fs::read(path)?;
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    let (Some(digest), Some(text)) = (parts.next(), parts.next()) else {
        return Err(damaged(path, "it is not whole"));
    };
    if hex(&Sha256::digest(text)).as_bytes() != digest {
        return Err(damaged(path, "it is not what was written"));
    }
    serde_json::from_slice(text).map_err(|error| damaged(path, &error.to_string()))
}

fn damaged(path: &Path, reason: &str) -> io::Error {
    io::Error::new(
        ErrorKind::InvalidData,
        format!("{}: {reason}", path.display()),
    )
}
