//! Plugins loaded for real: compiled, linked, initialised and probed, each in a generation of its
//! own, with state and journal in a directory that is thrown away.

use portcullis_policy::{BuildError, Generation, GenerationSpec, PluginSpec};

use super::report::Report;
use crate::{
    app,
    cli::terminal::Level,
    config::{self, Loaded},
    workbench::{Untried, Workbench, machinery},
};

/// Tries every plugin.
pub(super) fn check(loaded: &Loaded, report: &mut Report) {
    report.about("Plugins");
    if loaded.config.plugins.is_empty() {
        let help = "partner records alone decide, and nothing is audited";
        report.add(
            Level::Warning,
            "no plugin".to_owned(),
            Some(help.to_owned()),
        );
        return;
    }
    if let Err(untried) = try_all(loaded, report) {
        report.add(Level::Problem, untried.to_string(), None);
    }
}

fn try_all(loaded: &Loaded, report: &mut Report) -> Result<(), Untried> {
    let config = &loaded.config;
    let bench = Workbench::new(config.gateway.domains.iter().cloned())?;
    let (runtime, engine) = machinery()?;
    let spec = app::generation_spec(config, 1);
    for plugin in &spec.plugins {
        let alone = GenerationSpec {
            plugins: vec![plugin.clone()],
            ..spec.clone()
        };
        match runtime.block_on(Generation::build(&engine, &bench.services, alone)) {
            Ok(generation) => works(plugin, &generation, report),
            Err(error) if !error.misfits.is_empty() => misfits(loaded, &error, report),
            Err(BuildError { step, reason, .. }) => {
                let text = format!("{}: failed at {step}: {reason}", plugin.name);
                report.add(Level::Problem, text, None);
            }
        }
    }
    Ok(())
}

/// Each with its line, as any other key of the file.
fn misfits(loaded: &Loaded, error: &BuildError, report: &mut Report) {
    for problem in config::misfits(&loaded.text, error) {
        let file = loaded.config.file.display();
        let place = problem.place.as_ref();
        let place = place.map_or_else(String::new, |place| format!("{place}: "));
        let text = format!("{file}: {place}{}", problem.message);
        report.add(Level::Problem, text, problem.help);
    }
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
