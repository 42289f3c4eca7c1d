//! The arguments, as clap reads them: the commands in the order of the help, and what several have.
//!
//! In: words. Out: [`Arguments`], or the help, or what is wrong with the words and exit code 2.

mod ask;
mod offline;
mod plugin;
mod running;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use self::ask::{Ask, Capture, Explain, Reload, Rollback};
pub use self::offline::{Audit, Ca, Check, CheckOne, CheckPartner, Replay};
pub use self::plugin::{NewPlugin, Plugin, PluginKind, StandardLibrary};
pub use self::running::{Demo, Log, LogFormat, Run};

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
