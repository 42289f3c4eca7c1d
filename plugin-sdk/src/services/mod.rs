//! What the host does for a plugin: one module per interface of the contract.

pub mod addresses;
pub mod clock;
pub mod domains;
pub mod emit;
pub mod files;
pub mod hearing;
pub mod journal;
pub mod log;
pub mod partners;
pub mod state;
