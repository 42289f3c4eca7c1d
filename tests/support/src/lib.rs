//! Partners, internal servers and certificates for Portcullis's own tests.
//!
//! Nothing here uses Portcullis's own protocol code: [`Client`] and [`Server`] speak XMPP by plain
//! text, and check certificates with rustls' stock verifiers, so that a mistake on one side is not
//! hidden by the same mistake on the other.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failure here is the failure of a test"
)]

mod client;
mod pki;
mod server;
pub mod signed;
mod splitter;

pub use client::{Client, Duplex, Mode};
pub use pki::{Authority, Identity, Pki};
pub use server::{Behaviour, Incoming, Server};
pub use splitter::{Item, Splitter};

/// How long a test waits for something that should happen soon. Machines that build at the same time
/// are slow; a test that fails takes this long once.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

/// The value of an attribute in the first tag of `xml`.
pub fn attribute<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let tag = &xml[..xml.find('>')?];
    for quote in ['\'', '"'] {
        if let Some(at) = tag.find(&format!(" {name}={quote}")) {
            let value = &tag[at + name.len() + 3..];
            return value.split(quote).next();
        }
    }
    None
}
