//! What is asked of the generator.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Plays both ends around a gateway or a relay, and measures what is between them.
#[derive(Debug, Parser)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// One measurement.
    Run(Plan),
    /// A baseline, as a process of its own; `run` starts it.
    Relay(Relay),
}

/// One measurement.
#[derive(Clone, Debug, Args)]
pub(crate) struct Plan {
    /// What stands between the two ends.
    #[arg(long, value_enum)]
    pub(crate) target: TargetKind,
    /// Streams of each way; each has a partner's domain of its own.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=9999))]
    pub(crate) streams: u16,
    /// Which way stanzas go.
    #[arg(long, value_enum, default_value_t = Ways::Inbound)]
    pub(crate) ways: Ways,
    /// What they are.
    #[arg(long, value_enum, default_value_t = Kind::Small)]
    pub(crate) stanzas: Kind,
    /// How partners begin TLS.
    #[arg(long, value_enum, default_value_t = Tls::Starttls)]
    pub(crate) tls: Tls,
    /// Stanzas per second on all streams together; without it, as many as the target takes.
    #[arg(long)]
    pub(crate) rate: Option<u32>,
    /// Stanzas of one stream that may be on their way at once where no rate is given.
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=8192))]
    pub(crate) window: u32,
    /// Seconds that are measured, after one that is not.
    #[arg(long, default_value_t = 5)]
    pub(crate) seconds: u64,
    /// The program that is measured; by default the one beside this one.
    #[arg(long)]
    pub(crate) gateway: Option<PathBuf>,
    /// Where the default plugins' components are; without it the gateway runs without plugins.
    #[arg(long)]
    pub(crate) plugins: Option<PathBuf>,
    /// One JSON object instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What stands between the two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TargetKind {
    /// Portcullis.
    Gateway,
    /// TLS on both sides, bytes as they come: what no gateway can be below.
    RelayCopy,
    /// The same, but each stanza is found, checked and sent by itself.
    RelayFrameEach,
}

/// Which way stanzas go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Ways {
    /// From partners to the organisation.
    Inbound,
    /// From the organisation to partners.
    Outbound,
    /// Both, each on streams of its own.
    Both,
}

/// What stanzas are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Messages of 400 bytes.
    Small,
    /// Messages of 4096 bytes.
    Large,
    /// Messages, chat states, receipts, presence and IQ as people cause them.
    Mix,
}

/// How TLS begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tls {
    Starttls,
    Direct,
}

/// A baseline.
#[derive(Debug, Args)]
pub(crate) struct Relay {
    /// Whether stanzas are found and sent singly.
    #[arg(long)]
    pub(crate) frame_each: bool,
    /// Certificate and key that it shows on both sides, PEM.
    #[arg(long, num_args = 2)]
    pub(crate) identity: Vec<PathBuf>,
    /// Whom it believes, PEM.
    #[arg(long)]
    pub(crate) trust: PathBuf,
    /// Where each connection goes on to.
    #[arg(long)]
    pub(crate) to: SocketAddr,
    /// The name that the other end must prove.
    #[arg(long)]
    pub(crate) name: String,
}
