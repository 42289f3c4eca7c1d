//! What a plugin must remember: shared by its instances, kept over reload, failure and restart.
//!
//! Keys are at most 512 bytes, values at most 64 KiB, and a plugin's whole share is bounded too. A
//! plugin is known by its name in the configuration. Served from memory; what was written in the last
//! second before a power failure may be lost.
//!
//! Most policies need no more than a [`Mark`](crate::Mark) or a [`RateLimit`](crate::RateLimit).
//!
//! ```
//! # #[cfg(not(target_family = "wasm"))] {
//! use portcullis_plugin::prelude::*;
//! use std::time::Duration;
//! # let mut host = portcullis_plugin::mock::Host::new();
//! # host.within(|| -> Result<(), state::StateError> {
//! let day = Some(Duration::from_secs(24 * 3600));
//! state::set("greeted:a@alpha.test", b"yes", day)?;
//! assert_eq!(state::get("greeted:a@alpha.test")?.as_deref(), Some(&b"yes"[..]));
//! assert!(!state::set_if_absent("greeted:a@alpha.test", b"again", day)?);
//! assert_eq!(state::increment("greetings", 1, None)?, 1);
//! assert_eq!(state::keys("greeted:", None, 1000)?, ["greeted:a@alpha.test"]);
//! assert!(state::delete("greeted:a@alpha.test")?);
//! # Ok(()) })?;
//! # }
//! # Ok::<(), portcullis_plugin::state::StateError>(())
//! ```

use std::fmt;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::host;

/// The longest key, in bytes.
const KEY_BYTES: usize = 512;

/// Why nothing was read or written.
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
/// # within(|| {
/// let error = state::set(&"k".repeat(513), b"", None);
/// assert_eq!(error, Err(state::StateError::TooLarge));
/// # });
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateError {
    /// The key or the value is too large, or the plugin's share is full.
    TooLarge,
    /// The store cannot be used; the text is for a log.
    Unavailable(String),
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => f.write_str("key or value too large, or the plugin's state is full"),
            Self::Unavailable(text) => write!(f, "state unavailable: {text}"),
        }
    }
}

impl std::error::Error for StateError {}

/// The value of a key; none if it was never set, was deleted, or its time is over.
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
/// # within(|| {
/// assert_eq!(state::get("greeted")?, None);
/// state::set("greeted", b"yes", None)?;
/// assert_eq!(state::get("greeted")?.as_deref(), Some(&b"yes"[..]));
/// # Ok::<(), state::StateError>(()) }).unwrap();
/// ```
///
/// # Errors
/// [`StateError`].
pub fn get(key: &str) -> Result<Option<Vec<u8>>, StateError> {
    host::state::get(key).map_err(from_host)
}

/// Sets a key, for ever or for so long.
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
/// # let mut host = host();
/// # let minute = std::time::Duration::from_secs(60);
/// host.within(|| state::set("greeted", b"yes", Some(minute)))?;
/// host.advance(minute);
/// assert_eq!(host.within(|| state::get("greeted"))?, None);
/// # Ok::<(), state::StateError>(())
/// ```
///
/// # Errors
/// [`StateError`].
pub fn set(key: &str, value: &[u8], ttl: Option<Duration>) -> Result<(), StateError> {
    host::state::set(key, value, ttl.map(millis)).map_err(from_host)
}

/// Sets a key if nobody has; true if it did.
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
/// # within(|| {
/// assert_eq!(state::set_if_absent("greeted", b"yes", None), Ok(true));
/// assert_eq!(state::set_if_absent("greeted", b"again", None), Ok(false));
/// # });
/// ```
///
/// # Errors
/// [`StateError`].
pub fn set_if_absent(key: &str, value: &[u8], ttl: Option<Duration>) -> Result<bool, StateError> {
    host::state::set_if_absent(key, value, ttl.map(millis)).map_err(from_host)
}

/// Adds to a counter (absent counts as 0) and returns the sum; atomic over all instances. The
/// lifetime holds from the counter's first increment.
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
/// # within(|| {
/// assert_eq!(state::increment("seen", 1, None), Ok(1));
/// assert_eq!(state::increment("seen", 2, None), Ok(3));
/// # });
/// ```
///
/// # Errors
/// [`StateError`].
pub fn increment(key: &str, by: i64, ttl: Option<Duration>) -> Result<i64, StateError> {
    host::state::increment(key, by, ttl.map(millis)).map_err(from_host)
}

/// The value of a counter; 0 if it was never incremented, was deleted, or its time is over.
///
/// ```
/// # #[cfg(not(target_family = "wasm"))] {
/// use portcullis_plugin::prelude::*;
/// let mut host = portcullis_plugin::mock::Host::new();
/// host.within(|| state::increment("seen", 2, None))?;
/// assert_eq!(host.within(|| state::counter("seen"))?, 2);
/// # }
/// # Ok::<(), portcullis_plugin::state::StateError>(())
/// ```
///
/// # Errors
/// [`StateError`], also if the key holds something else.
pub fn counter(key: &str) -> Result<i64, StateError> {
    match get(key)? {
        None => Ok(0),
        Some(value) => value
            .try_into()
            .map(i64::from_be_bytes)
            .map_err(|_| StateError::Unavailable(format!("`{key}` holds no counter"))),
    }
}

/// A key made of parts, of which the last may come from outside and be of any length: what does not fit in a
/// key stands in it by its SHA-256.
///
/// ```
/// use portcullis_plugin::state;
/// assert_eq!(state::key("seen", &["inbound", "eve@alpha.test"]), "seen:inbound:eve@alpha.test");
/// assert!(state::key("seen", &[&"e".repeat(3000)]).len() <= 512);
/// ```
#[must_use]
pub fn key(table: &str, parts: &[&str]) -> String {
    let mut key = table.to_owned();
    for part in parts {
        key.push(':');
        key.push_str(part);
    }
    if key.len() > KEY_BYTES {
        // No table has this sign, so no other key can be the same.
        let digest = Sha256::digest(key.as_bytes());
        key = format!(
            "#{}",
            digest
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
        );
    }
    key
}

/// Forgets a key; true if there was one.
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
/// # within(|| {
/// state::set("greeted", b"yes", None)?;
/// assert!(state::delete("greeted")? && !state::delete("greeted")?);
/// # Ok::<(), state::StateError>(()) }).unwrap();
/// ```
///
/// # Errors
/// [`StateError`].
pub fn delete(key: &str) -> Result<bool, StateError> {
    host::state::delete(key).map_err(from_host)
}

/// At most `limit` keys (1 to 1000) that begin with `prefix`, in byte order, after the key `after`.
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
/// # within(|| {
/// for key in ["seen:a", "seen:b", "seen:c"] {
///     state::increment(key, 1, None)?;
/// }
/// let page = state::keys("seen:", None, 2)?;
/// assert_eq!(page, ["seen:a", "seen:b"]);
/// assert_eq!(state::keys("seen:", page.last().map(String::as_str), 2)?, ["seen:c"]);
/// # Ok::<(), state::StateError>(()) }).unwrap();
/// ```
///
/// # Errors
/// [`StateError`].
pub fn keys(prefix: &str, after: Option<&str>, limit: u32) -> Result<Vec<String>, StateError> {
    host::state::keys(prefix, after, limit).map_err(from_host)
}

fn millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)
}

fn from_host(error: host::state::StateError) -> StateError {
    match error {
        host::state::StateError::TooLarge => StateError::TooLarge,
        host::state::StateError::Unavailable(text) => StateError::Unavailable(text),
    }
}
