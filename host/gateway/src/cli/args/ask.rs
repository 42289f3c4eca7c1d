//! What is asked of the gateway that runs, over its admin socket.

use std::path::PathBuf;

use clap::Args;

use super::{ConfigFile, Output};
use crate::cli::capture;

/// A question to the running gateway.
#[derive(Debug, Args)]
pub struct Ask {
    /// The configuration of the running gateway; only its data_dir is read
    #[command(flatten)]
    pub config: ConfigFile,
    /// How results are written.
    #[command(flatten)]
    pub output: Output,
}

/// `portcullis reload`
#[derive(Debug, Args)]
pub struct Reload {
    /// Build and try everything, tell what would change, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Whom to ask, and how the answer is written.
    #[command(flatten)]
    pub ask: Ask,
}

/// `portcullis rollback`
#[derive(Debug, Args)]
pub struct Rollback {
    /// The number of the generation; the last one that said something else if not given
    pub number: Option<u64>,
    /// Whom to ask, and how the answer is written.
    #[command(flatten)]
    pub ask: Ask,
}

/// `portcullis capture`
#[derive(Debug, Args)]
pub struct Capture {
    /// The file to write; it must not be there yet, and only its owner will read it
    #[arg(long, short, value_name = "FILE", required_unless_present = "stop")]
    pub output: Option<PathBuf>,
    /// For how long, as in 30s, 10m, 2h; at most 24h
    #[arg(long = "for", value_name = "TIME", default_value = "10m", value_parser = capture::seconds)]
    pub seconds: u64,
    /// How large the file may become, as in 100MiB
    #[arg(long = "size", value_name = "SIZE", default_value = "100MiB", value_parser = capture::bytes)]
    pub bytes: u64,
    /// Only the stanzas of this partner's domain
    #[arg(long, value_name = "DOMAIN")]
    pub partner: Option<String>,
    /// End the capture that runs
    #[arg(long, conflicts_with_all = ["output", "partner"])]
    pub stop: bool,
    /// Which gateway.
    #[command(flatten)]
    pub ask: Ask,
}

/// `portcullis explain`
#[derive(Debug, Args)]
pub struct Explain {
    /// The reference in the error that the sender got, such as 7KQ4M-ZD2WX
    pub id: String,
    /// Which gateway.
    #[command(flatten)]
    pub ask: Ask,
}
