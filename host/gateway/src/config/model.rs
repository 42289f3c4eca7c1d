//! The typed configuration. Every value is within its bounds; docs/configuration.md has them all.

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use ipnet::IpNet;
use portcullis_xmpp::jid::Domain;

use super::record::Partner;

/// One loaded configuration file.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The file that it was read from, absolute.
    pub file: PathBuf,
    /// What the gateway is, and where it keeps things.
    pub gateway: Gateway,
    /// The outside.
    pub federation: Federation,
    /// The inside.
    pub internal: Internal,
    /// How partners are found.
    pub dns: Dns,
    /// How long streams may take.
    pub timeouts: Timeouts,
    /// How much streams may use.
    pub limits: Limits,
    /// The partner records: those of the file, then those of `partners_dir` in the order of its files.
    /// No domain stands in two of them.
    pub partners: Vec<Partner>,
    /// The plugins in chain order. No name stands twice.
    pub plugins: Vec<Plugin>,
    /// The read-only address for metrics and health; none if the file names none.
    pub admin: Option<Admin>,
    /// `[[partner]]`, `[[plugin]]` and the names of trust anchors as TOML: what a reload can change,
    /// and no secret of the gateway.
    pub policy: String,
}

/// `[gateway]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    /// Every domain served, at least one. Subdomains are named one by one.
    pub domains: Vec<Domain>,
    /// State, audit journal, compiled components, admin socket.
    pub data_dir: PathBuf,
    /// Where relative component paths start; watched for changes.
    pub plugins_dir: PathBuf,
    /// Where more partner records are, one or several in each `*.toml`; watched for changes.
    pub partners_dir: Option<PathBuf>,
    /// Whether localparts that RFC 7622 forbids and older servers have are refused.
    pub strict_jids: bool,
    /// How many generations are kept on disk to go back to, the current one included.
    pub generations_kept: usize,
    /// PEM files with the Ed25519 public keys that sign components; none: no signature is needed.
    pub plugin_keys: Vec<PathBuf>,
}

/// `[federation]`: the listener and the dialer that face partners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Federation {
    /// At least one. Port 0 lets the system choose.
    pub listen: Vec<SocketAddr>,
    /// Source address of outgoing streams; none lets the system choose.
    pub source: Option<IpAddr>,
    /// The gateway's certificates towards partners. Each served domain is in exactly one.
    pub identities: Vec<Identity>,
    /// Whose word about partners' certificates is taken; at least one.
    pub trust: Vec<Trust>,
    /// The key of dialback (XEP-0185), shared by all gateways of the organisation; without it each
    /// start has one of its own.
    pub dialback_secret: Option<Secret>,
    /// PEM or DER files with certificate revocation lists.
    pub crls: Vec<PathBuf>,
    /// What doubt about a certificate means.
    pub revocation: Revocation,
    /// Who speaks the PROXY protocol on `listen`, and must.
    pub proxy_protocol: Vec<IpNet>,
    /// Whether stanzas may flow both ways on one stream (XEP-0288).
    pub bidi: bool,
    /// Whether stanzas are acknowledged and streams resumed (XEP-0198).
    pub stream_management: bool,
}

/// What it means for a certificate that no revocation list covers it, or one that has expired.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Revocation {
    /// It is taken as not revoked, unless the expired list says that it is.
    #[default]
    Soft,
    /// It is refused.
    Hard,
}

/// A certificate that the gateway shows to partners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The served domains that it is shown for.
    pub domains: Vec<Domain>,
    /// PEM: the end entity first, then its chain.
    pub certificate: PathBuf,
    /// PEM: the private key.
    pub key: PathBuf,
}

/// A source of trust anchors.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Trust {
    /// The system's certificate store.
    System,
    /// A PEM file with one or more CA certificates.
    File(PathBuf),
}

/// `[internal]`: the listener and the connections that face the organisation's own servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Internal {
    /// At least one. Port 0 lets the system choose.
    pub listen: Vec<SocketAddr>,
    /// The gateway's own certificate inside, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// PEM: who may connect, and whose word about internal servers is taken.
    pub client_ca: PathBuf,
    /// The CA that makes certificates in partners' names; none shows `certificate` instead.
    pub mint: Option<Mint>,
    /// Whether stanzas from one internal server to another are delivered.
    pub relay_internal: bool,
    /// PEM or DER files with certificate revocation lists.
    pub crls: Vec<PathBuf>,
    /// What doubt about a certificate means.
    pub revocation: Revocation,
    /// Who speaks the PROXY protocol on `listen`, and must.
    pub proxy_protocol: Vec<IpNet>,
    /// Whether stanzas may flow both ways on one stream (XEP-0288).
    pub bidi: bool,
    /// Whether stanzas are acknowledged and streams resumed (XEP-0198).
    pub stream_management: bool,
    /// The internal servers. Each served domain belongs to exactly one.
    pub servers: Vec<Server>,
}

/// `mint = { ca, key }`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mint {
    /// PEM: a CA certificate that excludes the served domains by name constraints.
    pub ca: PathBuf,
    /// PEM: its private key.
    pub key: PathBuf,
}

/// `[[internal.server]]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The served domains that it hosts, at least one.
    pub domains: Vec<Domain>,
    /// Where it takes stanzas, in order of preference; empty only with bidi: then it takes them on the
    /// streams that it opens itself.
    pub connect: Vec<HostPort>,
    /// How TLS begins on those connections.
    pub tls: ServerTls,
}

/// How TLS begins on a connection to an internal server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ServerTls {
    /// With `<starttls/>` (RFC 6120 §5).
    #[default]
    StartTls,
    /// At once (XEP-0368).
    Direct,
}

/// A place to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// A name to resolve, or an address.
    pub host: Host,
    /// Never 0; 5269 if the file names none.
    pub port: u16,
}

/// The host of a [`HostPort`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// An address.
    Address(IpAddr),
    /// A name for A and AAAA lookups.
    Name(Domain),
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Address(ip) => SocketAddr::new(*ip, self.port).fmt(f),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

/// `[dns]`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dns {
    /// Resolvers to ask; none asks the system's.
    pub servers: Vec<SocketAddr>,
    /// Whether partners may resolve to loopback and private addresses.
    pub allow_private: bool,
    /// A file with the DNSSEC trust anchors; none trusts the root's.
    pub trust_anchors: Option<PathBuf>,
}

/// `[timeouts]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// From TCP connection to a stream that carries stanzas.
    pub establish: Duration,
    /// Without a stanza, until the stream is closed.
    pub inactivity: Duration,
    /// Without a byte, until we send whitespace or a ping.
    pub keepalive: Duration,
    /// Between two probes of what presence a partner has shown.
    pub subscription_refresh: Duration,
    /// How long a stream whose connection was lost can be taken up on another one (XEP-0198); zero:
    /// none is.
    pub resumption: Duration,
}

/// `[limits]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections with partners, both ways together.
    pub connections: usize,
    /// Connections with one partner, where its record names no limit of its own.
    pub connections_per_partner: usize,
    /// Connections of one address, or one IPv6 /64, that have not authenticated.
    pub connections_per_address: usize,
    /// New connections of one address, or one IPv6 /64, in a minute, from outside.
    pub attempts_per_minute: u32,
    /// Bytes of one stanza on the wire.
    pub stanza_bytes: usize,
    /// Pairs of domains on one stream.
    pub pairs_per_stream: usize,
    /// Bytes per second that an unfinished element must come with.
    pub minimum_rate: usize,
}

/// `[[plugin]]`
#[derive(Debug, Clone, PartialEq)]
pub struct Plugin {
    /// Its name in logs, metrics and audit records.
    pub name: String,
    /// The component.
    pub component: PathBuf,
    /// What a failure of it means.
    pub on_failure: OnFailure,
    /// CPU time per call.
    pub budget: Duration,
    /// Linear memory per instance, bytes.
    pub memory: usize,
    /// Imports beyond the fixed list that it may use.
    pub grants: Vec<String>,
    /// `[plugin.config]`, as the JSON that the plugin is given.
    pub config: serde_json::Value,
    /// Largest component file, bytes.
    pub component_size: usize,
    /// Keys and values of its state together, bytes.
    pub state_bytes: usize,
    /// Keys of its state.
    pub state_keys: usize,
    /// Lines of its log in a second.
    pub log_lines: u32,
    /// Edits in one call.
    pub edits: u32,
    /// `[plugin.files]`: the files that it may read, by the name that it knows them under.
    pub files: BTreeMap<String, PathBuf>,
    /// The only content that the component may have, as its SHA-256.
    pub sha256: Option<[u8; 32]>,
    /// The component's signature; none: beside the component, with `.sig` behind its name.
    pub signature: Option<PathBuf>,
    /// Whether what it says has an effect.
    pub mode: Mode,
}

/// Whether what a plugin says has an effect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// It has.
    #[default]
    Active,
    /// None: what it would have decided otherwise is counted.
    Shadow,
}

/// What the failure of a plugin means for what it was asked about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// Refused.
    #[default]
    Closed,
    /// As if the plugin were not there.
    Open,
}

/// `[admin]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// Where metrics and health are served, read-only and without a password.
    pub listen: SocketAddr,
}

/// A string that no log and no debug output shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes the secret in.
    #[must_use]
    pub fn new(secret: String) -> Self {
        Self(secret)
    }

    /// Gives it out, for the computation that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
