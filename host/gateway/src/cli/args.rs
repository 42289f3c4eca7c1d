//! The arguments, as clap reads them.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Where the configuration is if nobody says otherwise.
const DEFAULT_CONFIG: &str = "/etc/portcullis/portcullis.toml";

const EXIT_CODES: &str = "\
Exit codes:
  0   all is well
  1   a problem was found, or what was asked for could not be done
  2   the arguments are wrong
  69  no running gateway answers on its admin socket (reload, status)
  78  the configuration is refused; every problem in it is named";

/// A federation gateway for XMPP: the one door between an organisation's servers and its partners'.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands, in the order of the help.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the gateway until SIGTERM or SIGINT; SIGHUP reloads
    Run(Run),
    /// Everything that does not run for good.
    #[command(flatten)]
    Errand(Errand),
}

/// What is done and ends.
#[derive(Debug, Subcommand)]
pub enum Errand {
    /// Try a configuration for real: files, certificates, plugins, ports; print its firewall table
    Check(Check),
    /// Make certificate authorities
    #[command(subcommand)]
    Ca(Ca),
    /// Look at plugins
    #[command(subcommand)]
    Plugin(Plugin),
    /// Look after the audit journal
    #[command(subcommand)]
    Audit(Audit),
    /// Let the running gateway read its configuration and plugins again
    Reload(Ask),
    /// Ask the running gateway what is going on
    Status(Ask),
}

/// Which configuration.
#[derive(Debug, Clone, Args)]
pub struct ConfigFile {
    /// The configuration file
    #[arg(long = "config", short = 'c', value_name = "FILE", default_value = DEFAULT_CONFIG)]
    pub file: PathBuf,
}

/// How results are written.
#[derive(Debug, Clone, Copy, Args)]
pub struct Output {
    /// Write the result as one JSON document, for scripts
    #[arg(long)]
    json: bool,
}

impl Output {
    /// The format that was asked for.
    #[must_use]
    pub fn format(self) -> Format {
        if self.json {
            Format::Json
        } else {
            Format::Human
        }
    }
}

/// For whom a result is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Human,
    /// For scripts.
    Json,
}

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

/// `portcullis check`
#[derive(Debug, Args)]
pub struct Check {
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
        /// The directory to make; it must be empty or not exist yet
        dir: PathBuf,
        /// A domain that the gateway serves; once for each
        #[arg(long = "domain", value_name = "DOMAIN", required = true)]
        domains: Vec<String>,
    },
}

/// `portcullis plugin`
#[derive(Debug, Subcommand)]
pub enum Plugin {
    /// Say what a component exports, imports and asks for
    Inspect {
        /// The component
        component: PathBuf,
        /// How results are written.
        #[command(flatten)]
        output: Output,
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }
}
