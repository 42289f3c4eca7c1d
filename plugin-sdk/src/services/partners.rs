//! The partner records of the configuration.

use crate::{PartnerType, host};

/// The type of the partner whose record names this normalised domain; none if no record does.
#[must_use]
pub fn lookup(domain: &str) -> Option<PartnerType> {
    host::partners::lookup(domain)
}
