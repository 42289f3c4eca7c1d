//! The policy engine with some plugins, on a directory of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use portcullis_policy::journal::{self, Journal};
use portcullis_policy::{
    Chain, Engine, EngineSettings, Generation, GenerationSpec, Mode, OnFailure, PartnerRecord,
    PartnerType, Partners, PluginLimits, PluginSpec, Services, state,
};
use portcullis_xmpp::jid::Domain;
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::callgrind::Failure;

/// Where the components are, and where what is compiled of them is kept.
pub(crate) struct Components {
    pub(crate) plugins: PathBuf,
    pub(crate) cache: PathBuf,
}

/// Which plugins judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plugins {
    None,
    /// So many filters that do nothing.
    Passing(usize),
    /// Allowlist, presence filter, audit log, as in the example configuration.
    Default,
}

pub(crate) struct World {
    pub(crate) generation: Generation,
    // Ended after the generation.
    _services: Services,
    _engine: Arc<Engine>,
    _dir: TempDir,
}

impl World {
    pub(crate) async fn new(components: &Components, plugins: Plugins) -> Result<Self, Failure> {
        let dir = TempDir::new()?;
        let engine = Arc::new(Engine::new(EngineSettings {
            cache_dir: Some(components.cache.clone()),
            // No guest is interrupted: when it is depends on the clock, not on the work.
            tick: Duration::from_secs(3600),
            ..EngineSettings::default()
        })?);
        let state = Arc::new(state::Store::open(&dir.path().join("state.redb"))?);
        let audit = dir.path().join("audit");
        let journal = Arc::new(Journal::open(&audit, journal::Settings::default())?);
        let (emit, _) = mpsc::channel(16);
        let services = Services {
            state,
            journal,
            emit,
            own_domains: Arc::new(BTreeSet::from([Domain::parse("org.test")?])),
        };
        let record = PartnerRecord {
            kind: PartnerType::Federated,
            subdomains: false,
            valid_until: None,
        };
        let spec = GenerationSpec {
            number: 1,
            plugins: specs(&components.plugins, plugins),
            partners: Partners::from_iter([(Domain::parse("alpha.test")?, record)]),
            stanza_bytes: 64 * 1024,
            plugin_keys: Vec::new(),
        };
        let generation = Generation::build(&engine, &services, spec).await?;
        generation.started().await;
        Ok(Self {
            generation,
            _services: services,
            _engine: engine,
            _dir: dir,
        })
    }

    /// Lets the observers begin, and waits until they have heard everything. Until then it waits for
    /// them, up to a thousand decisions: so how they come in batches does not depend on the clock.
    pub(crate) async fn observed(self) {
        let chain = Chain::new(self.generation);
        chain.settled().await;
    }
}

fn specs(components: &Path, plugins: Plugins) -> Vec<PluginSpec> {
    let passing = |number: usize| {
        spec(
            components,
            "instructions_guest",
            format!("passing-{number}"),
        )
    };
    let named = |(component, name): (&str, &str)| spec(components, component, name.to_owned());
    match plugins {
        Plugins::None => Vec::new(),
        Plugins::Passing(count) => (0..count).map(passing).collect(),
        Plugins::Default => [
            ("partner_allowlist", "allowlist"),
            ("presence_filter", "presence"),
            ("audit_log", "audit"),
        ]
        .map(named)
        .into(),
    }
}

fn spec(components: &Path, component: &str, name: String) -> PluginSpec {
    let config = match component {
        "partner_allowlist" => json!({ "allow": ["alpha.test"] }),
        _ => json!({}),
    };
    PluginSpec {
        name,
        component: components.join(format!("{component}.wasm")),
        on_failure: OnFailure::Closed,
        // Under valgrind a guest is fifty times as slow.
        budget: Duration::from_secs(10),
        memory: 16 * 1024 * 1024,
        config,
        grants: Vec::new(),
        limits: PluginLimits::default(),
        files: BTreeMap::new(),
        content: None,
        sha256: None,
        signature: None,
        mode: Mode::Active,
    }
}
