//! Domains as the gateway compares them.
//!
//! ```
//! # #[cfg(not(target_family = "wasm"))] {
//! use portcullis_plugin::prelude::*;
//! # let mut host = portcullis_plugin::mock::Host::new()
//! #     .own("org.test")
//! #     .partner("alpha.test", PartnerType::Federated);
//! # host.within(|| {
//! assert_eq!(domains::normalize("Bücher.Example."), Ok("xn--bcher-kva.example".into()));
//! assert!(domains::is_own("org.test") && !domains::is_own("alpha.test"));
//! # });
//! # }
//! ```

use crate::host;

/// Lower case, A-labels, without one trailing dot: the form of every domain that a plugin is shown.
///
/// ```
/// # use portcullis_plugin::prelude::*;
/// assert_eq!(domains::normalize("ALPHA.test."), Ok("alpha.test".to_owned()));
/// assert!(domains::normalize("al pha.test").is_err());
/// ```
///
/// # Errors
/// Why it is no domain.
pub fn normalize(domain: &str) -> Result<String, String> {
    host::domains::normalize(domain)
}

/// Whether this normalised domain is one of the organisation's.
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
/// # within(|| {
/// // The organisation is `org.test`.
/// assert!(domains::is_own("org.test") && !domains::is_own("alpha.test"));
/// # });
/// ```
#[must_use]
pub fn is_own(domain: &str) -> bool {
    host::domains::is_own(domain)
}
