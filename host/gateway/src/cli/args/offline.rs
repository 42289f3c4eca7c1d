//! What needs no gateway that runs: checks, certificates, the audit journal, replays.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{ConfigFile, Output};

/// `portcullis check [partner DOMAIN]`
#[derive(Debug, Args)]
pub struct Check {
    /// One thing instead of the configuration.
    #[command(subcommand)]
    pub what: Option<CheckOne>,
    /// The configuration.
    #[command(flatten)]
    pub config: ConfigFile,
    /// How results are written.
    #[command(flatten)]
    pub output: Output,
}

/// What else can be checked.
#[derive(Debug, Subcommand)]
pub enum CheckOne {
    /// Connect to a partner as the gateway would, and tell each step
    Partner(CheckPartner),
}

/// `portcullis check partner DOMAIN`
#[derive(Debug, Args)]
pub struct CheckPartner {
    /// The partner's domain
    pub domain: String,
    /// In the name of which served domain; the first one if not given
    #[arg(long, value_name = "DOMAIN")]
    pub from: Option<String>,
    /// The configuration.
    #[command(flatten)]
    pub config: ConfigFile,
    /// How results are written.
    #[command(flatten)]
    pub output: Output,
}

/// `portcullis ca`
#[derive(Debug, Subcommand)]
pub enum Ca {
    /// Make the CA of the internal servers, the minting CA, and the certificates to begin with
    Init {
        /// The directory to fill; what is there already is kept and used, nothing is overwritten
        dir: PathBuf,
        /// A domain that the gateway serves; once for each
        #[arg(long = "domain", value_name = "DOMAIN", required = true)]
        domains: Vec<String>,
        /// The domains of one internal server, with commas between them; once for each server, which
        /// gets a certificate of its own [default: one server that has them all]
        #[arg(long = "server", value_name = "DOMAIN,...")]
        servers: Vec<String>,
    },
}

/// `portcullis audit`
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Walk the journal's chain of hashes and name the first broken record
    Verify {
        /// The journal's directory; the one of the configuration if not given
        dir: Option<PathBuf>,
        /// The configuration.
        #[command(flatten)]
        config: ConfigFile,
        /// How results are written.
        #[command(flatten)]
        output: Output,
    },
}

/// `portcullis replay`
#[derive(Debug, Args)]
pub struct Replay {
    /// What `capture` wrote, or a file of the audit journal
    pub file: PathBuf,
    /// The configuration to judge by.
    #[command(flatten)]
    pub config: ConfigFile,
    /// How results are written.
    #[command(flatten)]
    pub output: Output,
}
