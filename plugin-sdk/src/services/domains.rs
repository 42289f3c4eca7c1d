//! Domains as the gateway compares them.

use crate::host;

/// Lower case, A-labels, without one trailing dot: the form of every domain that a plugin is shown.
///
/// # Errors
/// Why it is no domain.
pub fn normalize(domain: &str) -> Result<String, String> {
    host::domains::normalize(domain)
}

/// Whether this normalised domain is one of the organisation's.
#[must_use]
pub fn is_own(domain: &str) -> bool {
    host::domains::is_own(domain)
}
