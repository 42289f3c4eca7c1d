//! What DNS says of a domain and its servers: questions out, answers in, bounded.
//!
//! In: a domain, or the name of a host. Out: SRV records, addresses and TLSA records with how much they
//! are worth, or in words why there are none.

use std::net::IpAddr;

use hickory_resolver::proto::rr::{Name, RData, RecordType};
use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::stream::TlsMode;

use super::ask::{Dns, Reply, Resolution, Security};
use super::srv::{Answer, Record};
use super::tlsa::Tlsa;

/// More servers than any domain runs; a longer answer is cut, before anything is looked up.
const MOST_TARGETS: usize = 16;
/// Addresses that are taken from one name, of each family.
const MOST_ADDRESSES: usize = 16;
/// RFC 2782 does not forbid that the name of an SRV record is an alias; so many are followed.
const MOST_ALIASES: usize = 4;

/// What an address question brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Addresses {
    Found(Vec<IpAddr>),
    Nothing,
    Failed(String),
}

impl Dns {
    /// `_xmpps-server._tcp` or `_xmpp-server._tcp` of a domain.
    pub(super) async fn servers(
        &self,
        domain: &Domain,
        mode: TlsMode,
        resolution: Resolution,
    ) -> (Answer, Security) {
        let service = match mode {
            TlsMode::Direct => "_xmpps-server._tcp",
            TlsMode::StartTls => "_xmpp-server._tcp",
        };
        let Ok(name) = Name::from_ascii(format!("{service}.{domain}.")) else {
            // Too long for DNS with the service in front, so there can be no such record.
            return (Answer::Nothing, Security::Insecure);
        };
        match self.ask_through_aliases(name, resolution).await {
            Reply::Records(found, security) => (
                records(found.iter().map(|record| &record.data), mode),
                security,
            ),
            Reply::Nothing(security) => (Answer::Nothing, security),
            Reply::Silence if resolution == Resolution::Validating => {
                // Who can keep an answer back could otherwise lead us past the TLSA records.
                let reason = "DNS does not answer".to_owned();
                (Answer::Broken(reason), Security::Insecure)
            }
            Reply::Silence => (Answer::Silence, Security::Insecure),
            Reply::Broken(reason) => (Answer::Broken(reason), Security::Insecure),
        }
    }

    /// The addresses of one family (A or AAAA) of a host.
    pub(super) async fn addresses(&self, host: &Name, family: RecordType) -> Addresses {
        addresses(self.ask(host.clone(), family, Resolution::Plain).await).0
    }

    /// The addresses of both families of a host, and what DNSSEC says about the certificate of the
    /// server there. Where that is bogus, or cannot be found out though it should be, there are no
    /// addresses: nobody may connect (RFC 7673 §3.2, RFC 7671 §10.1).
    pub(super) async fn endpoint(
        &self,
        host: &Name,
        port: u16,
        security: Security,
    ) -> (Addresses, Tlsa) {
        let ask = |family| self.ask(host.clone(), family, Resolution::Validating);
        let (v6, v4) = tokio::join!(ask(RecordType::AAAA), ask(RecordType::A));
        let ((v6, v6_security), (v4, v4_security)) = (addresses(v6), addresses(v4));
        let found = match (v6, v4) {
            (Addresses::Found(v6), Addresses::Found(v4)) => Addresses::Found([v6, v4].concat()),
            (Addresses::Found(found), _) | (_, Addresses::Found(found)) => Addresses::Found(found),
            (Addresses::Failed(reason), _) | (_, Addresses::Failed(reason)) => {
                Addresses::Failed(reason)
            }
            (Addresses::Nothing, Addresses::Nothing) => Addresses::Nothing,
        };
        if !matches!(found, Addresses::Found(_)) {
            return (found, Tlsa::NotAsked);
        }
        if security == Security::Insecure {
            return (
                found,
                Tlsa::absent("its SRV records are not signed (DNSSEC)"),
            );
        }
        if v6_security.and(v4_security) == Security::Insecure {
            return (
                found,
                Tlsa::absent(format!("the addresses of {host} are not signed (DNSSEC)")),
            );
        }
        match self.associations(host, port).await {
            Ok(tlsa) => (found, tlsa),
            Err(reason) => (Addresses::Failed(reason), Tlsa::NotAsked),
        }
    }

    /// The TLSA records of one port. The error says what keeps us from knowing them.
    pub(super) async fn associations(&self, host: &Name, port: u16) -> Result<Tlsa, String> {
        let told = host.to_string();
        let told = told.trim_end_matches('.');
        let Ok(name) = Name::from_ascii(format!("_{port}._tcp.{told}.")) else {
            return Ok(Tlsa::absent(format!("{told} is too long for TLSA records")));
        };
        let asked = self
            .ask(name, RecordType::TLSA, Resolution::Validating)
            .await;
        let unknown = |reason: &str| format!("TLSA records of {told} port {port}: {reason}");
        match asked {
            Reply::Records(found, Security::Secure) => {
                let records = found.iter().filter_map(|record| match &record.data {
                    RData::TLSA(tlsa) => Some(tlsa),
                    _ => None,
                });
                Ok(Tlsa::of(records, told, port))
            }
            Reply::Records(_, Security::Insecure) => Ok(Tlsa::absent(format!(
                "the TLSA records of {told} port {port} are not signed (DNSSEC)"
            ))),
            Reply::Nothing(_) => Ok(Tlsa::absent(format!(
                "{told} port {port} has no TLSA record"
            ))),
            Reply::Silence => Err(unknown("DNS does not answer")),
            Reply::Broken(reason) => Err(unknown(&reason)),
        }
    }

    /// An SRV question. hickory looks for the records of an alias under the name of their last
    /// target, so the alias is followed here.
    async fn ask_through_aliases(&self, name: Name, resolution: Resolution) -> Reply {
        let (mut name, mut way) = (name, Security::Secure);
        for _ in 0..MOST_ALIASES {
            match self.ask(name.clone(), RecordType::SRV, resolution).await {
                Reply::Records(records, security) => {
                    return Reply::Records(records, way.and(security));
                }
                Reply::Nothing(security) => {
                    let alias = self.ask(name.clone(), RecordType::CNAME, resolution).await;
                    let Reply::Records(alias, end) = alias else {
                        return Reply::Nothing(way.and(security));
                    };
                    let Some(next) = alias.iter().find_map(|record| match &record.data {
                        RData::CNAME(next) => Some(next.0.clone()),
                        _ => None,
                    }) else {
                        return Reply::Nothing(way.and(security));
                    };
                    way = way.and(end);
                    name = next;
                }
                other => return other,
            }
        }
        Reply::Broken("its SRV records are behind too many aliases".to_owned())
    }
}

fn addresses(reply: Reply) -> (Addresses, Security) {
    match reply {
        Reply::Records(records, security) => {
            let found: Vec<IpAddr> = records
                .iter()
                .filter_map(|record| match &record.data {
                    RData::A(address) => Some(IpAddr::V4(address.0)),
                    RData::AAAA(address) => Some(IpAddr::V6(address.0)),
                    _ => None,
                })
                .take(MOST_ADDRESSES)
                .collect();
            match found.is_empty() {
                true => (Addresses::Nothing, security),
                false => (Addresses::Found(found), security),
            }
        }
        // Nothing is found, so nothing is made less secure.
        Reply::Nothing(_) => (Addresses::Nothing, Security::Secure),
        Reply::Silence => (
            Addresses::Failed("DNS does not answer".to_owned()),
            Security::Secure,
        ),
        Reply::Broken(reason) => (Addresses::Failed(reason), Security::Secure),
    }
}

fn records<'a>(answers: impl Iterator<Item = &'a RData>, mode: TlsMode) -> Answer {
    let (mut root, mut useless) = (false, false);
    let mut records: Vec<Record> = answers
        .filter_map(|data| match data {
            RData::SRV(srv) => Some(srv),
            _ => None,
        })
        .filter(|srv| {
            root |= srv.target.is_root();
            useless |= srv.port == 0;
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
        // RFC 6120 §3.2.1: an answer that cannot be used is no reason for the fallback.
        true if useless => Answer::Broken("its SRV records have no port".to_owned()),
        true => Answer::Nothing,
    }
}
