//! The policy engine with real components. `guests/scripted` is a plugin that does what a stanza tells
//! it to; components that no compiler would make are
//! written byte by byte.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod bombs;
mod bounds;
mod building;
mod caching;
mod golden;
mod hostile;
mod judging;
mod languages;
mod observing;
mod quarantine;
mod replaying;
mod ruling;
mod shadowing;
mod support;
mod swapping;
mod vouching;
mod wit;
