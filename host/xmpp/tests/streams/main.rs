//! Dialback, streams that go both ways and acknowledgements, on both machines: bytes in, actions out.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod bidi;
mod dialback_in;
mod dialback_out;
mod management;
mod matrix;
mod support;
mod terms;
