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
mod attempt;
mod backoff;
mod candidates;
mod error;
mod memory;
mod random;
mod resolve;
mod srv;
mod target;
mod tlsa;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use hickory_resolver::proto::rr::Name;
use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::stream::TlsMode;
use tokio::task::JoinSet;

pub use backoff::Backoff;
pub use candidates::Candidates;
pub use error::ConnectError;
pub use target::{Candidate, Connection};
pub use tlsa::{Association, Matching, Selector, Tlsa, Usage};

use crate::config::{self, Config, Host, HostPort, Partner, Server, ServerTls};
use memory::Memory;
use resolve::{Dns, Resolution, Security};
use srv::{Answer, Plan};
use target::{Dane, Reach, Target};

/// RFC 6120 §3.2.2: where a domain without SRV records is looked for.
const DEFAULT_PORT: u16 = 5269;
/// TLSA records of all servers of a domain that are held against a certificate.
const MOST_ASSOCIATIONS: usize = 64;
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
            Some(file) => resolve::read_anchors(file).map(drop),
            None => Ok(()),
        }
    }
}

/// How a partner's record wants its servers found.
#[derive(Clone, Copy, Debug, Default)]
pub struct Search<'r> {
    /// The next hop, instead of SRV.
    pub proxy: Option<&'r HostPort>,
    /// Whether DNSSEC may prove the servers.
    pub dane: bool,
}

impl<'r> From<&'r Partner> for Search<'r> {
    fn from(record: &'r Partner) -> Self {
        Self {
            proxy: record.proxy.as_ref(),
            dane: record.dane,
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

    /// The servers of a partner: `search.proxy` if its record has one, otherwise what its DNS says.
    /// Waits while another stream to the same partner is trying to connect.
    ///
    /// # Errors
    /// [`ConnectError::NotFound`], [`ConnectError::Resolution`], and [`ConnectError::Resting`] if it
    /// failed a moment ago; addresses are looked up later, while connecting.
    pub async fn partner(
        &self,
        remote: &Domain,
        search: Search<'_>,
    ) -> Result<Candidates, ConnectError> {
        let turn = self.memory.turn(remote).await?;
        match self.find(remote, search).await {
            Ok(candidates) => Ok(candidates.in_turn(turn)),
            Err(error) => {
                turn.failed(&error);
                Err(error)
            }
        }
    }

    async fn find(&self, remote: &Domain, search: Search<'_>) -> Result<Candidates, ConnectError> {
        let source = self.settings.source;
        if let Some(proxy) = search.proxy {
            // The operator named it, so it may be anywhere.
            let target = hop(proxy, TlsMode::StartTls)?;
            return Ok(self.candidates(remote, vec![target], Reach::anywhere(source)));
        }
        let (resolution, dane): (_, fn(Security) -> Dane) = match search.dane {
            true => (Resolution::Validating, Dane::Offered),
            false => (Resolution::Plain, |_| Dane::Off),
        };
        let reach = |security| Reach {
            source,
            private: self.settings.allow_private,
            fallback: false,
            dane: dane(security),
        };
        let ((direct, first), (starttls, second)) = tokio::join!(
            self.dns.servers(remote, TlsMode::Direct, resolution),
            self.dns.servers(remote, TlsMode::StartTls, resolution)
        );
        let security = |mode| match mode {
            TlsMode::Direct => first,
            TlsMode::StartTls => second,
        };
        match srv::plan(direct, starttls, random::below) {
            Plan::Targets(records) => {
                // One set: it is as secure as the weaker of the answers that it is made of.
                let weakest = (records.iter().map(|record| security(record.mode)))
                    .fold(Security::Secure, Security::and);
                let targets = records
                    .into_iter()
                    .map(|record| Target::name(record.target, record.port, record.mode))
                    .collect();
                Ok(self.candidates(remote, targets, reach(weakest)))
            }
            Plan::Fallback => {
                let target = Target::name(dns_name(remote)?, DEFAULT_PORT, TlsMode::StartTls);
                let reach = Reach {
                    fallback: true,
                    ..reach(second)
                };
                Ok(self.candidates(remote, vec![target], reach))
            }
            Plan::NotOffered => Err(ConnectError::NotFound(format!(
                "{remote} offers no server-to-server service (its SRV record says \".\")"
            ))),
            Plan::Unknown(reason) => Err(ConnectError::Resolution(format!(
                "the servers of {remote} cannot be found: {reason}"
            ))),
        }
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

    /// The TLSA records of all servers of a domain together: who comes in the domain's name is one
    /// of them (RFC 7712 §5.1).
    ///
    /// # Errors
    /// [`ConnectError::Resolution`] if something that should be signed is not, or DNS does not
    /// answer: then nothing may be taken as proven.
    pub async fn associations(&self, remote: &Domain) -> Result<Tlsa, ConnectError> {
        let unknown = |reason: String| {
            ConnectError::Resolution(format!(
                "the TLSA records of {remote} cannot be found: {reason}"
            ))
        };
        let resolution = Resolution::Validating;
        let ((direct, first), (starttls, second)) = tokio::join!(
            self.dns.servers(remote, TlsMode::Direct, resolution),
            self.dns.servers(remote, TlsMode::StartTls, resolution)
        );
        let mut places = Vec::new();
        let mut security = Security::Secure;
        match srv::plan(direct, starttls, random::below) {
            Plan::Targets(records) => {
                for record in records {
                    security = security.and(match record.mode {
                        TlsMode::Direct => first,
                        TlsMode::StartTls => second,
                    });
                    places.push((record.target, record.port));
                }
            }
            Plan::Fallback => {
                security = second;
                places.push((dns_name(remote)?, DEFAULT_PORT));
            }
            Plan::NotOffered => {}
            Plan::Unknown(reason) => return Err(unknown(reason)),
        }
        if security == Security::Insecure {
            let reason = format!("the SRV records of {remote} are not signed (DNSSEC)");
            return Ok(Tlsa::absent(reason));
        }
        let mut asked = JoinSet::new();
        for (host, port) in places {
            let dns = Arc::clone(&self.dns);
            asked.spawn(async move { dns.associations(&host, port).await });
        }
        let (mut all, mut absent) = (Vec::new(), None);
        while let Some(answer) = asked.join_next().await {
            match answer {
                Ok(Ok(Tlsa::Records(records))) => all.extend(records.iter().cloned()),
                Ok(Ok(Tlsa::Absent(reason))) => absent = Some(reason),
                Ok(Ok(Tlsa::NotAsked)) => {}
                Ok(Err(reason)) => return Err(unknown(reason)),
                Err(ended) => return Err(unknown(ended.to_string())),
            }
        }
        // More than honest servers have; comparing is work.
        all.truncate(MOST_ASSOCIATIONS);
        match (all.is_empty(), absent) {
            (false, _) => Ok(Tlsa::Records(all.into())),
            (true, Some(reason)) => Ok(Tlsa::Absent(reason)),
            (true, None) => Ok(Tlsa::absent(format!("{remote} names no servers"))),
        }
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

    /// What each SRV question for `remote` is answered, in words: for `check partner`.
    pub async fn explain(&self, remote: &Domain) -> Vec<String> {
        let resolution = Resolution::Plain;
        let ((direct, _), (starttls, _)) = tokio::join!(
            self.dns.servers(remote, TlsMode::Direct, resolution),
            self.dns.servers(remote, TlsMode::StartTls, resolution)
        );
        let told = |service: &str, answer: Answer| match answer {
            Answer::Records(records) => records
                .iter()
                .map(|record| {
                    format!(
                        "{service}.{remote}: {} port {} (priority {}, weight {})",
                        record.target, record.port, record.priority, record.weight
                    )
                })
                .collect(),
            Answer::NotAvailable => vec![format!("{service}.{remote}: \".\" (not offered)")],
            Answer::Nothing => vec![format!("{service}.{remote}: no such record")],
            Answer::Silence => vec![format!("{service}.{remote}: no answer")],
            Answer::Broken(reason) => vec![format!("{service}.{remote}: {reason}")],
        };
        let mut lines = told("_xmpps-server._tcp", direct);
        lines.extend(told("_xmpp-server._tcp", starttls));
        lines
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
