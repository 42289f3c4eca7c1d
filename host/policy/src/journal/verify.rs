//! `portcullis audit verify`: is this the journal that was written?
//!
//! In: a directory, also while a gateway writes it. Out: what is there, or the first broken record:
//! file, line, sequence number, and what is wrong. Reads only.
//!
//! What it cannot see: records cut off at the end (compare [`Report::head`] with the gateway's log),
//! and the oldest files taken away (compare [`Report::first_seq`]); both leave a chain that holds.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::CURRENT;
use super::record::{self, Flaw, GENESIS, Link, Note, Record};
use super::recover::{self, Rotated};
use super::walk::{Line, Walk};

/// A journal in which no record is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Files read.
    pub files: usize,
    /// Whole records.
    pub records: u64,
    /// Number of the oldest record; 1 unless older files were taken away.
    pub first_seq: u64,
    /// Number of the newest record.
    pub last_seq: u64,
    /// Hash of the newest record.
    pub head: String,
    /// Lines that a crash tore and the gateway closed.
    pub recoveries: Vec<Recovery>,
    /// Bytes behind the newest record: it is being written, or a crash tore it and no gateway has
    /// been started since.
    pub unfinished_bytes: u64,
}

/// A torn line, and the record that closed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// Where.
    pub file: PathBuf,
    /// The torn line, counted from 1.
    pub line: u64,
    /// The record that closed it.
    pub seq: u64,
    /// The bytes that are no record.
    pub bytes: u64,
}

/// The first broken record.
#[derive(Debug)]
pub struct Broken {
    /// Where.
    pub file: PathBuf,
    /// Counted from 1; 0 if no line is meant.
    pub line: u64,
    /// The record's number: its own if that can be read, else the one expected there.
    pub seq: u64,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong with a record.
#[derive(Debug)]
pub enum Fault {
    /// There is no journal in the directory.
    NoJournal,
    /// A file cannot be read.
    Unreadable(io::Error),
    /// The line is no record, and no recovery record closes it.
    NoRecord,
    /// The record is not the one whose hash it carries.
    Edited,
    /// The record is whole, but continues another one: the one before it was replaced, or it was
    /// itself.
    Unlinked,
    /// Records from this number on are missing before it, in the middle of a file.
    Gap(u64),
    /// Records from this number on are missing before it: a whole file is gone.
    MissingFile(u64),
    /// The number is not larger than the one before: the record was moved or copied.
    OutOfOrder,
    /// The file's name announces another first record.
    Misnamed,
    /// Rotated files are there, but not the current one.
    NoCurrent,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ", line {}, record {}", self.line, self.seq)?;
        }
        f.write_str(": ")?;
        let last = self.seq.saturating_sub(1);
        match &self.fault {
            Fault::NoJournal => f.write_str("there is no audit journal here"),
            Fault::Unreadable(error) => write!(f, "cannot be read: {error}"),
            Fault::NoRecord => {
                f.write_str("this is no whole record, and no recovery record closes it")
            }
            Fault::Edited => f.write_str("hash mismatch: the record was edited"),
            Fault::Unlinked => write!(
                f,
                "it does not continue record {last}: one of the two was replaced"
            ),
            Fault::Gap(first) => write!(f, "records {first} to {last} are missing before it"),
            Fault::MissingFile(first) => write!(
                f,
                "records {first} to {last} are missing before it: the file {} is gone",
                Rotated::name(*first)
            ),
            Fault::OutOfOrder => f.write_str("out of order: the record was moved or copied"),
            Fault::Misnamed => f.write_str("the file's name announces another first record"),
            Fault::NoCurrent => write!(f, "{CURRENT} is missing"),
        }
    }
}

impl std::error::Error for Broken {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.fault {
            Fault::Unreadable(error) => Some(error),
            _ => None,
        }
    }
}

/// Walks all files of the journal in `dir`, oldest first.
///
/// # Errors
/// The first broken record.
pub fn verify(dir: &Path) -> Result<Report, Broken> {
    let whole = |fault| Broken {
        file: dir.to_owned(),
        line: 0,
        seq: 0,
        fault,
    };
    let rotated = recover::rotated(dir).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => whole(Fault::NoJournal),
        _ => whole(Fault::Unreadable(error)),
    })?;
    let current = dir.join(CURRENT);
    let mut check = Check::default();
    for file in &rotated {
        check.file(&file.path, Some(file.first))?;
    }
    if current.exists() {
        check.file(&current, None)?;
    } else if !rotated.is_empty() {
        return Err(whole(Fault::NoCurrent));
    }
    check
        .report(rotated.len() + 1)
        .ok_or_else(|| whole(Fault::NoJournal))
}

#[derive(Debug, Default)]
struct Check {
    records: u64,
    first_seq: Option<u64>,
    link: Option<Link>,
    recoveries: Vec<Recovery>,
    unfinished_bytes: u64,
}

/// Lines in a row that are no records: excused if the next record is their recovery record.
struct Damage {
    broken: Broken,
    hash: Sha256,
    bytes: u64,
    /// A line break that belongs to the damage only if more of it follows.
    line_break: bool,
    lines: u64,
}

impl Check {
    fn file(&mut self, path: &Path, named: Option<u64>) -> Result<(), Broken> {
        let broken = |line, seq, fault| Broken {
            file: path.to_owned(),
            line,
            seq,
            fault,
        };
        let unreadable = |error| broken(0, 0, Fault::Unreadable(error));
        let mut walk = Walk::open(path).map_err(unreadable)?;
        let mut damage: Option<Damage> = None;
        let mut first = true;
        while let Some(line) = walk.next().map_err(unreadable)? {
            let record = match &line.record {
                Ok(record) => record.clone(),
                Err(flaw) => {
                    let fault = |seq, fault| broken(line.number, seq, fault);
                    damage
                        .get_or_insert_with(|| {
                            Damage::new(match flaw {
                                Flaw::NoRecord => fault(self.expected(), Fault::NoRecord),
                                Flaw::Edited { seq } => fault(*seq, Fault::Edited),
                            })
                        })
                        .extend(&line);
                    continue;
                }
            };
            if let Some(damage) = damage.take() {
                self.recoveries.push(damage.closed_by(&line, record.seq)?);
            }
            if first && named.is_some_and(|named| named != record.seq) {
                return Err(broken(line.number, record.seq, Fault::Misnamed));
            }
            if let Some(fault) = self.fault(&record, first) {
                return Err(broken(line.number, record.seq, fault));
            }
            first = false;
            self.records += 1;
            self.first_seq.get_or_insert(record.seq);
            self.link = Some(record.link());
        }
        match damage {
            None => Ok(()),
            Some(damage) if named.is_none() && damage.may_be_unfinished() => {
                self.unfinished_bytes = damage.bytes;
                Ok(())
            }
            Some(damage) => Err(damage.broken),
        }
    }

    fn expected(&self) -> u64 {
        self.link.as_ref().map_or(1, |link| link.seq + 1)
    }

    /// What is wrong with the place of this record in the chain.
    fn fault(&self, record: &Record, first_of_file: bool) -> Option<Fault> {
        let Some(link) = &self.link else {
            return (record.seq == 1 && record.prev != GENESIS).then_some(Fault::Unlinked);
        };
        let expected = link.seq + 1;
        match record.seq {
            seq if seq < expected => Some(Fault::OutOfOrder),
            seq if seq > expected && first_of_file => Some(Fault::MissingFile(expected)),
            seq if seq > expected => Some(Fault::Gap(expected)),
            _ if record.prev != link.hash => Some(Fault::Unlinked),
            _ => None,
        }
    }

    fn report(self, files: usize) -> Option<Report> {
        let link = self.link?;
        Some(Report {
            files,
            records: self.records,
            first_seq: self.first_seq?,
            last_seq: link.seq,
            head: link.hash,
            recoveries: self.recoveries,
            unfinished_bytes: self.unfinished_bytes,
        })
    }
}

impl Damage {
    fn new(broken: Broken) -> Self {
        Self {
            broken,
            hash: Sha256::new(),
            bytes: 0,
            line_break: false,
            lines: 0,
        }
    }

    fn extend(&mut self, line: &Line<'_>) {
        if self.line_break {
            self.hash.update(b"\n");
            self.bytes += 1;
        }
        self.hash.update(line.bytes);
        self.bytes += line.bytes.len() as u64;
        self.line_break = line.ended;
        self.lines += u64::from(line.ended);
    }

    fn may_be_unfinished(&self) -> bool {
        self.lines == 0
    }

    fn closed_by(self, line: &Line<'_>, seq: u64) -> Result<Recovery, Broken> {
        let hash = record::hex(self.hash);
        match Note::of(line.bytes) {
            Some(Note::Recovered {
                torn_bytes,
                torn_sha256,
            }) if torn_bytes == self.bytes && torn_sha256 == hash => Ok(Recovery {
                file: self.broken.file,
                line: self.broken.line,
                seq,
                bytes: torn_bytes,
            }),
            _ => Err(self.broken),
        }
    }
}
