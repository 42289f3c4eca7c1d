//! Certificates of every kind, real handshakes over in-memory pipes, and material that changes.

mod handshakes;
mod inside;
mod known;
mod matrix;
mod partners;
pub(crate) mod pki;
mod presented;
mod reload;
mod revocation;
mod versions;
