//! Plugins loaded for real: compiled, linked, initialised and probed, each in a generation of its
//! own, with state and journal in a directory that is thrown away.

use std::{io, path::Path, sync::Arc};

use portcullis_policy::{
    BuildError, Engine, EngineError, EngineSettings, Generation, GenerationSpec, PluginSpec,
    Services, journal, state,
};
use tokio::{runtime, sync::mpsc};

use super::report::Report;
use crate::{app, cli::terminal::Level, config::Config};

/// What a plugin emits while it is tried goes nowhere.
const EMISSIONS: usize = 1;

/// Why no plugin could be tried. The machine's fault.
#[derive(Debug, thiserror::Error)]
enum Untried {
    #[error("cannot make a directory to try them in: {0}")]
    Directory(#[from] io::Error),
    #[error(transparent)]
    State(#[from] state::OpenError),
    #[error(transparent)]
    Journal(#[from] journal::JournalError),
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Tries every plugin.
pub(super) fn check(config: &Config, report: &mut Report) {
    report.about("Plugins");
    if config.plugins.is_empty() {
        let help = "partner records alone decide, and nothing is audited";
        report.add(
            Level::Warning,
            "no plugin".to_owned(),
            Some(help.to_owned()),
        );
        return;
    }
    if let Err(untried) = try_all(config, report) {
        report.add(Level::Problem, untried.to_string(), None);
    }
}

fn try_all(config: &Config, report: &mut Report) -> Result<(), Untried> {
    let scratch = tempfile::Builder::new()
        .prefix("portcullis-check-")
        .tempdir()?;
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let services = services(config, scratch.path())?;
    let engine = Arc::new(Engine::new(EngineSettings::default())?);
    let spec = app::generation_spec(config, 1);
    for plugin in &spec.plugins {
        let alone = GenerationSpec {
            plugins: vec![plugin.clone()],
            ..spec.clone()
        };
        match runtime.block_on(Generation::build(&engine, &services, alone)) {
            Ok(generation) => works(plugin, &generation, report),
            Err(BuildError { step, reason, .. }) => {
                let text = format!("{}: failed at {step}: {reason}", plugin.name);
                report.add(Level::Problem, text, None);
            }
        }
    }
    Ok(())
}

fn services(config: &Config, scratch: &Path) -> Result<Services, Untried> {
    let (emit, _) = mpsc::channel(EMISSIONS);
    Ok(Services {
        state: Arc::new(state::Store::open(&scratch.join("state.redb"))?),
        journal: Arc::new(journal::Journal::open(
            &scratch.join("audit"),
            journal::Settings::default(),
        )?),
        emit,
        own_domains: Arc::new(config.gateway.domains.iter().cloned().collect()),
    })
}

fn works(plugin: &PluginSpec, generation: &Generation, report: &mut Report) {
    let statuses = generation.plugins();
    let roles: Vec<_> = statuses
        .iter()
        .flat_map(|status| &status.exports)
        .filter_map(|export| export.split(['/', '@']).nth(1))
        .filter(|role| *role != "lifecycle")
        .collect();
    let file = plugin.component.display();
    report.ok(format!("{}: {} ({file})", plugin.name, roles.join(" and ")));
}
