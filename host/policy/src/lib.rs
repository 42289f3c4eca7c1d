//! The policy engine: plugins, their state and the audit journal.

pub mod journal;
pub mod state;
