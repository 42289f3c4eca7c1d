//! Connections to other servers: found by DNS, opened one after the other until one is good.
//!
//! In: a domain, or a configured next hop. Out: TCP connections with how TLS begins on them, until
//! the caller is content (DNS-04: until a stream is *authenticated*). What can fail: everything
//! about DNS and networks; [`ConnectError`] says which row of the error table that is. What is not
//! guaranteed: that anybody sensible answers there. Bounded: answers, addresses and the time for
//! each; the time for all of it is the caller's to bound. Whether a domain may be contacted at all
//! is decided before anything here is called.

mod address;
mod backoff;
mod candidates;
mod error;
mod random;
mod resolve;
mod srv;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hickory_resolver::proto::rr::Name;
use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::stream::TlsMode;

pub use backoff::Backoff;
pub use candidates::{Candidate, Candidates, Connection};
pub use error::ConnectError;

use crate::config::{Config, Host, HostPort, Server, ServerTls};
use candidates::{Reach, Target};
use resolve::Dns;
use srv::{Answer, Plan};

/// RFC 6120 §3.2.2: where a domain without SRV records is looked for.
const DEFAULT_PORT: u16 = 5269;

/// What the dialer needs from the configuration.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `[dns].servers`; empty: the system's.
    pub servers: Vec<SocketAddr>,
    /// `[dns].allow_private`.
    pub allow_private: bool,
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
            source: config.federation.source,
            listeners: listeners.copied().collect(),
        }
    }
}

/// Finds servers and connects to them. A clone is cheap and shares the DNS cache.
#[derive(Clone)]
pub struct Dialer {
    dns: Arc<Dns>,
    settings: Arc<Settings>,
}

impl Dialer {
    /// Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// The system's resolver configuration cannot be read: the operator's to mend, or `[dns].servers`
    /// to set.
    pub fn new(settings: Settings) -> Result<Self, ConnectError> {
        let dns = Dns::new(&settings.servers).map_err(|error| {
            ConnectError::Resolution(format!(
                "the system's DNS configuration cannot be used: {error}"
            ))
        })?;
        Ok(Self {
            dns: Arc::new(dns),
            settings: Arc::new(settings),
        })
    }

    /// The servers of a partner: `proxy` if its record has one, otherwise what its DNS says.
    ///
    /// # Errors
    /// [`ConnectError::NotFound`] and [`ConnectError::Resolution`]; addresses are looked up later,
    /// while connecting.
    pub async fn partner(
        &self,
        remote: &Domain,
        proxy: Option<&HostPort>,
    ) -> Result<Candidates, ConnectError> {
        let source = self.settings.source;
        if let Some(proxy) = proxy {
            // The operator named it, so it may be anywhere.
            let target = self.hop(proxy, TlsMode::StartTls)?;
            return Ok(self.candidates(
                remote,
                vec![target],
                Reach {
                    source,
                    ..Reach::anywhere()
                },
            ));
        }
        let reach = Reach {
            source,
            private: self.settings.allow_private,
            fallback: false,
        };
        let (direct, starttls) = tokio::join!(
            self.dns.servers(remote, TlsMode::Direct),
            self.dns.servers(remote, TlsMode::StartTls)
        );
        match srv::plan(direct, starttls, random::below) {
            Plan::Targets(records) => {
                let targets = records
                    .into_iter()
                    .map(|record| Target::name(record.target, record.port, record.mode))
                    .collect();
                Ok(self.candidates(remote, targets, reach))
            }
            Plan::Fallback => {
                let target = Target::name(dns_name(remote)?, DEFAULT_PORT, TlsMode::StartTls);
                Ok(self.candidates(
                    remote,
                    vec![target],
                    Reach {
                        fallback: true,
                        ..reach
                    },
                ))
            }
            Plan::NotOffered => Err(ConnectError::NotFound(format!(
                "{remote} offers no server-to-server service (its SRV record says \".\")"
            ))),
            Plan::Unknown(reason) => Err(ConnectError::Resolution(format!(
                "the servers of {remote} cannot be found: {reason}"
            ))),
        }
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
            .map(|place| self.hop(place, mode))
            .collect::<Result<_, _>>()?;
        Ok(self.candidates(local, targets, Reach::anywhere()))
    }

    /// What each SRV question for `remote` is answered, in words: for `check partner`.
    pub async fn explain(&self, remote: &Domain) -> Vec<String> {
        let (direct, starttls) = tokio::join!(
            self.dns.servers(remote, TlsMode::Direct),
            self.dns.servers(remote, TlsMode::StartTls)
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

    fn hop(&self, place: &HostPort, mode: TlsMode) -> Result<Target, ConnectError> {
        Ok(match &place.host {
            Host::Address(address) => Target::address(*address, place.port, mode),
            Host::Name(name) => Target::name(dns_name(name)?, place.port, mode),
        })
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

fn dns_name(domain: &Domain) -> Result<Name, ConnectError> {
    Name::from_ascii(format!("{domain}."))
        .map_err(|error| ConnectError::NotFound(format!("{domain} is no DNS name: {error}")))
}

#[cfg(test)]
mod tests;
