//! The audit journal: append-only, chained by hashes, rotated by the host.
//!
//! ```
//! # #[cfg(not(target_family = "wasm"))] {
//! use portcullis_plugin::prelude::*;
//! # let mut host = portcullis_plugin::mock::Host::new()
//! #     .own("org.test")
//! #     .partner("alpha.test", PartnerType::Federated);
//! # host.within(|| {
//! assert!(journal::append(r#"{"what":"seen","partner":"alpha.test"}"#).is_ok());
//! assert!(journal::append("no object").is_err());
//! # });
//! # }
//! ```

use std::fmt;

use crate::{Decision, host};

/// Why nothing was appended.
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
/// # within(|| {
/// let error = journal::append("no object").unwrap_err();
/// assert!(matches!(error, journal::JournalError::Malformed(_)));
/// # });
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JournalError {
    /// The line is no JSON object, has a line break, or is longer than 1 MiB.
    Malformed(String),
    /// No space left on the device.
    Full,
    /// It cannot be written for another reason; the text is for a log.
    Unavailable(String),
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(text) => write!(f, "not a journal line: {text}"),
            Self::Full => f.write_str("no space left for the journal"),
            Self::Unavailable(text) => write!(f, "journal unavailable: {text}"),
        }
    }
}

impl std::error::Error for JournalError {}

/// Not all of some decisions could be appended.
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
/// # hears_all_without_room(|batch| {
/// let cut_short = journal::append_decisions(batch).unwrap_err();
/// assert_eq!((cut_short.appended, cut_short.error), (0, journal::JournalError::Full));
/// # });
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutShort {
    /// How many of the first ones were.
    pub appended: usize,
    /// Why the next one was not.
    pub error: JournalError,
}

impl fmt::Display for CutShort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for CutShort {}

/// Appends decisions, each as [`Decision::json`] tells it. The same as an [`append`] of each, and much
/// cheaper: nothing of it passes through the plugin, and the gateway writes them together. What it is
/// given is a part of the batch that an observer hears.
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
/// # hears_all(|batch| {
/// // In an observer:
/// assert_eq!(journal::append_decisions(batch), Ok(()));
/// # });
/// ```
///
/// # Errors
/// [`CutShort`].
pub fn append_decisions(decisions: &[Decision]) -> Result<(), CutShort> {
    let Some(first) = decisions.first() else {
        return Ok(());
    };
    let (batch, first) = first.place();
    let count = u32::try_from(decisions.len()).unwrap_or(u32::MAX);
    host::journal::append_decisions(batch, first, count).map_err(|cut_short| CutShort {
        appended: usize::try_from(cut_short.appended).unwrap_or(usize::MAX),
        error: told(cut_short.error),
    })
}

/// Appends one JSON object (one line, without line breaks). The host adds `seq`, `prev` and `hash`.
/// When the call returns, the record is with the operating system; it is on disk within a second.
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
/// # within(|| {
/// assert_eq!(journal::append(r#"{"what":"seen"}"#), Ok(()));
/// # });
/// ```
///
/// # Errors
/// [`JournalError`].
pub fn append(line: &str) -> Result<(), JournalError> {
    host::journal::append(line).map_err(told)
}

fn told(error: host::journal::JournalError) -> JournalError {
    match error {
        host::journal::JournalError::Malformed(text) => JournalError::Malformed(text),
        host::journal::JournalError::Full => JournalError::Full,
        host::journal::JournalError::Unavailable(text) => JournalError::Unavailable(text),
    }
}
