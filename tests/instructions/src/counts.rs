//! Instructions for one turn, and the committed ones that they are compared with.
//!
//! In: what was counted, and the file with what it was, by compiler, target and C library. Out: what
//! is more than it was, what is less, and what nobody has counted before. Fails where the file cannot
//! be read or written.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::callgrind::Failure;

/// Of the file that is written.
const HEAD: &str = "\
# Instructions for one turn of each case, by compiler, target and C library. Written by
# `portcullis-instructions count --accept`; `tests/run instructions` compares with it.

";

/// What is more or less by this part of the whole, in percent, is told.
const TOLERANCE: u64 = 5;
/// What is too little to be told, whatever it is a part of.
const LEAST: u64 = 25;

/// For one turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Counts {
    /// On the thread that does the work, without what was compiled from WebAssembly.
    pub(crate) host: u64,
    /// What was compiled from WebAssembly.
    pub(crate) guest: u64,
    /// What other threads do: the observers' work.
    pub(crate) observer: u64,
}

/// By case.
pub(crate) type Table = BTreeMap<String, Counts>;

/// By compiler, target and C library.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Baseline(BTreeMap<String, Table>);

/// How a figure stands to what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Change {
    None,
    Less,
    More,
}

impl Change {
    pub(crate) fn of(was: u64, is: u64) -> Self {
        let tolerated = (was * TOLERANCE / 100).max(LEAST);
        match is {
            _ if is > was + tolerated => Self::More,
            _ if is + tolerated < was => Self::Less,
            _ => Self::None,
        }
    }
}

impl Baseline {
    /// None is an empty one.
    pub(crate) fn read(file: &Path) -> Result<Self, Failure> {
        match fs::read_to_string(file) {
            Ok(text) => Ok(toml::from_str(&text)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(format!("{}: {error}", file.display()).into()),
        }
    }

    pub(crate) fn write(&self, file: &Path) -> Result<(), Failure> {
        fs::write(file, self.text()).map_err(|error| format!("{}: {error}", file.display()).into())
    }

    /// One line a case, so that a change is one line, too.
    fn text(&self) -> String {
        let mut text = HEAD.to_owned();
        for (circumstances, table) in &self.0 {
            text.push_str(&format!("[{circumstances:?}]\n"));
            for (case, counts) in table {
                let Counts {
                    host,
                    guest,
                    observer,
                } = counts;
                text.push_str(&format!(
                    "{case:?} = {{ host = {host}, guest = {guest}, observer = {observer} }}\n"
                ));
            }
        }
        text
    }

    pub(crate) fn of(&self, circumstances: &str) -> Option<&Table> {
        self.0.get(circumstances)
    }

    /// What was counted is what it is to be from now on; other cases stay as they are.
    pub(crate) fn accept(&mut self, circumstances: &str, counted: &[(&str, Counts)]) {
        self.0.entry(circumstances.to_owned()).or_default().extend(
            counted
                .iter()
                .map(|(case, counts)| ((*case).to_owned(), *counts)),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_a_twentieth_is_a_change_and_a_few_instructions_are_none() {
        assert_eq!(Change::of(10_000, 10_500), Change::None);
        assert_eq!(Change::of(10_000, 10_501), Change::More);
        assert_eq!(Change::of(10_000, 9_499), Change::Less);
        assert_eq!(Change::of(100, 125), Change::None);
        assert_eq!(Change::of(100, 126), Change::More);
        assert_eq!(Change::of(0, 0), Change::None);
    }

    #[test]
    fn what_is_accepted_is_what_is_compared_with() {
        let counts = Counts {
            host: 7,
            guest: 0,
            observer: 1,
        };
        let mut baseline = Baseline::default();
        baseline.accept("rustc 1.95.0, here", &[("judge, 1 filter", counts)]);
        let read: Baseline = toml::from_str(&baseline.text()).unwrap();
        let table = read.of("rustc 1.95.0, here").unwrap();
        assert_eq!(table.get("judge, 1 filter"), Some(&counts));
    }
}
