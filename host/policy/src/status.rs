//! What `portcullis status` and the metrics say about plugins: snapshots, never handles.

use serde::Serialize;

use crate::spec::{Mode, OnFailure};

/// One plugin of a generation, as it stands now.
#[derive(Clone, Debug, Serialize)]
pub struct PluginStatus {
    /// Its name in the configuration.
    pub name: String,
    /// SHA-256 of the component file, lower case hex.
    pub digest: String,
    /// The version that the component states, if it states one.
    pub version: Option<String>,
    /// The exported interfaces with their versions, such as `portcullis:policy/filter@0.1.0`.
    pub exports: Vec<String>,
    /// Whether what it says has an effect.
    pub mode: Mode,
    /// What its failure means.
    pub on_failure: OnFailure,
    /// Whether it is not asked at present because it failed again and again.
    pub quarantined: bool,
    /// The last failure's text, if there was one.
    pub last_failure: Option<String>,
    /// Totals since the generation was built.
    #[serde(flatten)]
    pub counts: PluginCounts,
}

/// What one plugin did since its generation was built.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct PluginCounts {
    /// Calls into the component, `init` excepted.
    pub calls: u64,
    /// Calls that ended in a trap, an overrun or an error.
    pub failures: u64,
    /// Stanzas answered from the memo instead of a call.
    pub remembered: u64,
    /// Stanzas and streams that got `on_failure`'s answer because the plugin was quarantined.
    pub skipped: u64,
    /// Instances that were built anew after a failure or a cancelled task.
    pub rebuilt: u64,
    /// Decisions that an observer never got.
    pub lost: u64,
    /// Wall-clock time inside calls, in nanoseconds.
    pub busy_ns: u64,
}
