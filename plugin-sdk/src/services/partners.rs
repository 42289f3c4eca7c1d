//! The partner records of the configuration.
//!
//! ```
//! # #[cfg(not(target_family = "wasm"))] {
//! use portcullis_plugin::prelude::*;
//! # let mut host = portcullis_plugin::mock::Host::new()
//! #     .own("org.test")
//! #     .partner("alpha.test", PartnerType::Federated);
//! # host.within(|| {
//! assert_eq!(partners::lookup("alpha.test"), Some(PartnerType::Federated));
//! assert_eq!(partners::lookup("beta.test"), None);
//! # });
//! # }
//! ```

use crate::{PartnerType, host};

/// The type of the partner whose record names this normalised domain; none if no record does.
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
/// # within(|| {
/// assert_eq!(partners::lookup("alpha.test"), Some(PartnerType::Federated));
/// # });
/// ```
#[must_use]
pub fn lookup(domain: &str) -> Option<PartnerType> {
    host::partners::lookup(domain)
}
