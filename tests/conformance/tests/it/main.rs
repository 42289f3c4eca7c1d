//! One binary for all rules: what each test is named after is what it tries.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failure here is the failure of a test"
)]

mod addressing;
mod attacks;
mod dialback;
mod finding;
mod limits;
mod living;
mod neighbours;
mod plugins;
mod resuming;
mod sasl;
mod stream;
mod support;
mod tls;
mod xml;
