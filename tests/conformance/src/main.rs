//! `rules`: every rule of federation, with the tests that hold it or the reason why not.

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use portcullis_conformance::registry::Registry;

/// What Portcullis holds of the rules of federation, and how that is shown.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print every rule: its id, how binding it is, what it says, what tests it or why it is not held
    Rules {
        /// One JSON document, for scripts
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    let Command::Rules { json } = Arguments::parse().command;
    let registry = Registry::read();
    let text = if json {
        registry.json()
    } else {
        registry.to_string()
    };
    // Whoever reads only the beginning of it has read enough.
    let _closed = writeln!(std::io::stdout(), "{text}");
    let faults = registry.faults();
    for fault in &faults {
        eprintln!("{fault}");
    }
    ExitCode::from(u8::from(!faults.is_empty()))
}
