//! Reading a journal file line by line, whatever is in it.
//!
//! In: a file, perhaps damaged, perhaps being written. Out: its lines with what they are, never more
//! than one in memory; a line that is too long for a record comes in pieces.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;

use super::MAX_LINE;
use super::record::{self, Flaw, Record};

/// The longest record: a plugin's line and what the journal adds to it.
const MAX_RECORD: usize = MAX_LINE + 256;

pub(super) struct Walk {
    reader: BufReader<File>,
    buffer: Vec<u8>,
    line: u64,
    ended: bool,
}

/// A line, or a piece of one that is too long.
pub(super) struct Line<'a> {
    /// Counted from 1.
    pub(super) number: u64,
    /// Without the line break.
    pub(super) bytes: &'a [u8],
    /// Whether a line break follows.
    pub(super) ended: bool,
    pub(super) record: Result<Record, Flaw>,
}

impl Line<'_> {
    /// The bytes it takes in the file.
    pub(super) fn size(&self) -> u64 {
        self.bytes.len() as u64 + u64::from(self.ended)
    }
}

impl Walk {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            reader: BufReader::with_capacity(64 * 1024, File::open(path)?),
            buffer: Vec::new(),
            line: 0,
            ended: true,
        })
    }

    pub(super) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.buffer.clear();
        self.reader
            .by_ref()
            .take(MAX_RECORD as u64 + 1)
            .read_until(b'\n', &mut self.buffer)?;
        if self.buffer.is_empty() {
            return Ok(None);
        }
        let continues = !self.ended;
        if self.ended {
            self.line += 1;
        }
        let (bytes, ended) = match self.buffer.strip_suffix(b"\n") {
            Some(bytes) => (bytes, true),
            None => (self.buffer.as_slice(), false),
        };
        self.ended = ended;
        Ok(Some(Line {
            number: self.line,
            bytes,
            ended,
            record: match continues {
                true => Err(Flaw::NoRecord),
                false => record::read(bytes),
            },
        }))
    }
}
