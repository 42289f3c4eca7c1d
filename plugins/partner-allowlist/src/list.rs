//! The configuration, and where a domain stands in it.

use portcullis_plugin::prelude::*;

/// `[plugin.config]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Domains to federate with.
    #[serde(default)]
    allow: Vec<DomainPattern>,
    /// Domains not to federate with, whatever else names them.
    #[serde(default)]
    deny: Vec<DomainPattern>,
    /// Whether the domains of `[[partner]]` records count as allowed.
    #[serde(default = "yes")]
    partners: bool,
}

fn yes() -> bool {
    true
}

/// Where a domain stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// `deny` names it.
    Denied,
    /// `allow` names it.
    Allowed,
    /// A partner record names it, and records count.
    Partner,
    /// Nothing names it.
    Unlisted,
}

/// The lists.
#[derive(Debug)]
pub(crate) struct List {
    config: Config,
}

impl List {
    pub(crate) fn new(config: Config) -> Self {
        if config.allow.is_empty() && !config.partners {
            log::warn!("`allow` is empty and `partners` is false: no domain is allowed");
        }
        Self { config }
    }

    /// Deny beats allow, and what nothing names is not allowed.
    pub(crate) fn standing(&self, domain: &str) -> Standing {
        let names = |list: &[DomainPattern]| list.iter().any(|pattern| pattern.matches(domain));
        if names(&self.config.deny) {
            Standing::Denied
        } else if names(&self.config.allow) {
            Standing::Allowed
        } else if self.config.partners && partners::lookup(domain).is_some() {
            Standing::Partner
        } else {
            Standing::Unlisted
        }
    }
}
