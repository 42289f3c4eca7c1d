//! Certificates of every kind, real handshakes over in-memory pipes, and material that changes.

mod handshakes;
mod inside;
mod matrix;
pub(in crate::tls) mod pki;
mod reload;
