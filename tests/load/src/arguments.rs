//! What is asked of the generator.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Plays both ends around a gateway, a relay or another server, and measures what is between them.
#[derive(Debug, Parser)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// What stanzas cost: throughput, time underway, processor time, losses.
    Run(Plan),
    /// How long it takes from the start of the process until it is ready, and its memory while idle.
    Start(Start),
    /// What each stream costs in memory on which nothing happens.
    Idle(Idle),
    /// How many streams can be opened for a second of the processor.
    Handshakes(Handshakes),
    /// Whether the target's policy keeps a forbidden word out and nothing else.
    Check(Check),
    /// A baseline, as a process of its own; the others start it.
    Relay(Relay),
}

/// Who is measured.
#[derive(Clone, Debug, Args)]
pub(crate) struct Subject {
    /// What stands between the two ends.
    #[arg(long, value_enum)]
    pub(crate) target: TargetKind,
    /// The program that is measured; by default the one beside this one.
    #[arg(long)]
    pub(crate) gateway: Option<PathBuf>,
    /// Where the plugins' components are; without it the gateway runs without plugins.
    #[arg(long)]
    pub(crate) plugins: Option<PathBuf>,
    /// The gateway's plugins, in their order. NAME:COUNT stands for so many of one kind.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "partner_allowlist,presence_filter,audit_log"
    )]
    pub(crate) chain: Vec<Links>,
    /// Processors of the target; the generator keeps off them where there are more.
    #[arg(long, default_value_t = 1)]
    pub(crate) processors: usize,
    /// One JSON object instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Some plugins of one component.
#[derive(Clone, Debug)]
pub(crate) struct Links {
    pub(crate) component: String,
    pub(crate) count: u16,
}

impl std::fmt::Display for Links {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.component, self.count)
    }
}

impl std::str::FromStr for Links {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (component, count) = text.split_once(':').unwrap_or((text, "1"));
        Ok(Self {
            component: component.to_owned(),
            count: count.parse()?,
        })
    }
}

/// One measurement of stanzas.
#[derive(Clone, Debug, Args)]
pub(crate) struct Plan {
    #[command(flatten)]
    pub(crate) subject: Subject,
    /// Streams of each way; each has a partner's domain of its own.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=4999))]
    pub(crate) streams: u16,
    /// Streams beside them on which nothing happens, of partners of their own.
    #[arg(long, default_value_t = 0)]
    pub(crate) idle: u16,
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
    /// Stanzas that are always sent together where no rate is given; without it, up to 16.
    #[arg(long)]
    pub(crate) burst: Option<u32>,
    /// Seconds that are measured, after one that is not.
    #[arg(long, default_value_t = 5.0)]
    pub(crate) seconds: f64,
}

/// One measurement of starts.
#[derive(Clone, Debug, Args)]
pub(crate) struct Start {
    #[command(flatten)]
    pub(crate) subject: Subject,
    /// How often it is started, after a first time that is not counted: it fills caches.
    #[arg(long, default_value_t = 3)]
    pub(crate) times: u16,
    /// Seconds between ready and the look at its memory, the last time.
    #[arg(long, default_value_t = 3.0)]
    pub(crate) rest: f64,
}

/// One measurement of idle streams.
#[derive(Clone, Debug, Args)]
pub(crate) struct Idle {
    #[command(flatten)]
    pub(crate) subject: Subject,
    /// How many.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) streams: u16,
    /// How partners begin TLS.
    #[arg(long, value_enum, default_value_t = Tls::Starttls)]
    pub(crate) tls: Tls,
    /// Seconds at most until its memory no longer changes.
    #[arg(long, default_value_t = 20.0)]
    pub(crate) rest: f64,
}

/// One measurement of handshakes.
#[derive(Clone, Debug, Args)]
pub(crate) struct Handshakes {
    #[command(flatten)]
    pub(crate) subject: Subject,
    /// How many are underway at once.
    #[arg(long, default_value_t = 16)]
    pub(crate) streams: u16,
    /// How partners begin TLS.
    #[arg(long, value_enum, default_value_t = Tls::Starttls)]
    pub(crate) tls: Tls,
    /// Seconds that are measured, after one that is not.
    #[arg(long, default_value_t = 5.0)]
    pub(crate) seconds: f64,
}

/// One test of a policy.
#[derive(Clone, Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) subject: Subject,
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
    /// TLS on one side, with client certificates, and nothing behind it: for handshakes and idle streams.
    RelayAccept,
    /// haproxy, TLS on both sides.
    Haproxy,
    /// Prosody in front of a component.
    Prosody,
    /// The same with a policy in Lua.
    ProsodyPolicy,
    /// ejabberd in front of a component.
    Ejabberd,
    /// The same with a policy in Erlang.
    EjabberdPolicy,
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
    /// Messages of 400 bytes, every second with a word that policies keep out.
    #[value(skip)]
    Forbidden,
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
    /// What it does.
    #[arg(long, value_enum)]
    pub(crate) duty: Duty,
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

/// What a baseline does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Duty {
    /// Bytes go on as they come.
    Copy,
    /// Stanzas are found, checked and sent singly.
    FrameEach,
    /// Connections are accepted.
    Accept,
}
