//! A partner's servers: as its record names them, or as its DNS does.
//!
//! In: a partner's domain, and what its record says of the way there. Out: [`Candidates`]; or the TLSA
//! records of all its servers together; or what DNS answers, in words. What can fail: DNS, and that the
//! domain offers no federation.

use std::sync::Arc;

use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::stream::TlsMode;
use tokio::task::JoinSet;

use super::ask::{Resolution, Security};
use super::candidates::Candidates;
use super::error::ConnectError;
use super::srv::{self, Answer, Plan};
use super::target::{Dane, Reach, Target};
use super::tlsa::Tlsa;
use super::{Dialer, dns_name, hop, random};
use crate::config::{HostPort, Partner};

/// RFC 6120 §3.2.2: where a domain without SRV records is looked for.
const DEFAULT_PORT: u16 = 5269;
/// TLSA records of all servers of a domain that are held against a certificate.
const MOST_ASSOCIATIONS: usize = 64;

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

impl Dialer {
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
        let (plan, security) = self.plan(remote, resolution).await;
        match plan {
            Plan::Targets(records) => {
                let targets = records
                    .into_iter()
                    .map(|record| Target::name(record.target, record.port, record.mode))
                    .collect();
                Ok(self.candidates(remote, targets, reach(security)))
            }
            Plan::Fallback => {
                let target = Target::name(dns_name(remote)?, DEFAULT_PORT, TlsMode::StartTls);
                let reach = Reach {
                    fallback: true,
                    ..reach(security)
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
        let (plan, security) = self.plan(remote, Resolution::Validating).await;
        let places = match plan {
            Plan::Targets(records) => (records.into_iter())
                .map(|record| (record.target, record.port))
                .collect(),
            Plan::Fallback => vec![(dns_name(remote)?, DEFAULT_PORT)],
            Plan::NotOffered => Vec::new(),
            Plan::Unknown(reason) => return Err(unknown(reason)),
        };
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

    /// What each SRV question for `remote` is answered, in words: for `check partner`.
    pub async fn explain(&self, remote: &Domain) -> Vec<String> {
        let ((direct, _), (starttls, _)) = self.services(remote, Resolution::Plain).await;
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

    /// Which servers the domain names, and how much that is worth.
    async fn plan(&self, remote: &Domain, resolution: Resolution) -> (Plan, Security) {
        let ((direct, first), (starttls, second)) = self.services(remote, resolution).await;
        let plan = srv::plan(direct, starttls, random::below);
        let security = match &plan {
            // One set: it is as secure as the weaker of the answers that it is made of.
            Plan::Targets(records) => (records.iter())
                .map(|record| match record.mode {
                    TlsMode::Direct => first,
                    TlsMode::StartTls => second,
                })
                .fold(Security::Secure, Security::and),
            Plan::Fallback => second,
            // There is no server to be less secure.
            Plan::NotOffered | Plan::Unknown(_) => Security::Secure,
        };
        (plan, security)
    }

    /// The answers for `_xmpps-server` and for `_xmpp-server`.
    async fn services(
        &self,
        remote: &Domain,
        resolution: Resolution,
    ) -> ((Answer, Security), (Answer, Security)) {
        tokio::join!(
            self.dns.servers(remote, TlsMode::Direct, resolution),
            self.dns.servers(remote, TlsMode::StartTls, resolution)
        )
    }
}
