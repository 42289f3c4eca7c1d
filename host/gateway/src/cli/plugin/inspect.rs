//! `plugin inspect`: what a component is, and what it asks for.

use std::{fs, path::Path};

use portcullis_policy::{Description, Generation, Inspection, Wanted};
use serde_json::{Value, json};

use crate::{
    cli::{
        args::Format,
        exit::Exit,
        terminal::{Level, Terminal},
    },
    workbench::{Workbench, machinery, run},
};

/// What it says of itself, and which stanzas it asks for, or why it does not start.
type Portrait = (Description, Result<Wanted, String>);

/// Describes the component; starts it with the keys in `with`.
pub(super) fn inspect(component: &Path, with: Option<&Path>, format: Format) -> Exit {
    let terminal = Terminal::new();
    match look(component, with) {
        Ok((inspection, portrait)) => {
            match format {
                Format::Json => terminal.json(&document(&inspection, portrait.as_ref())),
                Format::Human => show(terminal, component, &inspection, portrait.as_ref()),
            }
            match inspection.refused {
                None => Exit::Well,
                Some(_) => Exit::Problem,
            }
        }
        Err(error) => {
            let text = format!("{}: {error}", component.display());
            terminal.mark(Level::Problem, &text, None);
            Exit::Problem
        }
    }
}

fn look(component: &Path, with: Option<&Path>) -> Result<(Inspection, Option<Portrait>), String> {
    let config = match with {
        None => json!({}),
        Some(file) => {
            let named = |error: &dyn ToString| format!("{}: {}", file.display(), error.to_string());
            let text = fs::read_to_string(file).map_err(|error| named(&error))?;
            toml::from_str::<Value>(&text).map_err(|error| named(&error))?
        }
    };
    let (runtime, engine) = machinery().map_err(|error| error.to_string())?;
    let mut inspection = (engine.inspect(component)).map_err(|error| error.to_string())?;
    if inspection.refused.is_some() {
        return Ok((inspection, None));
    }
    let bench = Workbench::new([]).map_err(|error| error.to_string())?;
    let plugin = run::plugin(component, config);
    let portrait = Generation::portrait(&engine, &bench.services, &plugin);
    match runtime.block_on(portrait) {
        Ok(portrait) => Ok((inspection, Some(portrait))),
        Err(refused) => {
            inspection.refused = Some(refused);
            Ok((inspection, None))
        }
    }
}

fn document(inspection: &Inspection, portrait: Option<&Portrait>) -> Value {
    // Strings and numbers: nothing of it can fail to be written.
    let mut document = serde_json::to_value(inspection).unwrap_or_default();
    let said = portrait.map(|(description, _)| description);
    let wanted = portrait.map(|(_, wanted)| wanted);
    let more = [
        ("world", json!(world(inspection))),
        (
            "version",
            json!(said.and_then(|said| said.version.as_ref())),
        ),
        (
            "config_schema",
            json!(said.and_then(|said| said.config_schema.as_ref())),
        ),
        (
            "subscription",
            json!(wanted.and_then(|wanted| wanted.as_ref().ok())),
        ),
        (
            "not_started",
            json!(wanted.and_then(|wanted| wanted.as_ref().err())),
        ),
    ];
    if let Value::Object(document) = &mut document {
        document.extend(more.map(|(key, value)| (key.to_owned(), value)));
    }
    document
}

/// `portcullis:policy@0.1.0: gatekeeper + filter`
fn world(inspection: &Inspection) -> Option<String> {
    let ours = |name: &String| {
        let (interface, version) = name.strip_prefix("portcullis:policy/")?.split_once('@')?;
        Some((interface.to_owned(), version.to_owned()))
    };
    let exports: Vec<_> = inspection.exports.iter().filter_map(ours).collect();
    let (_, version) = exports.first()?;
    let capabilities: Vec<_> = exports
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| ["gatekeeper", "filter", "observer"].contains(name))
        .collect();
    Some(format!(
        "portcullis:policy@{version}: {}",
        capabilities.join(" + ")
    ))
}

fn show(
    terminal: Terminal,
    component: &Path,
    inspection: &Inspection,
    portrait: Option<&Portrait>,
) {
    let kib = inspection.bytes.div_ceil(1024);
    terminal.line(&format!("{}, {kib} KiB", component.display()));
    if let Some(world) = world(inspection) {
        terminal.line(&format!("  world   {world}"));
    }
    let said = portrait.map(|(description, _)| description);
    if let Some(version) = said.and_then(|said| said.version.as_deref()) {
        terminal.line(&format!("  version {version}"));
    }
    terminal.line(&format!("  sha256  {}", inspection.digest));
    for export in &inspection.exports {
        terminal.line(&format!("  export  {export}"));
    }
    for import in &inspection.imports {
        terminal.line(&format!("  import  {import}"));
    }
    match portrait.map(|(_, wanted)| wanted) {
        Some(Ok(wanted)) if inspection.exports.iter().any(|name| is_filter(name)) => {
            let all = |all: &[String]| match all {
                [] => "all payloads".to_owned(),
                some => some.join(", "),
            };
            terminal.line(&format!(
                "  asks for {}; {}; {}",
                wanted.kinds.join(", "),
                wanted.directions.join(", "),
                all(&wanted.payloads)
            ));
            if let Some(memo) = wanted.memo_ms {
                terminal.line(&format!("  its verdicts may be remembered for {memo} ms"));
            }
        }
        Some(Err(why)) => {
            let text = format!("it does not start with this configuration: {why}");
            terminal.mark(Level::Warning, &text, Some("give it one with --with FILE"));
        }
        Some(Ok(_)) | None => {}
    }
    if let Some(schema) = said.and_then(|said| said.config_schema.as_ref()) {
        terminal.line("  config schema");
        let text = serde_json::to_string_pretty(schema).unwrap_or_default();
        for line in text.lines() {
            terminal.line(&format!("    {}", crate::cli::terminal::visible(line)));
        }
    }
    match &inspection.refused {
        None => terminal.mark(Level::Ok, "this gateway takes it as a plugin", None),
        Some(reason) => terminal.mark(Level::Problem, reason, None),
    }
}

fn is_filter(name: &str) -> bool {
    name.starts_with("portcullis:policy/filter")
}
