//! The part of a configuration that a reload can change, as text that can be kept and read again.
//!
//! In: the text of a configuration and of its `partners_dir`; later, the text that was made of them.
//! Out: `[[partner]]`, `[[plugin]]` and the names of trust anchors, and nothing else, so no secret of
//! the gateway; later, a [`Config`] with that policy and everything else as it is now. What can fail:
//! a policy that was kept may not be one any more, if a newer gateway reads it.

use std::path::Path;

use toml::{Table, Value, de::DeTable};

use super::{
    claims::Claims,
    model::Config,
    partner, plugin,
    problem::{Rejected, Severity, Sink, Source},
    section::{At, Section},
    shape, values,
};

/// The policy of a configuration that has loaded; empty if the text is no TOML.
pub(super) fn extract(text: &str, sources: &[Source]) -> String {
    let mut whole: Table = toml::from_str(text).unwrap_or_default();
    let mut policy = Table::new();
    let mut partners = tables(whole.remove("partner"));
    for source in sources {
        let mut other: Table = toml::from_str(&source.text).unwrap_or_default();
        partners.append(&mut tables(other.remove("partner")));
    }
    if let Some(Value::Table(mut federation)) = whole.remove("federation")
        && let Some(trust) = federation.remove("trust")
    {
        policy.insert("trust".to_owned(), trust);
    }
    if let Some(Value::Table(mut gateway)) = whole.remove("gateway")
        && let Some(keys) = gateway.remove("plugin_keys")
    {
        policy.insert("plugin_keys".to_owned(), keys);
    }
    policy.insert("partner".to_owned(), Value::Array(partners));
    let plugins = tables(whole.remove("plugin"));
    policy.insert("plugin".to_owned(), Value::Array(plugins));
    policy.to_string()
}

fn tables(value: Option<Value>) -> Vec<Value> {
    match value {
        Some(Value::Array(tables)) => tables,
        _ => Vec::new(),
    }
}

impl Config {
    /// This configuration with another policy. Relative paths start where they started when it was
    /// kept; defaults and keys that sign components are those of this configuration.
    ///
    /// # Errors
    /// Everything that is wrong with the policy, as of a configuration file.
    pub(crate) fn with_policy(
        &self,
        policy: &str,
        base: &Path,
        plugins_dir: &Path,
    ) -> Result<Self, Rejected> {
        let sink = Sink::new(policy);
        let (document, syntax) = DeTable::parse_recoverable(policy);
        for error in &syntax {
            sink.report(super::problem::Finding::syntax(error));
        }
        let root = Section::open(&shape::POLICY, document.get_ref(), 0..0, &sink);
        let config = self.read_policy(&root, policy, base, plugins_dir);
        let problems = sink.into_problems();
        let failed = problems.iter().any(|p| p.severity == Severity::Error);
        config.filter(|_| !failed).ok_or_else(|| Rejected {
            file: self.file.clone(),
            text: policy.to_owned(),
            sources: Vec::new(),
            problems,
        })
    }

    fn read_policy(
        &self,
        root: &Section<'_>,
        policy: &str,
        base: &Path,
        plugins_dir: &Path,
    ) -> Option<Self> {
        let mut served = Claims::new("domain");
        for domain in &self.gateway.domains {
            let domain = At {
                value: domain.clone(),
                span: root.span(),
            };
            root.claim(&mut served, &domain, "[gateway]");
        }
        let keys = root.optional_list("plugin_keys", |text| values::path(text, base))?;
        let shared = plugin::Shared {
            plugins_dir,
            base,
            keys: &keys,
        };
        let mut names = Claims::new("plugin name");
        let plugins = (root.sections("plugin", &shape::PLUGIN).iter())
            .map(|section| plugin::read(section, &shared, &mut names))
            .collect::<Option<_>>()?;
        let mut domains = Claims::new("domain");
        let partners = (root.sections("partner", &shape::PARTNER).iter())
            .map(|section| partner::read(section, base, &self.limits, &served, &mut domains))
            .collect::<Option<_>>()?;
        let mut config = self.clone();
        policy.clone_into(&mut config.policy);
        if root.has("trust") {
            config.federation.trust =
                root.optional_list("trust", |text| values::trust(text, base))?;
        }
        (config.plugins, config.partners) = (plugins, partners);
        Some(config)
    }
}
