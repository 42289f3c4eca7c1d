//! From a specification to a generation that can rule.
//!
//! In: a [`GenerationSpec`]. Out: a complete [`Generation`], or which plugin failed at which step, and
//! what to do. Components are read and compiled on a blocking thread. Nothing outside is changed:
//! `init` can read `state` but write nothing, and the rehearsal leads nowhere.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Generation;
use crate::component::{self, ComponentError, Description, Digest, Prepared, PublicKey};
use crate::engine::Engine;
use crate::figures::Figures;
use crate::files;
use crate::instance::{Budget, Context, Failure, Instance, PluginLog, Rehearsal, describe};
use crate::plugin::{Observer, Plugin, rehearse};
use crate::replay::Unknowns;
use crate::schema::Misfit;
use crate::shadow::Shadow;
use crate::spec::{GenerationSpec, Mode, Partners, PluginSpec, Services};
use crate::state;
use crate::status::Wanted;

/// With one instance, a plugin that waits would hold up every other stream.
const LEAST_INSTANCES: usize = 2;

/// How far a plugin got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BuildStep {
    /// Its settings are checked.
    Settings,
    /// Its file is read.
    Read,
    /// Its digest and its signature are compared with what the operator trusts.
    Provenance,
    /// The files that it is granted are read.
    Files,
    /// Its imports, exports and types are verified; it is compiled and linked.
    Verify,
    /// It is asked what it says of itself, and its configuration is compared with its schema.
    Config,
    /// Its instances are made and `init` is called with its configuration.
    Init,
    /// One instance is asked about made-up streams and stanzas.
    Probe,
}

impl fmt::Display for BuildStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Settings => "its settings",
            Self::Read => "reading it",
            Self::Provenance => "checking where it comes from",
            Self::Files => "its files",
            Self::Verify => "verifying it",
            Self::Config => "its config",
            Self::Init => "its init",
            Self::Probe => "its rehearsal",
        })
    }
}

/// Why there is no new generation. The one before goes on unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("plugin `{plugin}` failed at {step}: {reason}")]
pub struct BuildError {
    /// The plugin's name.
    pub plugin: String,
    /// Where it failed.
    pub step: BuildStep,
    /// Why, and the way out.
    pub reason: String,
    /// At [`BuildStep::Config`]: each place where its configuration does not fit its schema; `reason`
    /// has them all in words.
    pub misfits: Vec<Misfit>,
}

/// How long the parts of a build took, all plugins together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BuildTimes {
    /// Reading files, where the caller had not.
    pub read: Duration,
    /// Checking digests and signatures, verifying, compiling, linking.
    pub verify: Duration,
    /// Making the instances and their `init`.
    pub init: Duration,
    /// The rehearsal, with the `init` of the instance that plays it.
    pub probe: Duration,
}

pub(super) async fn build(
    engine: &Arc<Engine>,
    services: &Services,
    spec: GenerationSpec,
    rehearsal: Rehearsal,
) -> Result<Generation, BuildError> {
    let partners = Arc::new(spec.partners);
    let mut names = BTreeSet::new();
    let mut plugins = Vec::with_capacity(spec.plugins.len());
    let mut observers = Vec::new();
    let mut times = BuildTimes::default();
    let keys: Arc<[PathBuf]> = Arc::from(spec.plugin_keys);
    let mut shadows = Vec::new();
    for plugin in spec.plugins {
        let name = plugin.name.clone();
        let failed = |step, reason: String| BuildError {
            plugin: name.clone(),
            step,
            reason,
            misfits: Vec::new(),
        };
        check(&plugin, &mut names).map_err(|reason| failed(BuildStep::Settings, reason))?;

        let since = Instant::now();
        let (prepared, read) = prepare(engine, &plugin, &keys).await.map_err(|error| {
            failed(
                step(&error),
                format!("{}: {error}", plugin.component.display()),
            )
        })?;
        times.read += read;
        times.verify += since.elapsed().saturating_sub(read);
        let since = Instant::now();
        let files = files::Files::read(plugin.files.clone())
            .await
            .map_err(|error| failed(BuildStep::Files, error.to_string()))?;
        times.read += since.elapsed();
        let on_failure = plugin.on_failure;
        let context = context(
            engine,
            services,
            &plugin,
            files,
            &partners,
            spec.stanza_bytes,
            rehearsal,
        );

        let since = Instant::now();
        let described = describe(&prepared, &context)
            .await
            .map_err(|failure| failed(BuildStep::Config, failure.to_string()))?;
        let misfits = misfits(&described, &plugin.config);
        if !misfits.is_empty() {
            let reasons: Vec<_> = misfits.iter().map(Misfit::to_string).collect();
            return Err(BuildError {
                misfits,
                ..failed(BuildStep::Config, reasons.join("; "))
            });
        }
        let subscription =
            rehearse(&prepared, &context)
                .await
                .map_err(|failure| match failure {
                    Failure::Init(text) => failed(BuildStep::Init, text),
                    failure => failed(BuildStep::Probe, failure.to_string()),
                })?;
        times.probe += since.elapsed();
        let since = Instant::now();
        let init = |failure: Failure| failed(BuildStep::Init, failure.to_string());
        if plugin.mode == Mode::Shadow {
            if prepared.gatekeeper.is_none() && prepared.filter.is_none() {
                let reason = "it only observes: as a shadow it would have nothing to compare";
                return Err(failed(BuildStep::Settings, reason.to_owned()));
            }
            // One after the other, on its own thread.
            let instances = vec![start(&prepared, &context).await.map_err(init)?];
            let plugin = Plugin::new(
                spec.number,
                on_failure,
                engine.clock(),
                prepared,
                context,
                subscription,
                instances,
            );
            let (plugin, place) = (Arc::new(plugin), plugins.len());
            let partners = Arc::clone(&partners);
            let ledger = engine.shadows();
            shadows.push(Shadow::new(plugin, place, spec.number, partners, ledger));
            continue;
        }
        let mut instances = Vec::new();
        if prepared.gatekeeper.is_some() || prepared.filter.is_some() {
            let workers = tokio::runtime::Handle::current().metrics().num_workers();
            for _ in 0..workers.max(LEAST_INSTANCES) {
                instances.push(start(&prepared, &context).await.map_err(init)?);
            }
        }
        let observer = match prepared.observer {
            Some(_) => Some(start(&prepared, &context).await.map_err(init)?),
            None => None,
        };
        times.init += since.elapsed();
        let plugin = Arc::new(Plugin::new(
            spec.number,
            on_failure,
            engine.clock(),
            prepared,
            context,
            subscription,
            instances,
        ));
        observers.extend(observer.map(|instance| Observer::new(Arc::clone(&plugin), instance)));
        plugins.push(plugin);
    }
    Ok(Generation {
        number: spec.number,
        plugins,
        observers,
        shadows,
        partners,
        times,
        alive: std::sync::OnceLock::new(),
    })
}

/// What the plugin may reach.
fn context(
    engine: &Engine,
    services: &Services,
    plugin: &PluginSpec,
    files: files::Files,
    partners: &Arc<Partners>,
    stanza_bytes: usize,
    rehearsal: Rehearsal,
) -> Arc<Context> {
    let limits = plugin.limits;
    let share = state::Share {
        bytes: limits.state_bytes,
        keys: limits.state_keys,
    };
    let name: Arc<str> = Arc::from(plugin.name.as_str());
    let figures = Arc::<Figures>::default();
    Arc::new(Context {
        budget: Budget::of(plugin.budget),
        memory: plugin.memory,
        edits: limits.edits,
        config: plugin.config.to_string(),
        stanza_bytes,
        log: Arc::new(PluginLog::new(
            Arc::clone(&name),
            Arc::clone(&figures),
            limits.log_lines,
        )),
        figures,
        state: services.state.namespace(&name).limited(share),
        journal: Arc::clone(&services.journal),
        emit: services.emit.clone(),
        own_domains: Arc::clone(&services.own_domains),
        partners: Arc::clone(partners),
        files,
        pulse: engine.pulse(),
        rehearsal: match plugin.mode {
            Mode::Active => rehearsal,
            Mode::Shadow => Rehearsal::Mute,
        },
        unknowns: Unknowns::default(),
        name,
    })
}

/// What a component says of itself, and which stanzas it asks for with this configuration; the inner
/// error says why it takes none of it.
pub(super) async fn portrait(
    engine: &Arc<Engine>,
    services: &Services,
    plugin: &PluginSpec,
) -> Result<(Description, Result<Wanted, String>), String> {
    let (prepared, _) = prepare(engine, plugin, &Arc::from([]))
        .await
        .map_err(|error| error.to_string())?;
    let files = files::Files::read(plugin.files.clone())
        .await
        .map_err(|error| error.to_string())?;
    let context = context(
        engine,
        services,
        plugin,
        files,
        &Arc::default(),
        262_144,
        Rehearsal::Probe,
    );
    let described = describe(&prepared, &context)
        .await
        .map_err(|failure| failure.to_string())?;
    let misfits = misfits(&described, &plugin.config);
    let wanted = match misfits.is_empty() {
        true => Instance::start(&prepared, &context, Rehearsal::Probe)
            .await
            .map(|(_, subscription)| Wanted::of(&subscription))
            .map_err(|failure| failure.to_string()),
        false => Err((misfits.iter().map(Misfit::to_string))
            .collect::<Vec<_>>()
            .join("; ")),
    };
    Ok((described, wanted))
}

fn misfits(described: &Description, config: &serde_json::Value) -> Vec<Misfit> {
    let schema = described.config_schema.as_ref();
    schema.map_or_else(Vec::new, |schema| schema.misfits(config))
}

fn check(plugin: &PluginSpec, names: &mut BTreeSet<String>) -> Result<(), String> {
    if !names.insert(plugin.name.clone()) {
        return Err(
            "another plugin has the same name; state goes by it, so it must be unique".to_owned(),
        );
    }
    if let Some(grant) = plugin.grants.first() {
        return Err(format!(
            "`{grant}` cannot be granted: this version has nothing to grant beyond what every plugin may \
             import; leave `grants` out"
        ));
    }
    if plugin.files.len() > files::MAX_FILES {
        return Err(format!(
            "it has {} files, and may have {}",
            plugin.files.len(),
            files::MAX_FILES
        ));
    }
    if plugin.budget < Duration::from_millis(1) {
        return Err("its budget is below one millisecond, the resolution of budgets".to_owned());
    }
    Ok(())
}

/// What had been reached when a component was refused.
fn step(error: &ComponentError) -> BuildStep {
    match error {
        ComponentError::Read(_) | ComponentError::TooLarge(_) => BuildStep::Read,
        ComponentError::Key(_)
        | ComponentError::Pinned { .. }
        | ComponentError::Unsigned { .. }
        | ComponentError::Forged { .. } => BuildStep::Provenance,
        _ => BuildStep::Verify,
    }
}

/// The component, and how long reading it took.
async fn prepare(
    engine: &Arc<Engine>,
    plugin: &PluginSpec,
    keys: &Arc<[PathBuf]>,
) -> Result<(Arc<Prepared>, Duration), ComponentError> {
    let (engine, plugin, keys) = (Arc::clone(engine), plugin.clone(), Arc::clone(keys));
    let limit = plugin.limits.component_bytes;
    let work = move || {
        let since = Instant::now();
        let bytes = match &plugin.content {
            Some(content) if content.len() > limit => {
                return Err(ComponentError::TooLarge(limit));
            }
            Some(content) => Arc::clone(content),
            None => Arc::from(component::read(&plugin.component, limit)?),
        };
        let keys: Vec<_> = (keys.iter())
            .map(|file| PublicKey::read(file))
            .collect::<Result<_, _>>()?;
        let read = since.elapsed();
        let digest = Digest::of(&bytes);
        component::check_provenance(&plugin, &bytes, digest, &keys)?;
        Ok((engine.prepare(&bytes)?, read))
    };
    let task = tokio::task::spawn_blocking(work);
    task.await
        .unwrap_or_else(|error| Err(ComponentError::Compile(error.to_string())))
}

async fn start(prepared: &Prepared, context: &Arc<Context>) -> Result<Instance, Failure> {
    Instance::start(prepared, context, context.rehearsal)
        .await
        .map(|(instance, _)| instance)
}
