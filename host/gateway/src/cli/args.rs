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
  69  no running gateway answers on its admin socket (reload, rollback, generations, status,
      shadow, explain, capture)
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
    /// Show a gateway at work: everything on loopback, partners and an internal server included
    Demo(Demo),
    /// Everything that is done and ends.
    #[command(flatten)]
    Errand(Errand),
}

/// What is done and ends: one question, one answer.
#[derive(Debug, Subcommand)]
pub enum Errand {
    /// Try a configuration for real: files, certificates, plugins, ports; print its firewall table
    #[command(args_conflicts_with_subcommands = true)]
    Check(Check),
    /// Make certificate authorities
    #[command(subcommand)]
    Ca(Ca),
    /// Write, build, try and look at plugins
    #[command(subcommand)]
    Plugin(Plugin),
    /// Look after the audit journal
    #[command(subcommand)]
    Audit(Audit),
    /// Let the running gateway read its configuration and plugins again
    Reload(Reload),
    /// Let the running gateway judge by a generation of the past
    Rollback(Rollback),
    /// List the generations that can be gone back to
    Generations(Ask),
    /// Ask the running gateway what is going on
    Status(Ask),
    /// Show what shadow plugins would have decided otherwise
    Shadow(Ask),
    /// Let the running gateway write whole stanzas to a file, for `replay`
    Capture(Capture),
    /// Judge recorded stanzas by another configuration, and show what would end otherwise
    Replay(Replay),
    /// Say why something was refused: by whom, when, and what the sender was told
    Explain(Explain),
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

/// `portcullis plugin`
#[derive(Debug, Subcommand)]
pub enum Plugin {
    /// Compile a plugin crate to a component, at target/plugins/NAME.wasm of its workspace
    Build {
        /// The directory of the crate
        crate_dir: PathBuf,
        /// Where the standard library for plugins comes from
        #[arg(long, value_enum, default_value_t = StandardLibrary::Any)]
        std: StandardLibrary,
        /// How results are written.
        #[command(flatten)]
        output: Output,
    },
    /// Make a crate for a new plugin: it builds, and passes its own tests
    New(NewPlugin),
    /// Run a component over fixtures, in the gateway's own engine, and show what differs
    Test {
        /// The directory of the crate, which is built, or a component
        subject: PathBuf,
        /// A fixture, or a directory of them [default: fixtures/ in the crate]
        fixtures: Option<PathBuf>,
        /// Where the standard library for plugins comes from
        #[arg(long, value_enum, default_value_t = StandardLibrary::Any)]
        std: StandardLibrary,
        /// How results are written.
        #[command(flatten)]
        output: Output,
    },
    /// Build a crate at each change, and show what becomes of its fixtures and of sample stanzas
    Dev {
        /// The directory of the crate
        crate_dir: PathBuf,
        /// Swap each build into the running gateway of this configuration, too
        #[arg(long, value_name = "CONFIG")]
        gateway: Option<PathBuf>,
        /// End after the first round; exit code 0 only if it was as expected
        #[arg(long)]
        once: bool,
        /// Where the standard library for plugins comes from
        #[arg(long, value_enum, default_value_t = StandardLibrary::Any)]
        std: StandardLibrary,
    },
    /// Say what a component is: version, exports, imports, size, what it asks for, what it is configured with
    Inspect {
        /// The component
        component: PathBuf,
        /// A [plugin.config] to start it with, as a TOML file of its keys; none if not given
        #[arg(long, value_name = "FILE")]
        with: Option<PathBuf>,
        /// How results are written.
        #[command(flatten)]
        output: Output,
    },
}

/// `portcullis plugin new`
#[derive(Debug, Args)]
pub struct NewPlugin {
    /// The name of the plugin and its crate: a-z, 0-9 and -
    pub name: String,
    /// What it decides about
    #[arg(long, value_enum, default_value_t = PluginKind::Filter)]
    pub kind: PluginKind,
    /// Where its directory is made
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// The plugin SDK [default: beside this program, or in the source tree that it was built in]
    #[arg(long, value_name = "DIR")]
    pub sdk: Option<PathBuf>,
    /// How results are written.
    #[command(flatten)]
    pub output: Output,
}

/// What a plugin decides about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PluginKind {
    /// May this stanza pass, and as what?
    Filter,
    /// May this stream exist?
    Gatekeeper,
    /// What was decided?
    Observer,
}

/// Where the standard library for plugins comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StandardLibrary {
    /// The toolchain has it, or rustup fetches it, or it is built from Debian's packages
    Any,
    /// It is built from Debian's packages, whatever else is there
    Debian,
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

/// `portcullis capture`
#[derive(Debug, Args)]
pub struct Capture {
    /// The file to write; it must not be there yet, and only its owner will read it
    #[arg(long, short, value_name = "FILE", required_unless_present = "stop")]
    pub output: Option<PathBuf>,
    /// For how long, as in 30s, 10m, 2h; at most 24h
    #[arg(long = "for", value_name = "TIME", default_value = "10m", value_parser = super::capture::seconds)]
    pub seconds: u64,
    /// How large the file may become, as in 100MiB
    #[arg(long = "size", value_name = "SIZE", default_value = "100MiB", value_parser = super::capture::bytes)]
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

/// `portcullis explain`
#[derive(Debug, Args)]
pub struct Explain {
    /// The reference in the error that the sender got, such as 7KQ4M-ZD2WX
    pub id: String,
    /// Which gateway.
    #[command(flatten)]
    pub ask: Ask,
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_partner_is_checked_with_the_configuration_named_behind_it() {
        let words = [
            "portcullis",
            "check",
            "partner",
            "alpha.test",
            "--config",
            "x.toml",
        ];
        let Command::Errand(Errand::Check(check)) = Arguments::parse_from(words).command else {
            panic!("not check");
        };
        let Some(CheckOne::Partner(partner)) = check.what else {
            panic!("not partner");
        };
        assert_eq!(partner.domain, "alpha.test");
        assert_eq!(partner.config.file, PathBuf::from("x.toml"));
    }
}
