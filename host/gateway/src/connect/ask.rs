//! One question to DNS, and how much its answer is worth.
//!
//! In: a name, a type, and which resolver is asked. Out: a [`Reply`]; what cannot be believed is no
//! reply but a broken one. Bounded in time; caching (by TTL) and retries are hickory's.
//!
//! There are two resolvers. One believes what the configured servers say; the other validates each
//! answer up to the DNSSEC trust anchors and asks only for partners whose record wants DANE, since
//! many a server in front of it passes no signatures on.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::dnssec::{Proof, TrustAnchors};
use hickory_resolver::proto::rr::{Name, Record, RecordType};
use hickory_resolver::{ResolverBuilder, TokioResolver};

use super::error::ConnectError;

/// How long a configured server may be silent.
const PATIENCE: Duration = Duration::from_secs(2);
/// Asked once more, since a packet may be lost. Servers, then addresses: 8 s in all, well below
/// `establish`.
const RETRIES: usize = 1;
/// A mistake in a zone should not outlive its repair by more than this, whatever its SOA says.
const NEGATIVE_TTL: Duration = Duration::from_secs(300);

/// How much an answer is worth (RFC 4035 §4.3). What is bogus is no answer at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Security {
    /// Signed, up to a trust anchor.
    Secure,
    /// Not signed, or not looked at.
    Insecure,
}

impl Security {
    /// As secure as the weaker of both.
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Secure, Self::Secure) => Self::Secure,
            _ => Self::Insecure,
        }
    }
}

/// Which resolver is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resolution {
    Plain,
    Validating,
}

/// What any question brought.
pub(super) enum Reply {
    Records(Vec<Record>, Security),
    Nothing(Security),
    Silence,
    Broken(String),
}

/// Who is asked: two resolvers, each with a cache of its own.
pub(super) struct Dns {
    plain: TokioResolver,
    validating: TokioResolver,
}

impl Dns {
    /// Asks `servers`, or those of the system if there are none, and believes in the keys of the
    /// file `anchors`, or in those of the root that are built in.
    pub(super) fn new(
        servers: &[SocketAddr],
        anchors: Option<&Path>,
    ) -> Result<Self, ConnectError> {
        let anchors = anchors.map_or_else(|| Ok(TrustAnchors::default()), read_anchors)?;
        let unusable = |error: NetError| {
            ConnectError::Resolution(format!(
                "the system's DNS configuration cannot be used: {error}"
            ))
        };
        let plain = builder(servers).map_err(unusable)?;
        let mut validating = builder(servers)
            .map_err(unusable)?
            .with_trust_anchor(Arc::new(anchors));
        let options = validating.options_mut();
        options.validate = true;
        // Signatures do not fit into the smallest packets.
        options.edns0 = true;
        // Nobody signs /etc/hosts.
        options.use_hosts_file = ResolveHosts::Never;
        // An alias on the way has to be as secure as its end.
        options.preserve_intermediates = true;
        Ok(Self {
            plain: plain.build().map_err(unusable)?,
            validating: validating.build().map_err(unusable)?,
        })
    }

    pub(super) async fn ask(&self, name: Name, kind: RecordType, resolution: Resolution) -> Reply {
        let resolver = match resolution {
            Resolution::Plain => &self.plain,
            Resolution::Validating => &self.validating,
        };
        let mut name = name;
        // Without it, the system's search list would be tried.
        name.set_fqdn(true);
        match resolver.lookup(name, kind).await {
            Ok(found) => match resolution {
                Resolution::Plain => Reply::Records(found.answers().to_vec(), Security::Insecure),
                Resolution::Validating => validated(&found),
            },
            Err(NetError::Dns(DnsError::NoRecordsFound(denial))) => {
                let authorities = denial.authorities.as_deref().unwrap_or_default();
                let secure = !authorities.is_empty()
                    && (authorities.iter())
                        .filter(|record| record.record_type() != RecordType::RRSIG)
                        .all(|record| record.proof.is_secure());
                Reply::Nothing(match secure && resolution == Resolution::Validating {
                    true => Security::Secure,
                    false => Security::Insecure,
                })
            }
            Err(NetError::Dns(DnsError::Nsec {
                proof: Proof::Insecure,
                ..
            })) => Reply::Nothing(Security::Insecure),
            Err(error @ NetError::Dns(_)) => Reply::Broken(text(&error)),
            Err(NetError::Proto(error)) => Reply::Broken(error.to_string()),
            Err(NetError::ForeignClassRecord { .. }) => {
                Reply::Broken("DNS answers with records of another class".to_owned())
            }
            Err(_) => Reply::Silence,
        }
    }
}

/// The keys of a file, for `[dns].trust_anchors`.
pub(super) fn read_anchors(file: &Path) -> Result<TrustAnchors, ConnectError> {
    TrustAnchors::from_file(file).map_err(|error| {
        ConnectError::Resolution(format!(
            "{}, [dns].trust_anchors, is no file of DNSKEY records: {error}",
            file.display()
        ))
    })
}

/// Takes an answer as secure only if all of it is: an alias that is not signed leads anywhere.
fn validated(found: &Lookup) -> Reply {
    let records: Vec<Record> = found
        .answers()
        .iter()
        .filter(|record| record.record_type() != RecordType::RRSIG)
        .cloned()
        .collect();
    let proofs = || records.iter().map(|record| record.proof);
    if proofs().all(|proof| proof == Proof::Secure) && !records.is_empty() {
        Reply::Records(records, Security::Secure)
    } else if proofs().all(|proof| matches!(proof, Proof::Secure | Proof::Insecure)) {
        Reply::Records(records, Security::Insecure)
    } else {
        Reply::Broken("DNSSEC cannot be validated".to_owned())
    }
}

fn builder(servers: &[SocketAddr]) -> Result<ResolverBuilder<TokioRuntimeProvider>, NetError> {
    let mut builder = if servers.is_empty() {
        TokioResolver::builder_tokio()?
    } else {
        let servers = servers.iter().map(name_server).collect();
        let config = ResolverConfig::from_name_servers(servers);
        let mut builder =
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        *builder.options_mut() = ResolverOpts::default();
        builder.options_mut().timeout = PATIENCE;
        builder.options_mut().attempts = RETRIES;
        builder
    };
    builder.options_mut().negative_max_ttl = Some(NEGATIVE_TTL);
    Ok(builder)
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(address.ip());
    for connection in &mut server.connections {
        connection.port = address.port();
    }
    server
}

fn text(error: &NetError) -> String {
    match error {
        NetError::Timeout => "DNS does not answer".to_owned(),
        NetError::Dns(DnsError::ResponseCode(code)) => format!("DNS answers {code}"),
        NetError::Dns(DnsError::DnssecBogus | DnsError::Nsec { .. }) => {
            "the DNSSEC signatures are wrong or missing (bogus)".to_owned()
        }
        other => format!("DNS fails: {other}"),
    }
}
