//! Presence that a plugin causes. It passes no plugin and is counted by itself. Of the two addresses
//! one must belong to the organisation and the other must not; at most 10,000 stanzas wait to be sent.
//!
//! ```
//! # #[cfg(not(target_family = "wasm"))] {
//! use portcullis_plugin::prelude::*;
//! # let mut host = portcullis_plugin::mock::Host::new()
//! #     .own("org.test")
//! #     .partner("alpha.test", PartnerType::Federated);
//! # host.within(|| {
//! assert!(emit::unavailable("a@org.test/x", "b@alpha.test").is_ok());
//! assert!(emit::unsubscribed("a@org.test", "b@alpha.test").is_ok());
//! assert!(emit::unavailable("a@alpha.test", "b@beta.test").is_err());
//! # });
//! # }
//! ```

use crate::host;

/// Sends `unavailable` presence: takes back a presence that was shown.
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
/// # within(|| {
/// assert_eq!(emit::unavailable("a@org.test/x", "b@alpha.test"), Ok(()));
/// # });
/// ```
///
/// # Errors
/// Which rule was broken; nothing was sent then.
pub fn unavailable(from: &str, to: &str) -> Result<(), String> {
    host::emit::unavailable(from, to)
}

/// Sends `unsubscribed` presence between the bare addresses: the answer to a `subscribe` that was
/// dropped, in the name of the one who was asked. Without it the asking side would show "pending" for
/// ever.
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
/// # within(|| {
/// assert_eq!(emit::unsubscribed("a@org.test", "b@alpha.test"), Ok(()));
/// # });
/// ```
///
/// # Errors
/// Which rule was broken; nothing was sent then.
pub fn unsubscribed(from: &str, to: &str) -> Result<(), String> {
    host::emit::unsubscribed(from, to)
}
