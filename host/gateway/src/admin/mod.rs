//! The two ways in for the operator: numbers over HTTP for everybody who may reach the address, and
//! everything that changes something over a socket that only the gateway's own user can open.

pub(crate) mod http;
pub mod protocol;
pub mod socket;
