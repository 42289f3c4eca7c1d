//! Addresses as the gateway compares them.

use crate::host;

/// The normal form of an address (RFC 7622): two addresses are the same if and only if their normal
/// forms are the same text.
///
/// ```
/// # #[cfg(not(target_family = "wasm"))] {
/// use portcullis_plugin::prelude::*;
/// let mut host = portcullis_plugin::mock::Host::new();
/// host.within(|| {
///     assert_eq!(addresses::normalize("Juliet@Alpha.TEST./Balcony"), Ok("juliet@alpha.test/Balcony".into()));
///     assert!(addresses::normalize("@alpha.test").is_err());
/// });
/// # }
/// ```
///
/// # Errors
/// Why it is no address. The addresses of a stanza always are.
pub fn normalize(address: &str) -> Result<String, String> {
    host::addresses::normalize(address)
}
