//! The generations that can be gone back to, and the rollback to one of them.
//!
//! In: nothing but the question. Out: what is kept on disk, the newest first, and what of it judges.

use serde::{Deserialize, Serialize};

use super::Build;

/// The generations on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generations {
    /// The newest first; the one that judges is among them unless the disk refused it.
    pub kept: Vec<Kept>,
    /// What is wrong with the history, if anything is.
    pub problems: Vec<String>,
}

/// One generation on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Its number.
    pub number: u64,
    /// The lowest number of the same policy: starts of the gateway with files that had not changed
    /// have numbers of their own.
    pub first: u64,
    /// When it began to judge (RFC 3339, UTC).
    pub time: String,
    /// Why it came to be: `start`, or who asked for the reload.
    pub trigger: String,
    /// For a rollback, the generation that it was made from.
    pub made_from: Option<u64>,
    /// Its plugins in chain order, each with its component's digest.
    pub plugins: Vec<KeptPlugin>,
    /// How many partner records it has.
    pub partners: u64,
    /// Whether it judges now.
    pub current: bool,
}

/// One plugin of a kept generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptPlugin {
    /// Its name.
    pub name: String,
    /// What its component was.
    pub component: Build,
}

/// A rollback that is in force: only a reload by an operator ends it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolledBack {
    /// The generation whose policy judges again.
    pub to: u64,
    /// Since when (RFC 3339, UTC).
    pub since: String,
    /// Whether the files on disk say something else than what judges.
    pub files_differ: bool,
}
