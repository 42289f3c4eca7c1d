//! `plugin build` and `plugin inspect`

use std::path::Path;

use portcullis_policy::{Engine, EngineSettings, Inspection};

use super::{
    args::{Format, Plugin},
    exit::Exit,
    terminal::{Level, Terminal},
};

/// Does what the arguments say.
pub(crate) fn plugin(arguments: &Plugin) -> Exit {
    match arguments {
        Plugin::Inspect { component, output } => inspect(component, output.format()),
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
