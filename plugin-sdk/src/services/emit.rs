//! Presence that a plugin causes. It passes no plugin and is counted by itself. Of the two addresses
//! one must belong to the organisation and the other must not; at most 10,000 stanzas wait to be sent.

use crate::host;

/// Sends `unavailable` presence: takes back a presence that was shown.
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
/// # Errors
/// Which rule was broken; nothing was sent then.
pub fn unsubscribed(from: &str, to: &str) -> Result<(), String> {
    host::emit::unsubscribed(from, to)
}
