//! One binary for all end-to-end tests: each more would link the WASM engine once more.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failure here is the failure of a test"
)]

mod bidi;
mod both;
mod breaking;
mod capturing;
mod changing;
mod dane;
mod dialback;
mod explaining;
mod ghosts;
mod limits;
mod liveness;
mod management;
mod matrix;
mod operating;
mod passing;
mod policies;
mod policing;
mod proving;
mod records;
mod refusing;
mod relay;
mod retiring;
mod shadowing;
mod swapping;
mod terms;
