//! The typed configuration. Every value is within its bounds; docs/configuration.md has them all.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use portcullis_xmpp::jid::Domain;

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
    /// The partner records, in the order of the file. No domain stands in two of them.
    pub partners: Vec<Partner>,
    /// The plugins in chain order. No name stands twice.
    pub plugins: Vec<Plugin>,
    /// The read-only address for metrics and health; none if the file names none.
    pub admin: Option<Admin>,
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
    /// The key of dialback (XEP-0185), shared by all gateways of the organisation.
    pub dialback_secret: Option<Secret>,
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
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// Where it takes stanzas, in order of preference, at least one.
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
}

/// `[limits]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections with partners, both ways together.
    pub connections: usize,
    /// Connections with one partner, where its record names no limit of its own.
    pub connections_per_partner: usize,
    /// Bytes of one stanza on the wire.
    pub stanza_bytes: usize,
}

/// `[[partner]]`. A domain that only a plugin allows gets [`Partner::unlisted`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partner {
    /// The partner's main domain.
    pub domain: Domain,
    /// Further domains of the same partner.
    pub also: Vec<Domain>,
    /// Who may invite whom.
    pub partner_type: PartnerType,
    /// Whether streams with it are encrypted.
    pub tls: Need,
    /// Whether it proves its name by certificate (SASL EXTERNAL).
    pub sasl: Need,
    /// Whether it may prove its name by dialback where its certificate does not.
    pub dialback: bool,
    /// Whether we send keep-alives and expect answers.
    pub keep_alive: bool,
    /// Connections with this partner, both ways together.
    pub connection_limit: usize,
    /// The next hop, instead of SRV.
    pub proxy: Option<HostPort>,
    /// For people.
    pub description: Option<String>,
}

impl Partner {
    /// The record of a domain that no record names: the defaults of every key.
    #[must_use]
    pub fn unlisted(domain: Domain, limits: &Limits) -> Self {
        Self {
            domain,
            also: Vec::new(),
            partner_type: PartnerType::default(),
            tls: Need::default(),
            sasl: Need::default(),
            dialback: true,
            keep_alive: true,
            connection_limit: limits.connections_per_partner,
            proxy: None,
            description: None,
        }
    }

    /// All domains of the record, the main one first.
    pub fn domains(&self) -> impl Iterator<Item = &Domain> {
        std::iter::once(&self.domain).chain(&self.also)
    }
}

/// Who may invite whom (Lync's `PartnerType`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PartnerType {
    /// Trusted: both sides may invite.
    Federated,
    /// A public provider that verifies its users: both sides may invite.
    PublicVerified,
    /// A public provider that does not: one of our users must invite first.
    #[default]
    PublicUnverified,
}

/// How far something is asked of a partner (Lync's `TlsNegotiation`, `SaslNegotiation`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Need {
    /// No stream without it.
    #[default]
    Required,
    /// Used where offered.
    Optional,
    /// Never used.
    NotSupported,
}

impl Need {
    /// As the file writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Optional => "optional",
            Self::NotSupported => "not-supported",
        }
    }
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
