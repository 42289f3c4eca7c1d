//! What is kept of a generation.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use portcullis_policy::{Generation, PluginStatus};

use crate::admin::protocol::{Build, Kept, KeptPlugin};
use crate::app::content::{Content, hex};
use crate::app::reload::now;

/// One generation, complete together with the objects that it names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::app) struct Record {
    /// What the list of generations shows of it.
    pub(in crate::app) kept: Kept,
    /// Plugins with their configuration, partner records and the names of trust anchors, as TOML.
    pub(in crate::app) policy: String,
    /// Where relative paths of the policy start.
    pub(in crate::app) base: PathBuf,
    /// Where relative paths of components start.
    pub(in crate::app) plugins_dir: PathBuf,
    /// The digest of what each file held, by its path.
    pub(in crate::app) files: BTreeMap<PathBuf, String>,
    /// The same for equal policies with equal files.
    pub(in crate::app) identity: String,
}

impl Record {
    /// What is to be kept of a generation that was built from this content. `trigger` is `start`, or
    /// who asked for the reload.
    pub(in crate::app) fn of(
        content: &Content,
        generation: &Generation,
        trigger: &str,
        made_from: Option<u64>,
    ) -> Self {
        let plugin = |plugin: PluginStatus| KeptPlugin {
            name: plugin.name,
            component: Build {
                digest: plugin.digest,
                version: plugin.version,
            },
        };
        let kept = Kept {
            number: generation.number(),
            first: generation.number(),
            time: now(),
            trigger: trigger.to_owned(),
            made_from,
            plugins: generation.plugins().into_iter().map(plugin).collect(),
            partners: content.config.partners.len() as u64,
            current: false,
        };
        let file = |(path, digest): (&PathBuf, &Option<[u8; 32]>)| {
            digest.map(|digest| (path.clone(), hex(&digest)))
        };
        Self {
            kept,
            policy: content.config.policy.clone(),
            base: content.base.clone(),
            plugins_dir: content.plugins_dir.clone(),
            files: content.digests.iter().filter_map(file).collect(),
            identity: hex(&content.identity()),
        }
    }
}

/// That a generation of the past judges, for the next start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::app) struct Mark {
    /// The generation that the operator asked for.
    pub(in crate::app) to: u64,
    /// The number that it judges under.
    pub(in crate::app) number: u64,
    /// Since when (RFC 3339, UTC).
    pub(in crate::app) since: String,
    /// [`Record::identity`] of what the files on disk said then; none: they could not be read.
    pub(in crate::app) files: Option<String>,
}
