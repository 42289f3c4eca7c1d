//! The default plugins: those beside the program if it came with them, else built from the workspace.

use std::env;
use std::path::PathBuf;

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
    Err(Failed::new("the plugins", "not beside the program"))
}
