//! Connections to other servers: found by DNS, opened one after the other until one is good.
//!
//! What DNSSEC says about the certificates of partners whose record wants DANE is looked up on the
//! way: it decides whether a server may be connected to at all.
//!
//! In: a domain, or a configured next hop. Out: TCP connections with how TLS begins on them, until
//! the caller is content (DNS-04: until a stream is *authenticated*). What can fail: everything
//! about DNS and networks; [`ConnectError`] says which row of the error table that is. What is not
//! guaranteed: that anybody sensible answers there. Bounded: answers, addresses and the time for
//! each; the time for all of it is the caller's to bound. Whether a domain may be contacted at all
//! is decided before anything here is called.

mod address;
mod ask;
mod attempt;
mod backoff;
mod candidates;
mod error;
mod memory;
mod random;
mod resolve;
mod search;
mod srv;
mod target;
mod tlsa;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use hickory_resolver::proto::rr::Name;
use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::stream::TlsMode;

pub use backoff::Backoff;
pub use candidates::Candidates;
pub use error::ConnectError;
pub use search::Search;
pub use target::{Candidate, Connection};
pub use tlsa::{Association, Matching, Selector, Tlsa, Usage};

use crate::config::{self, Config, Host, HostPort, Server, ServerTls};
use ask::Dns;
use memory::Memory;
use target::{Dane, Reach, Target};

/// The longest `<see-other-host/>` that is read: a domain name, brackets, a port.
const LONGEST_PLACE: usize = 300;

/// What the dialer needs from the configuration.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `[dns].servers`; empty: the system's.
    pub servers: Vec<SocketAddr>,
    /// `[dns].allow_private`.
    pub allow_private: bool,
    /// `[dns].trust_anchors`; none: the keys of the root, as built in.
    pub trust_anchors: Option<PathBuf>,
    /// `[federation].source`.
    pub source: Option<IpAddr>,
    /// Where the gateway itself listens, to the outside and to the inside.
    pub listeners: Vec<SocketAddr>,
}

impl From<&Config> for Settings {
    fn from(config: &Config) -> Self {
        let listeners = config
            .federation
            .listen
            .iter()
            .chain(&config.internal.listen);
        Self {
            servers: config.dns.servers.clone(),
            allow_private: config.dns.allow_private,
            trust_anchors: config.dns.trust_anchors.clone(),
            source: config.federation.source,
            listeners: listeners.copied().collect(),
        }
    }
}

impl Settings {
    /// Whether the trust anchors can be read: for `check`.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self) -> Result<(), ConnectError> {
        match &self.trust_anchors {
            Some(file) => ask::read_anchors(file).map(drop),
            None => Ok(()),
        }
    }
}

/// Finds servers and connects to them. A clone is cheap and shares the DNS cache and the memory of
/// what failed.
#[derive(Clone)]
pub struct Dialer {
    dns: Arc<Dns>,
    memory: Arc<Memory>,
    settings: Arc<Settings>,
}

impl Dialer {
    /// Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// The system's resolver configuration cannot be read, or the trust anchors: the operator's to
    /// mend, or `[dns].servers` to set.
    pub fn new(settings: Settings) -> Result<Self, ConnectError> {
        let dns = Dns::new(&settings.servers, settings.trust_anchors.as_deref())?;
        Ok(Self {
            dns: Arc::new(dns),
            memory: Arc::new(Memory::new()),
            settings: Arc::new(settings),
        })
    }

    /// Where a server of `remote` at `from` sends us with `<see-other-host/>` (RFC 6120 §4.9.3.19).
    ///
    /// The text is the peer's, so the place must be one where a partner can be. If TLSA records
    /// proved the server, they must prove the other one too. How many hops are followed, and that
    /// nothing is followed that was said before TLS, is the caller's to see to.
    ///
    /// # Errors
    /// [`ConnectError::NotFound`] if the text names no place; the rest comes while connecting.
    pub fn other_host(
        &self,
        remote: &Domain,
        from: &Candidate,
        place: &str,
    ) -> Result<Candidates, ConnectError> {
        let nowhere = |reason: String| {
            ConnectError::NotFound(format!(
                "{remote} sends us to another host that cannot be used: {reason}"
            ))
        };
        if place.len() > LONGEST_PLACE {
            return Err(nowhere("its name is too long".to_owned()));
        }
        let parsed = config::host_port(place.trim())
            .map_err(|reason| nowhere(format!("{place:?} {reason}")))?;
        let reach = Reach {
            source: self.settings.source,
            private: self.settings.allow_private,
            fallback: false,
            dane: match from.tlsa {
                Tlsa::Records(_) => Dane::Demanded,
                Tlsa::NotAsked | Tlsa::Absent(_) => Dane::Off,
            },
        };
        let target = hop(&parsed, TlsMode::StartTls)?;
        Ok(self.candidates(remote, vec![target], reach))
    }

    /// A web server, for what a domain publishes there.
    ///
    /// # Errors
    /// [`ConnectError::NotFound`] if the name cannot be one in DNS.
    pub fn web(&self, host: &Domain, port: u16) -> Result<Candidates, ConnectError> {
        let reach = Reach {
            source: self.settings.source,
            private: self.settings.allow_private,
            fallback: false,
            dane: Dane::Off,
        };
        let target = Target::name(dns_name(host)?, port, TlsMode::Direct);
        Ok(self.candidates(host, vec![target], reach))
    }

    /// Forgets which domains could not be reached: the operator changed something.
    pub fn forget_failures(&self) {
        self.memory.forget();
    }

    /// The places where an internal server takes stanzas, in its order of preference.
    ///
    /// # Errors
    /// [`ConnectError::NotFound`] if a name in the configuration cannot be a name in DNS.
    pub fn internal(&self, local: &Domain, server: &Server) -> Result<Candidates, ConnectError> {
        let mode = match server.tls {
            ServerTls::Direct => TlsMode::Direct,
            ServerTls::StartTls => TlsMode::StartTls,
        };
        let targets = server
            .connect
            .iter()
            .map(|place| hop(place, mode))
            .collect::<Result<_, _>>()?;
        Ok(self.candidates(local, targets, Reach::anywhere(None)))
    }

    fn candidates(&self, domain: &Domain, targets: Vec<Target>, reach: Reach) -> Candidates {
        Candidates::new(
            Arc::clone(&self.dns),
            Arc::clone(&self.settings),
            domain.clone(),
            targets,
            reach,
        )
    }
}

fn hop(place: &HostPort, mode: TlsMode) -> Result<Target, ConnectError> {
    Ok(match &place.host {
        Host::Address(address) => Target::address(*address, place.port, mode),
        Host::Name(name) => Target::name(dns_name(name)?, place.port, mode),
    })
}

fn dns_name(domain: &Domain) -> Result<Name, ConnectError> {
    Name::from_ascii(format!("{domain}."))
        .map_err(|error| ConnectError::NotFound(format!("{domain} is no DNS name: {error}")))
}

#[cfg(test)]
pub(crate) mod tests;
