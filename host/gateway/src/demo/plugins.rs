//! The default plugins: those beside the program if it came with them, else built from the workspace.

use std::env;
use std::path::{Path, PathBuf};

use portcullis_policy::build;

use super::Failed;
use crate::cli::terminal::{Level, Terminal};

/// The default set: crate directories, and the components that they become.
const DEFAULT: [(&str, &str); 3] = [
    ("partner-allowlist", "partner_allowlist.wasm"),
    ("presence-filter", "presence_filter.wasm"),
    ("audit-log", "audit_log.wasm"),
];

/// The directory that holds the three components.
pub(super) fn directory(terminal: Terminal) -> Result<PathBuf, Failed> {
    let program = env::current_exe().map_err(|error| Failed::new("finding the program", error))?;
    // A release directory: the program, and plugins/ beside it.
    if let Some(beside) = program.parent().map(|dir| dir.join("plugins"))
        && DEFAULT
            .iter()
            .all(|(_, component)| beside.join(component).is_file())
    {
        terminal.mark(
            Level::Ok,
            &format!("plugins: those in {}", beside.display()),
            None,
        );
        return Ok(beside);
    }
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins");
    build_all(&sources, terminal)
}

fn build_all(sources: &Path, terminal: Terminal) -> Result<PathBuf, Failed> {
    let mut directory = None;
    for (name, _) in DEFAULT {
        let what = format!("building the plugin {name}");
        let crate_dir = sources
            .join(name)
            .canonicalize()
            .map_err(|error| Failed::new(&what, format!("{}: {error}", sources.display())))?;
        let mut progress = |line: &str| terminal.line(&format!("    {line}"));
        let built = build::component(&crate_dir, &build::Options::default(), &mut progress)
            .map_err(|error| Failed::new(&what, error))?;
        let kib = built.size.div_ceil(1024);
        terminal.mark(
            Level::Ok,
            &format!("plugin {name} is built, {kib} KiB"),
            None,
        );
        directory = built.path.parent().map(Path::to_owned);
    }
    directory.ok_or_else(|| Failed::new("the plugins", "they have no directory"))
}
