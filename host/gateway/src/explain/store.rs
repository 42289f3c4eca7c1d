//! Refusals on disk: two files of JSON lines, the older of which is given up when the newer is full.
//!
//! In: lines. Out: the last refusal of an id, and since when any is kept. At most [`HALF`] bytes are
//! in each file; a file is written for at most [`HALF_AGE`] and kept for as long again, so that no
//! refusal is on disk for longer than both. A line that a crash tore is passed over.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use crate::admin::protocol::{Explained, Refusal};

/// Bytes of one file: some ten thousand refusals.
const HALF: u64 = 8 * 1024 * 1024;
/// For how long a file is written, and then kept.
const HALF_AGE: Duration = Duration::days(15);
/// A line that is longer is no refusal of ours: two addresses and a reason have 10 KiB at most.
const LINE: usize = 64 * 1024;

/// One line of a file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Line {
    Refusal(Box<Refusal>),
    /// The refusal of this id could not be told.
    Untold {
        id: String,
        untold: String,
    },
    /// The first line: when the file was begun (RFC 3339).
    Began {
        began: String,
    },
    /// So many were not kept.
    Lost {
        lost: u64,
    },
}

impl Line {
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::Refusal(_))
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Store {
    dir: PathBuf,
    current: File,
    began: OffsetDateTime,
    bytes: u64,
}

impl Store {
    /// Opens what is there, or begins.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let path = dir.join(CURRENT);
        let known = match File::open(&path) {
            Ok(file) => began(file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let Some(began) = known else {
            return Self::begin(dir);
        };
        let mut current = append(&path)?;
        // Ends a line that a crash tore; one that is empty is passed over like it.
        current.write_all(b"\n")?;
        let bytes = current.metadata()?.len();
        Ok(Self {
            dir: dir.to_owned(),
            current,
            began,
            bytes,
        })
    }

    /// Appends, after `lost` that are not among them, and gives up what is too old.
    pub(super) fn write(&mut self, lines: &[Line], lost: u64) -> io::Result<()> {
        self.expire(OffsetDateTime::now_utc())?;
        let mut text = Vec::new();
        let missing = (lost > 0).then_some(Line::Lost { lost });
        for line in missing.iter().chain(lines) {
            serde_json::to_writer(&mut text, line)?;
            text.push(b'\n');
        }
        if text.is_empty() {
            return Ok(());
        }
        self.current.write_all(&text)?;
        self.bytes = self.bytes.saturating_add(text.len() as u64);
        Ok(())
    }

    /// The refusal of this id, and since when there is any.
    pub(super) fn find(&self, id: &str) -> io::Result<Explained> {
        let mut found = Explained {
            refusal: None,
            since: String::new(),
            lost: 0,
        };
        for name in [BEFORE, CURRENT] {
            match File::open(self.dir.join(name)) {
                Ok(file) => search(file, id, &mut found)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    fn expire(&mut self, now: OffsetDateTime) -> io::Result<()> {
        if self.bytes >= HALF || now - self.began >= HALF_AGE {
            fs::rename(self.dir.join(CURRENT), self.dir.join(BEFORE))?;
            *self = Self::begin(&self.dir)?;
        }
        let before = self.dir.join(BEFORE);
        let began = match File::open(&before) {
            Ok(file) => began(file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        match began {
            Some(began) if now - began < HALF_AGE * 2 => Ok(()),
            _ => fs::remove_file(&before),
        }
    }

    fn begin(dir: &Path) -> io::Result<Self> {
        let path = dir.join(CURRENT);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let began = OffsetDateTime::now_utc();
        let mut store = Self {
            dir: dir.to_owned(),
            current: append(&path)?,
            began,
            bytes: 0,
        };
        let first = Line::Began {
            began: began.format(&Rfc3339).unwrap_or_default(),
        };
        let mut line = serde_json::to_vec(&first)?;
        line.push(b'\n');
        store.current.write_all(&line)?;
        store.bytes = line.len() as u64;
        Ok(store)
    }
}

/// The file that is written.
const CURRENT: &str = "current.jsonl";
/// The one before.
const BEFORE: &str = "before.jsonl";

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
}

/// When the file was begun; none if it does not say so.
fn began(file: File) -> io::Result<Option<OffsetDateTime>> {
    let mut first = Vec::new();
    io::Read::take(BufReader::new(file), LINE as u64).read_until(b'\n', &mut first)?;
    Ok(match serde_json::from_slice(&first) {
        Ok(Line::Began { began }) => OffsetDateTime::parse(&began, &Rfc3339).ok(),
        _ => None,
    })
}

fn search(file: File, id: &str, found: &mut Explained) -> io::Result<()> {
    for line in BufReader::new(file).split(b'\n') {
        let line = line?;
        let of_interest = found.since.is_empty()
            || line.starts_with(br#"{"lost""#)
            || line.windows(id.len()).any(|part| part == id.as_bytes());
        if !of_interest || line.len() > LINE {
            continue;
        }
        match serde_json::from_slice(&line) {
            Ok(Line::Refusal(refusal)) if refusal.id == id => found.refusal = Some(*refusal),
            Ok(Line::Untold { id: of, untold }) if of == id => {
                if let Some(refusal) = &mut found.refusal {
                    refusal.told = None;
                    refusal.untold = Some(untold);
                }
            }
            Ok(Line::Began { began }) if found.since.is_empty() => {
                found.since = began;
            }
            Ok(Line::Lost { lost }) => found.lost = found.lost.saturating_add(lost),
            // Others, and a line that was torn.
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn refusal(id: &str, reason: &str) -> Line {
        let text = format!(
            r#"{{"id":"{id}","time":"2026-11-22T10:00:00Z","event":"stanza","verdict":"reject","by":"x",
            "component":null,"reason":"{reason}","generation":1,"elapsed_us":1,"stream":"s",
            "direction":"inbound","partner":"alpha.test","local":"org.test","address":null,
            "kind":"message","type":"chat","from":"a@alpha.test","to":"b@org.test","stanza_id":null,
            "told":{{"condition":"forbidden","text":null}},"untold":null}}"#
        );
        Line::Refusal(serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn what_was_written_is_found_again_by_another_process_even_after_a_torn_line() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        store.write(&[refusal("AAAAA-AAAAA", "one")], 3).unwrap();
        store.current.write_all(br#"{"id":"BBBBB"#).unwrap();
        drop(store);
        let mut store = Store::open(dir.path()).unwrap();
        store.write(&[refusal("CCCCC-CCCCC", "two")], 0).unwrap();
        for (id, reason) in [("AAAAA-AAAAA", "one"), ("CCCCC-CCCCC", "two")] {
            let found = store.find(id).unwrap();
            assert_eq!(found.refusal.unwrap().reason.as_deref(), Some(reason));
            assert_eq!(found.lost, 3);
        }
        assert_eq!(store.find("BBBBB-BBBBB").unwrap().refusal, None);
        let mode = fs::metadata(dir.path().join(CURRENT))
            .unwrap()
            .permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
    }

    #[test]
    fn a_rejection_that_could_not_be_told_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let untold = Line::Untold {
            id: "AAAAA-AAAAA".to_owned(),
            untold: "full".to_owned(),
        };
        store
            .write(&[refusal("AAAAA-AAAAA", "one"), untold], 0)
            .unwrap();
        let found = store.find("AAAAA-AAAAA").unwrap().refusal.unwrap();
        assert_eq!((found.told, found.untold.as_deref()), (None, Some("full")));
    }

    #[test]
    fn it_is_bounded_in_bytes_and_says_since_when_it_remembers() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let first = store.find("x").unwrap().since;
        let reason = "y".repeat(30_000);
        store.write(&[refusal("AAAAA-AAAAA", "one")], 0).unwrap();
        for _ in 0..600 {
            store.write(&[refusal("BBBBB-BBBBB", &reason)], 0).unwrap();
        }
        let size = |name| fs::metadata(dir.path().join(name)).unwrap().len();
        assert!(size(CURRENT) + size(BEFORE) < 2 * HALF + 100_000);
        let found = store.find("AAAAA-AAAAA").unwrap();
        assert_eq!(found.refusal, None, "forgotten");
        assert!(found.since > first, "{} > {first}", found.since);
    }

    #[test]
    fn what_is_too_old_is_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        store.write(&[refusal("AAAAA-AAAAA", "one")], 0).unwrap();
        let now = OffsetDateTime::now_utc();
        store.expire(now + HALF_AGE).unwrap();
        assert!(store.find("AAAAA-AAAAA").unwrap().refusal.is_some());
        store.expire(now + HALF_AGE * 2).unwrap();
        assert_eq!(store.find("AAAAA-AAAAA").unwrap().refusal, None);
    }
}
