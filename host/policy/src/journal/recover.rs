//! Where a journal that was closed, killed or torn goes on.
//!
//! In: a directory. Out: the last whole record, and what lies behind it in the current file. Reads
//! the current file once, at most `max_bytes`; the chain is not verified here (`audit verify` does),
//! only each line's own hash.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::CURRENT;
use super::record::{self, Link};
use super::walk::Walk;

/// A rotated file and its first sequence number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rotated {
    pub(super) first: u64,
    pub(super) path: PathBuf,
}

impl Rotated {
    /// The name of a file that begins with this record.
    pub(super) fn name(first: u64) -> String {
        format!("audit-{first:012}.jsonl")
    }

    fn parse(path: PathBuf) -> Option<Self> {
        let digits = path
            .file_name()?
            .to_str()?
            .strip_prefix("audit-")?
            .strip_suffix(".jsonl")?;
        if digits.len() < 12 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        Some(Self {
            first: digits.parse().ok()?,
            path,
        })
    }
}

/// The rotated files of a directory, oldest first.
pub(super) fn rotated(dir: &Path) -> io::Result<Vec<Rotated>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        files.extend(Rotated::parse(entry?.path()));
    }
    files.sort();
    Ok(files)
}

/// What a file holds.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// First sequence number and number of whole records.
    pub(super) first: Option<u64>,
    pub(super) records: u64,
    /// The last whole record.
    pub(super) last: Option<Link>,
    /// All bytes of the file.
    pub(super) bytes: u64,
    /// Whether the last whole record lacks nothing but its line break.
    pub(super) unended: bool,
    /// What is behind the last whole record: number of bytes and their SHA-256.
    pub(super) torn: Option<(u64, String)>,
}

/// Reads one file.
pub(super) fn contents(path: &Path) -> io::Result<Contents> {
    let mut found = Contents::default();
    let mut torn = Sha256::new();
    let mut torn_bytes = 0;
    let mut walk = Walk::open(path)?;
    while let Some(line) = walk.next()? {
        found.bytes += line.size();
        match &line.record {
            Ok(record) => {
                found.first.get_or_insert(record.seq);
                found.records += 1;
                found.last = Some(record.clone().link());
                found.unended = !line.ended;
                torn = Sha256::new();
                torn_bytes = 0;
            }
            Err(_) => {
                torn.update(line.bytes);
                if line.ended {
                    torn.update(b"\n");
                }
                torn_bytes += line.size();
            }
        }
    }
    if torn_bytes > 0 {
        found.torn = Some((torn_bytes, record::hex(torn)));
    }
    Ok(found)
}

/// The last record of the newest rotated file, and that file's name.
pub(super) fn predecessor(dir: &Path) -> io::Result<Option<(String, Link)>> {
    for file in rotated(dir)?.into_iter().rev() {
        let name = Rotated::name(file.first);
        if let Some(last) = contents(&file.path)?.last {
            return Ok(Some((name, last)));
        }
        tracing::error!(file = %file.path.display(), "a rotated audit file holds no record: see `portcullis audit verify`");
    }
    Ok(None)
}

/// The current file, none if there is none.
pub(super) fn current(dir: &Path) -> io::Result<Option<Contents>> {
    match contents(&dir.join(CURRENT)) {
        Ok(contents) => Ok(Some(contents)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
