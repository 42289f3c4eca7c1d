//! What a generation is made from, and what its plugins may reach.
//!
//! In: plain values that the gateway has parsed from the operator's configuration. Nothing here can
//! fail; [`crate::Generation::build`] finds out whether the values hold.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use portcullis_xmpp::jid::{Domain, Jid};
use portcullis_xmpp::stanza::Subtype;
use time::OffsetDateTime;
use tokio::sync::mpsc;

use crate::{journal, state};

/// What a plugin's failure (trap, budget overrun, host error, quarantine) means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// A filter rejects with `internal-server-error`, a gatekeeper refuses, an observer holds up
    /// the streams until it works again.
    Closed,
    /// The plugin counts as not asked; what an observer misses is counted.
    Open,
}

/// Whether what a plugin says has an effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It has.
    #[default]
    Active,
    /// None: it judges beside the chain, and what it would have decided otherwise is counted
    /// ([`crate::shadow`]).
    Shadow,
}

/// One `[[plugin]]` of the configuration.
#[derive(Clone, Debug)]
pub struct PluginSpec {
    /// Unique in its generation; the plugin's state and log go by it.
    pub name: String,
    /// The component file.
    pub component: PathBuf,
    /// What its failure means.
    pub on_failure: OnFailure,
    /// CPU time for one call; `init` has ten times as much, `started` a hundred times. The resolution is one millisecond.
    pub budget: Duration,
    /// Bytes of linear memory for one instance, all its memories together.
    pub memory: usize,
    /// `[plugin.config]`; anything but an object is passed on as it is.
    pub config: serde_json::Value,
    /// Imports granted beyond the fixed list. This version knows none, and refuses any by name.
    pub grants: Vec<String>,
    /// What else it may use.
    pub limits: PluginLimits,
    /// `[plugin.files]`: files that the plugin may read, by the name that it knows them under.
    pub files: BTreeMap<String, PathBuf>,
    /// What the component file held when the caller read it; none: it is read when it is built.
    pub content: Option<Arc<[u8]>>,
    /// The only content that the component may have, as its SHA-256.
    pub sha256: Option<[u8; 32]>,
    /// The file with the component's signature; none: beside the component, with `.sig` behind its
    /// name, where [`GenerationSpec::plugin_keys`] asks for one.
    pub signature: Option<PathBuf>,
    /// Whether what it says has an effect.
    pub mode: Mode,
}

/// What a plugin may use beside time and memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PluginLimits {
    /// The largest component file, in bytes. Compile time and memory grow with it.
    pub component_bytes: usize,
    /// Keys and values of its state together, in bytes. All of it is in memory.
    pub state_bytes: usize,
    /// Keys of its state.
    pub state_keys: usize,
    /// Lines of its log in a second, stdout and stderr included; what is beyond is counted.
    pub log_lines: u32,
    /// Edits in one call; each one beyond is refused with `too-large`.
    pub edits: u32,
}

impl Default for PluginLimits {
    /// What the WIT tells plugin authors to expect.
    fn default() -> Self {
        Self {
            // A plugin with std, serde and a regex engine has 1 MB.
            component_bytes: 8 * 1024 * 1024,
            state_bytes: 16 * 1024 * 1024,
            state_keys: 100_000,
            log_lines: 100,
            edits: 256,
        }
    }
}

/// What kind of partner a record names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PartnerType {
    /// An organisation that the operator has an agreement with.
    Federated,
    /// A public provider whose users prove who they are.
    PublicVerified,
    /// A public provider where anybody may take any name.
    PublicUnverified,
}

/// What policy knows of a partner record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartnerRecord {
    /// What kind of partner it names.
    pub kind: PartnerType,
    /// Whether it is the record of every domain below, too.
    pub subdomains: bool,
    /// From then on it counts as absent.
    pub valid_until: Option<OffsetDateTime>,
}

/// The partner records by domain (`domain` and `also`).
#[derive(Clone, Debug, Default)]
pub struct Partners(BTreeMap<Domain, PartnerRecord>);

impl Partners {
    /// The record of a domain at this time: its own, or else that of the nearest domain above which
    /// is one for subdomains.
    #[must_use]
    pub fn find(&self, domain: &Domain, now: OffsetDateTime) -> Option<&PartnerRecord> {
        let valid = |record: &&PartnerRecord| record.valid_until.is_none_or(|end| now < end);
        let above = domain.parents().filter_map(|parent| self.0.get(parent));
        let above = above.filter(|record| record.subdomains);
        self.0.get(domain).into_iter().chain(above).find(valid)
    }
}

impl FromIterator<(Domain, PartnerRecord)> for Partners {
    fn from_iter<I: IntoIterator<Item = (Domain, PartnerRecord)>>(records: I) -> Self {
        Self(records.into_iter().collect())
    }
}

/// Everything that is swapped together.
#[derive(Clone, Debug)]
pub struct GenerationSpec {
    /// Counts up from 1; decisions name it.
    pub number: u64,
    /// In chain order.
    pub plugins: Vec<PluginSpec>,
    /// The partner records.
    pub partners: Partners,
    /// How large an edit may make a stanza, in bytes on the wire.
    pub stanza_bytes: usize,
    /// Files with the Ed25519 public keys (PEM) whose signature a component needs unless its `sha256`
    /// is pinned; empty: none is needed.
    pub plugin_keys: Vec<PathBuf>,
}

/// Presence that a plugin causes.
#[derive(Clone, Debug)]
pub struct Emission {
    /// `Unavailable` or `Unsubscribed`; no other is ever emitted.
    pub subtype: Subtype,
    /// The address it comes from.
    pub from: Jid,
    /// The address it goes to.
    pub to: Jid,
}

/// What plugins reach through the host, shared by all generations.
#[derive(Clone)]
pub struct Services {
    /// What plugins remember.
    pub state: Arc<state::Store>,
    /// The audit journal.
    pub journal: Arc<journal::Journal>,
    /// Where emissions wait to be sent; its capacity is the bound that the WIT states.
    pub emit: mpsc::Sender<Emission>,
    /// Every domain of the organisation, subdomains included.
    pub own_domains: Arc<BTreeSet<Domain>>,
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn domain(text: &str) -> Domain {
        Domain::parse(text).unwrap()
    }

    #[test]
    fn the_most_specific_valid_record_is_a_domains_own() {
        let record = |kind, subdomains, valid_until| PartnerRecord {
            kind,
            subdomains,
            valid_until,
        };
        let end = datetime!(2027-01-01 00:00 UTC);
        let partners: Partners = [
            ("a.test", record(PartnerType::Federated, true, None)),
            (
                "b.a.test",
                record(PartnerType::PublicVerified, true, Some(end)),
            ),
            (
                "x.a.test",
                record(PartnerType::PublicUnverified, false, None),
            ),
        ]
        .into_iter()
        .map(|(name, record)| (domain(name), record))
        .collect();
        let kind = |name, now| partners.find(&domain(name), now).map(|record| record.kind);
        let before = end - time::Duration::SECOND;
        for (name, then, later) in [
            (
                "a.test",
                Some(PartnerType::Federated),
                Some(PartnerType::Federated),
            ),
            (
                "b.a.test",
                Some(PartnerType::PublicVerified),
                Some(PartnerType::Federated),
            ),
            (
                "c.b.a.test",
                Some(PartnerType::PublicVerified),
                Some(PartnerType::Federated),
            ),
            (
                "x.a.test",
                Some(PartnerType::PublicUnverified),
                Some(PartnerType::PublicUnverified),
            ),
            (
                "y.x.a.test",
                Some(PartnerType::Federated),
                Some(PartnerType::Federated),
            ),
            ("aa.test", None, None),
            ("test", None, None),
        ] {
            assert_eq!(kind(name, before), then, "{name}");
            assert_eq!(kind(name, end), later, "{name}");
        }
    }
}
