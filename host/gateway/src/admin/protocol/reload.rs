//! What became of a reload, a dry run or a rollback, and what is different since.
//!
//! In: the number of a past generation, at most. Out: the result, why, and every change by name: of
//! plugins, partner records, trust and settings. A change that is refused is told like one that is made.

use serde::{Deserialize, Serialize};

/// What became of a reload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reload {
    /// `ok` (a new generation judges; after a dry run: would), `unchanged`, `refused` (the change
    /// needs a restart) or `failed` (configuration or plugin is faulty; the old generation goes on).
    pub result: ReloadResult,
    /// The generation that judges after it.
    pub generation: u64,
    /// When (RFC 3339, UTC).
    pub time: String,
    /// What was wrong, one line per problem; or what changed.
    pub messages: Vec<String>,
    /// `change` (it was meant), or `dry-run`: nothing was changed, whatever the result.
    #[serde(default)]
    pub purpose: Purpose,
    /// Who asked: `signal`, `admin`, `watch` or `call`.
    #[serde(default)]
    pub trigger: String,
    /// For a rollback, the generation whose policy judges again.
    #[serde(default)]
    pub made_from: Option<u64>,
    /// What changed, or would have: also of a change that was refused, if it could be read.
    #[serde(default)]
    pub changes: Changes,
    /// How long each step took, in their order; the last one is where a refused change ended.
    #[serde(default)]
    pub steps: Vec<Step>,
}

/// See [`Reload::result`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[must_use]
pub enum ReloadResult {
    /// A new generation judges.
    Ok,
    /// Nothing that matters had changed.
    Unchanged,
    /// The change needs a restart; nothing was changed.
    Refused,
    /// The new content is faulty; nothing was changed.
    Failed,
}

impl ReloadResult {
    /// As in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unchanged => "unchanged",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// See [`Reload::purpose`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// The change was to be made.
    #[default]
    Change,
    /// It was to be tried.
    DryRun,
}

/// One step of a reload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// `read`, `verify`, `init`, `probe`, `trust`, `keep` or `swap`.
    pub name: String,
    /// How long it took, in microseconds.
    pub microseconds: u64,
}

/// What one generation has and the one before had not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// Plugins, in the order of the new chain, then those that are gone.
    pub plugins: Vec<PluginChange>,
    /// The new chain, if plugins that stay have another order.
    pub order: Option<Vec<String>>,
    /// Partner records, by their main domain.
    pub partners: Vec<PartnerChange>,
    /// Files with trust anchors, revocation lists and signing keys, and the keys that name them.
    pub trust: Vec<String>,
    /// Other keys that a reload applies.
    pub settings: Vec<String>,
}

/// How something differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Difference {
    /// It was not there before.
    Added,
    /// It is there no more.
    Removed,
    /// It is there, but not the same.
    Changed,
}

/// One plugin that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginChange {
    /// Its name.
    pub name: String,
    /// How it differs.
    pub difference: Difference,
    /// Its component before; none if it was not there.
    pub before: Option<Build>,
    /// Its component now; none if it is gone, or if the file cannot be read.
    pub after: Option<Build>,
    /// Whether it was replaced: the component has another content.
    pub replaced: bool,
    /// The keys of `[[plugin]]` that differ, `config` among them.
    pub settings: Vec<String>,
}

/// What was in a component file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// SHA-256, lower case hex.
    pub digest: String,
    /// The version that the component states, if it states one and was built.
    pub version: Option<String>,
}

/// One partner record that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartnerChange {
    /// Its main domain.
    pub domain: String,
    /// How it differs.
    pub difference: Difference,
    /// The keys that differ, if it was there before and is now.
    pub settings: Vec<String>,
}
