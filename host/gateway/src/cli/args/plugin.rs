//! What those who write plugins ask for.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::Output;

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
