//! What stays: the gateway itself, and its demonstration.

use clap::{Args, ValueEnum};

use super::ConfigFile;

/// `portcullis run`
#[derive(Debug, Args)]
pub struct Run {
    /// The configuration.
    #[command(flatten)]
    pub config: ConfigFile,
    /// How the log is written.
    #[command(flatten)]
    pub log: Log,
}

/// How the log is written.
#[derive(Debug, Args)]
pub struct Log {
    /// How the log is written
    #[arg(long, value_enum, default_value_t = LogFormat::Human)]
    pub log_format: LogFormat,
    /// What is logged, as in "info" or "info,portcullis::session=debug"; RUST_LOG if not given
    #[arg(long = "log", value_name = "FILTER")]
    pub filter: Option<String>,
}

/// The shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One readable line per event
    Human,
    /// One JSON object per event
    Json,
}

/// `portcullis demo`
#[derive(Debug, Args)]
pub struct Demo {
    /// End after the tour; exit code 0 only if all of it happened
    #[arg(long)]
    pub once: bool,
    /// What the gateway logs meanwhile, as in "info"; nothing if not given
    #[arg(long = "log", value_name = "FILTER")]
    pub filter: Option<String>,
}
