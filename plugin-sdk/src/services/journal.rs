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

use crate::host;

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
    host::journal::append(line).map_err(|error| match error {
        host::journal::JournalError::Malformed(text) => JournalError::Malformed(text),
        host::journal::JournalError::Full => JournalError::Full,
        host::journal::JournalError::Unavailable(text) => JournalError::Unavailable(text),
    })
}
