//! `plugin build` and `plugin inspect`

use std::path::Path;

use portcullis_policy::{Engine, EngineSettings, Inspection, build};
use serde_json::json;

use super::{
    args::{Format, Plugin, StandardLibrary},
    exit::Exit,
    terminal::{Level, Terminal},
};

/// Does what the arguments say.
pub(crate) fn plugin(arguments: &Plugin) -> Exit {
    match arguments {
        Plugin::Build {
            crate_dir,
            std,
            output,
        } => build(crate_dir, *std, output.format()),
        Plugin::Inspect { component, output } => inspect(component, output.format()),
    }
}

fn build(crate_dir: &Path, std: StandardLibrary, format: Format) -> Exit {
    let terminal = Terminal::new();
    let options = build::Options {
        source: match std {
            StandardLibrary::Any => build::Source::Any,
            StandardLibrary::Debian => build::Source::Debian,
        },
    };
    // Progress goes where the result does not, so that a script gets one document.
    let mut progress = |line: &str| match format {
        Format::Human => terminal.line(&format!("    {line}")),
        Format::Json => eprintln!("{line}"),
    };
    let built = match build::component(crate_dir, &options, &mut progress) {
        Ok(built) => built,
        Err(failure) => {
            match format {
                Format::Human => terminal.mark(Level::Problem, &failure.to_string(), None),
                Format::Json => terminal.json(&json!({
                    "result": "failed",
                    "message": failure.to_string(),
                })),
            }
            return Exit::Problem;
        }
    };
    match format {
        Format::Json => terminal.json(&json!({
            "result": if built.refused.is_none() { "built" } else { "refused" },
            "component": built.path,
            "bytes": built.size,
            "exports": built.exports,
            "refused": built.refused,
        })),
        Format::Human => {
            // Size and exports were told as progress.
            let (level, text) = match &built.refused {
                None => (Level::Ok, "built, and this gateway takes it".to_owned()),
                Some(reason) => {
                    let text = format!("built, but this gateway would not take it: {reason}");
                    (Level::Problem, text)
                }
            };
            terminal.mark(level, &text, None);
        }
    }
    match built.refused {
        None => Exit::Well,
        Some(_) => Exit::Problem,
    }
}

fn inspect(component: &Path, format: Format) -> Exit {
    let terminal = Terminal::new();
    let failed = |error: String| {
        let text = format!("{}: {error}", component.display());
        terminal.mark(Level::Problem, &text, None);
        Exit::Problem
    };
    let engine = match Engine::new(EngineSettings::default()) {
        Ok(engine) => engine,
        Err(error) => return failed(error.to_string()),
    };
    let inspection = match engine.inspect(component) {
        Ok(inspection) => inspection,
        Err(error) => return failed(error.to_string()),
    };
    match format {
        Format::Json => terminal.json(&inspection),
        Format::Human => show(terminal, component, &inspection),
    }
    match inspection.refused {
        None => Exit::Well,
        Some(_) => Exit::Problem,
    }
}

fn show(terminal: Terminal, component: &Path, inspection: &Inspection) {
    let kib = inspection.bytes.div_ceil(1024);
    terminal.line(&format!("{}, {kib} KiB", component.display()));
    terminal.line(&format!("  sha256  {}", inspection.digest));
    for export in &inspection.exports {
        terminal.line(&format!("  export  {export}"));
    }
    for import in &inspection.imports {
        terminal.line(&format!("  import  {import}"));
    }
    match &inspection.refused {
        None => terminal.mark(Level::Ok, "this gateway takes it as a plugin", None),
        Some(reason) => terminal.mark(Level::Problem, reason, None),
    }
}
