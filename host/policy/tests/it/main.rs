//! The policy engine with real components. `guests/scripted` is a plugin that does what a stanza tells
//! it to; components that no compiler would make are
//! written byte by byte.

mod building;
mod caching;
mod hostile;
mod judging;
mod observing;
mod ruling;
mod support;
mod swapping;
