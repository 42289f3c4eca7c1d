//! `check partner DOMAIN`: the way to one partner, walked as the gateway would, each step told.
//!
//! Policy is not asked whether the partner is wanted, only told what a record says. No stanza is sent.

use std::net::SocketAddr;
use std::time::Duration;

use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::stream::OutboundFailure;
use serde_json::Map;
use time::OffsetDateTime;
use tokio::time::timeout;

use super::report::Report;
use crate::app::Directory;
use crate::cli::{args::CheckPartner, exit::Exit, problems, terminal::Level};
use crate::config::{Config, Partner};
use crate::connect::{self, Connection, Dialer, Search, Tlsa};
use crate::probe::{Probe, ProbeError, Step};
use crate::prove::{Judge, Posh};
use crate::tls::{self, Tls};

/// A partner's certificate that ends so soon will probably not be renewed by itself.
const SOON_DAYS: i64 = 14;

/// Checks one partner.
pub(super) fn check(arguments: &CheckPartner) -> Exit {
    let format = arguments.output.format();
    let config = match Config::read(&arguments.config.file) {
        Ok(loaded) => loaded.config,
        Err(rejected) => return problems::refused(&rejected, format),
    };
    let mut report = Report::new(format!("partner {}", arguments.domain), format);
    match whom(arguments, &config) {
        Err(problem) => {
            report.about("Arguments");
            report.add(Level::Problem, problem, None);
        }
        Ok((local, remote)) => walk(&config, &local, &remote, &mut report),
    }
    report.finish(Map::new())
}

fn whom(arguments: &CheckPartner, config: &Config) -> Result<(Domain, Domain), String> {
    let parse = |text: &String| {
        Domain::parse(text).map_err(|error| format!("\"{text}\" is not a domain: {error}"))
    };
    let remote = parse(&arguments.domain)?;
    let local = match &arguments.from {
        Some(text) => parse(text)?,
        None => config
            .gateway
            .domains
            .first()
            .cloned()
            .ok_or("no domain is served")?,
    };
    if !config.gateway.domains.contains(&local) {
        return Err(format!("{local} is not served by this gateway"));
    }
    if config.gateway.domains.contains(&remote) {
        return Err(format!("{remote} is one of our own domains"));
    }
    Ok((local, remote))
}

fn walk(config: &Config, local: &Domain, remote: &Domain, report: &mut Report) {
    let directory = Directory::new(config.clone());
    let record = directory.partner(remote);
    report.about("Policy");
    match record {
        Some(record) => {
            report.ok(format!("the record of {} is its own", record.domain));
            if !record.direction.sends() {
                let text = "the record is inbound only: the gateway opens no stream to it";
                report.add(Level::Warning, text.to_owned(), None);
            }
        }
        None => report.add(
            Level::Warning,
            "no partner record names it".to_owned(),
            Some("unless a plugin allows it, the gateway refuses it before DNS".to_owned()),
        ),
    }
    report.about("Certificates");
    let tls = match Tls::load(tls::Settings::from(config)) {
        Ok(tls) => tls,
        Err(found) => {
            for problem in found {
                report.add(Level::Problem, problem.to_string(), None);
            }
            return;
        }
    };
    report.ok("ours are in order".to_owned());
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return report.add(Level::Problem, error.to_string(), None),
    };
    let way = Way {
        tls: &tls,
        local,
        remote,
        record,
        patience: config.timeouts.establish,
    };
    runtime.block_on(way.walk(config, report));
}

struct Way<'w> {
    tls: &'w Tls,
    local: &'w Domain,
    remote: &'w Domain,
    record: Option<&'w Partner>,
    patience: Duration,
}

impl Way<'_> {
    async fn walk(&self, config: &Config, report: &mut Report) {
        report.about("DNS");
        let dialer = match Dialer::new(connect::Settings::from(config)) {
            Ok(dialer) => dialer,
            Err(error) => return report.add(Level::Problem, error.to_string(), None),
        };
        let proxy = self.record.and_then(|record| record.proxy.as_ref());
        match proxy {
            Some(proxy) => report.ok(format!("not asked: the record names the next hop {proxy}")),
            None => {
                for line in dialer.explain(self.remote).await {
                    report.ok(line);
                }
            }
        }
        let posh = Posh::new(dialer.clone());
        let judge = Judge {
            tls: self.tls,
            dialer: &dialer,
            posh: &posh,
        };
        if let Some(record) = self.record {
            self.other_proofs(record, judge, report).await;
        }
        let search = self.record.map(Search::from).unwrap_or_default();
        let mut candidates = match dialer.partner(self.remote, search).await {
            Ok(candidates) => candidates,
            Err(error) => return report.add(Level::Problem, error.to_string(), None),
        };
        loop {
            report.about("Connection");
            let connection = match timeout(self.patience, candidates.next()).await {
                Ok(Ok(connection)) => connection,
                Ok(Err(error)) => return report.add(Level::Problem, error.to_string(), None),
                Err(_) => {
                    let text = format!("no connection within {} s", self.patience.as_secs());
                    return report.add(Level::Problem, text, None);
                }
            };
            report.ok(format!("TCP to {}", connection.candidate));
            if self.negotiate(connection, judge, report).await {
                return;
            }
        }
    }

    /// What may prove the partner's certificate besides authorities and pins.
    async fn other_proofs(&self, record: &Partner, judge: Judge<'_>, report: &mut Report) {
        let remote = self.remote;
        if record.dane {
            report.about("DANE");
            let warning = |why: String| (Level::Warning, format!("it proves nothing: {why}"));
            let (level, text) = match judge.dialer.associations(remote).await {
                Ok(Tlsa::Records(all)) => (
                    Level::Ok,
                    format!(
                        "{} signed TLSA records, and a certificate must match one",
                        all.len()
                    ),
                ),
                Ok(Tlsa::Absent(why)) => warning(why.to_string()),
                Ok(Tlsa::NotAsked) => warning("nothing was asked".to_owned()),
                Err(error) => (Level::Problem, error.to_string()),
            };
            report.add(level, text, None);
        }
        if record.posh {
            report.about("POSH");
            match judge.posh.count(|| self.tls.web_client(), remote).await {
                Ok(count) => report.ok(format!(
                    "the web server of {remote} names {count} certificates"
                )),
                Err(why) => {
                    let text = format!("it proves nothing: {why}");
                    report.add(Level::Warning, text, None);
                }
            }
        }
    }

    /// Whether a stream came about.
    async fn negotiate(
        &self,
        connection: Connection,
        judge: Judge<'_>,
        report: &mut Report,
    ) -> bool {
        let Connection { stream, candidate } = connection;
        let address: SocketAddr = candidate.address;
        let probe = Probe {
            record: self.record,
            tls: self.tls,
            local: self.local,
            remote: self.remote,
            mode: candidate.mode,
            judge: Some((judge, &candidate)),
        };
        let opening = probe.open(stream, address, |step| self.tell(step, report));
        match timeout(self.patience, opening).await {
            Ok(Ok(opened)) => {
                report.ok("a stream stands that may carry stanzas".to_owned());
                opened.close().await;
                true
            }
            Ok(Err(error)) => {
                let help = help(&error, self.local);
                report.add(Level::Problem, error.to_string(), help);
                false
            }
            Err(_) => {
                let text = format!("no stream within {} s", self.patience.as_secs());
                report.add(Level::Problem, text, None);
                false
            }
        }
    }

    fn tell(&self, step: Step<'_>, report: &mut Report) {
        match step {
            Step::Tls(facts) => report.ok(format!("{} with {}", facts.version, facts.cipher)),
            Step::Certificate(chain, Ok(proof)) => {
                let days = chain
                    .not_after()
                    .map(|end| (end - OffsetDateTime::now_utc()).whole_days());
                let text = format!(
                    "its certificate proves {} ({})",
                    self.remote,
                    proof.as_str()
                );
                match days {
                    Some(days) if days < SOON_DAYS => {
                        report.add(
                            Level::Warning,
                            format!("{text}, but ends in {days} days"),
                            None,
                        );
                    }
                    Some(days) => report.ok(format!("{text}, for {days} days more")),
                    None => report.ok(text),
                }
            }
            // The end of the negotiation says why.
            Step::Certificate(_, Err(_)) => {}
            Step::Authenticated(peer) => {
                let method = peer.method.map_or("nothing", |method| method.as_str());
                report.ok(format!(
                    "it accepts that we are {} (SASL {method})",
                    self.local
                ));
            }
        }
    }
}

fn help(error: &ProbeError, local: &Domain) -> Option<String> {
    let ProbeError::Negotiation(failure) = error else {
        return None;
    };
    match failure {
        OutboundFailure::CertificateRefused(_) => Some(
            "ask the partner to mend it, or add the CA that it uses to `trust` of [federation]"
                .to_owned(),
        ),
        OutboundFailure::NoExternal | OutboundFailure::SaslRefused(_) => Some(format!(
            "ask the partner whether it trusts the CA of our certificate and accepts it for {local}"
        )),
        _ => None,
    }
}
