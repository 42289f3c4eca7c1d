//! DNS: questions out, answers in, bounded. Caching (by TTL) and retries are hickory's.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::stream::TlsMode;

use super::srv::{Answer, Record};

/// How long a configured server may be silent.
const PATIENCE: Duration = Duration::from_secs(2);
/// Asked once more, since a packet may be lost. Servers, then addresses: 8 s in all, well below
/// `establish`.
const RETRIES: usize = 1;
/// A mistake in a zone should not outlive its repair by more than this, whatever its SOA says.
const NEGATIVE_TTL: Duration = Duration::from_secs(300);
/// More servers than any domain runs; a longer answer is cut, before anything is looked up.
const MOST_TARGETS: usize = 16;
/// Addresses that are taken from one name.
const MOST_ADDRESSES: usize = 16;

/// What an address question brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Addresses {
    Found(Vec<IpAddr>),
    Nothing,
    Failed(String),
}

/// A resolver with a cache of its own.
pub(super) struct Dns(TokioResolver);

impl Dns {
    /// Asks `servers`, or those of the system if there are none.
    pub(super) fn new(servers: &[SocketAddr]) -> Result<Self, NetError> {
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
        Ok(Self(builder.build()?))
    }

    /// `_xmpps-server._tcp` or `_xmpp-server._tcp` of a domain.
    pub(super) async fn servers(&self, domain: &Domain, mode: TlsMode) -> Answer {
        let service = match mode {
            TlsMode::Direct => "_xmpps-server._tcp",
            TlsMode::StartTls => "_xmpp-server._tcp",
        };
        let name = match Name::from_ascii(format!("{service}.{domain}.")) {
            Ok(name) => name,
            // Too long for DNS with the service in front, so there can be no such record.
            Err(_) => return Answer::Nothing,
        };
        match self.0.lookup(name, RecordType::SRV).await {
            Ok(found) => records(found.answers().iter().map(|record| &record.data), mode),
            Err(error) if error.is_no_records_found() => Answer::Nothing,
            Err(error @ NetError::Dns(_)) => Answer::Broken(text(&error)),
            Err(NetError::Proto(error)) => Answer::Broken(error.to_string()),
            Err(_) => Answer::Silence,
        }
    }

    /// IPv4 and IPv6 addresses of a host, the families alternating, IPv6 first (RFC 8305 §4).
    pub(super) async fn addresses(&self, host: &Name) -> Addresses {
        let mut host = host.clone();
        host.set_fqdn(true);
        match self.0.lookup_ip(host).await {
            Ok(found) => Addresses::Found(interleaved(found.iter().take(MOST_ADDRESSES))),
            Err(error) if error.is_no_records_found() => Addresses::Nothing,
            Err(error) => Addresses::Failed(text(&error)),
        }
    }
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(address.ip());
    for connection in &mut server.connections {
        connection.port = address.port();
    }
    server
}

fn records<'a>(answers: impl Iterator<Item = &'a RData>, mode: TlsMode) -> Answer {
    let mut root = false;
    let mut records: Vec<Record> = answers
        .filter_map(|data| match data {
            RData::SRV(srv) => Some(srv),
            _ => None,
        })
        .filter(|srv| {
            root |= srv.target.is_root();
            !srv.target.is_root() && srv.port != 0
        })
        .map(|srv| Record {
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            target: srv.target.clone(),
            mode,
        })
        .collect();
    // The best ones stay, whatever the order of the answer.
    records.sort_by_key(|record| record.priority);
    records.truncate(MOST_TARGETS);
    match records.is_empty() {
        false => Answer::Records(records),
        true if root => Answer::NotAvailable,
        true => Answer::Nothing,
    }
}

fn interleaved(addresses: impl Iterator<Item = IpAddr>) -> Vec<IpAddr> {
    let (v6, v4): (Vec<_>, Vec<_>) = addresses.partition(IpAddr::is_ipv6);
    let (mut v6, mut v4) = (v6.into_iter(), v4.into_iter());
    let mut all = Vec::new();
    loop {
        let pair = [v6.next(), v4.next()];
        if pair == [None, None] {
            return all;
        }
        all.extend(pair.into_iter().flatten());
    }
}

fn text(error: &NetError) -> String {
    match error {
        NetError::Timeout => "DNS does not answer".to_owned(),
        NetError::Dns(DnsError::ResponseCode(code)) => format!("DNS answers {code}"),
        other => format!("DNS fails: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dns_05_address_families_alternate() {
        let addresses = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1"];
        let all = interleaved(addresses.iter().map(|address| address.parse().unwrap()));
        let order: Vec<_> = all.iter().map(IpAddr::to_string).collect();
        assert_eq!(
            order,
            ["2001:db8::1", "192.0.2.1", "192.0.2.2", "192.0.2.3"]
        );
    }
}
