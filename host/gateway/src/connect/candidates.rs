//! The addresses of one server-to-be, tried in order, with a little haste (RFC 8305).
//!
//! In: targets in the order in which they are to be tried. Out: TCP connections, one at a time,
//! until the caller is content. The addresses of one target race each other; the families
//! alternate, IPv6 first; the next target begins when all of the one before have failed.

use std::collections::{HashSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::proto::rr::{Name, RecordType};
use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::stream::TlsMode;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::Settings;
use super::address::not_public;
use super::ask::{Dns, Security};
use super::attempt::{ATTEMPT_TIMEOUT, Failure, connect};
use super::error::ConnectError;
use super::memory::Turn;
use super::resolve::Addresses;
use super::target::{Candidate, Connection, Dane, Reach, Target, TargetHost};
use super::tlsa::Tlsa;

/// RFC 8305 §5: the next address of the same server is tried when one has been silent for so long.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// RFC 8305 §3: so long IPv4 addresses that are known wait for IPv6 addresses that are not yet.
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);
/// Connections tried for one domain, whatever its DNS says: with all of them silent this is
/// already more than `establish` allows.
const MOST_ADDRESSES: usize = 32;
/// How many failures an error text repeats.
const FAILURES_TOLD: usize = 4;

/// The ways to one server. Ask [`Candidates::next`] until a connection is good; dropping this ends
/// all attempts.
pub struct Candidates {
    dns: Arc<Dns>,
    settings: Arc<Settings>,
    domain: Domain,
    reach: Reach,
    /// Held until the first connection or the last failure.
    turn: Option<Turn>,
    targets: VecDeque<Target>,
    /// What is being looked up for the current target.
    lookups: JoinSet<(Addresses, Tlsa)>,
    current: Current,
    /// Addresses that were not tried yet.
    waiting: VecDeque<Candidate>,
    /// When the first of them is due.
    due: Instant,
    /// Attempts that are under way, and their candidates.
    running: JoinSet<(Candidate, Result<TcpStream, Failure>)>,
    underway: Vec<Candidate>,
    seen: HashSet<(SocketAddr, TlsMode)>,
    handed_out: bool,
    failures: Vec<String>,
    attempts: usize,
    forbidden: Option<String>,
    unresolved: Option<String>,
}

/// The target whose addresses are looked up or tried.
struct Current {
    name: Arc<str>,
    port: u16,
    mode: TlsMode,
    located: usize,
    unresolved: Option<String>,
}

impl Candidates {
    pub(super) fn new(
        dns: Arc<Dns>,
        settings: Arc<Settings>,
        domain: Domain,
        targets: Vec<Target>,
        reach: Reach,
    ) -> Self {
        Self {
            dns,
            settings,
            reach,
            turn: None,
            targets: targets.into(),
            lookups: JoinSet::new(),
            current: Current {
                name: domain.as_str().into(),
                port: 0,
                mode: TlsMode::StartTls,
                located: 0,
                unresolved: None,
            },
            domain,
            waiting: VecDeque::new(),
            due: Instant::now(),
            running: JoinSet::new(),
            underway: Vec::new(),
            seen: HashSet::new(),
            handed_out: false,
            failures: Vec::new(),
            attempts: 0,
            forbidden: None,
            unresolved: None,
        }
    }

    /// Keeps others from trying until it is clear whether anybody answers.
    pub(super) fn in_turn(mut self, turn: Turn) -> Self {
        self.turn = Some(turn);
        self
    }

    /// The next connection. Not cancel-safe: a caller that drops this future drops the candidates
    /// too.
    ///
    /// # Errors
    /// There is no further one; the error sums up why.
    pub async fn next(&mut self) -> Result<Connection, ConnectError> {
        let outcome = self.seek().await;
        match (self.turn.take(), &outcome) {
            (Some(turn), Ok(_)) => turn.succeeded(),
            (Some(turn), Err(error)) => turn.failed(error),
            (None, _) => {}
        }
        outcome
    }

    async fn seek(&mut self) -> Result<Connection, ConnectError> {
        loop {
            if self.running.is_empty() && self.lookups.is_empty() && self.waiting.is_empty() {
                let Some(target) = self.targets.pop_front() else {
                    return Err(self.sum_up());
                };
                self.look_up(target);
                continue;
            }
            tokio::select! {
                biased;
                Some(done) = self.running.join_next() => {
                    // An error is that of a task that was cancelled with its runtime.
                    if let Ok((candidate, outcome)) = done
                        && let Some(connection) = self.tried(candidate, outcome)?
                    {
                        return Ok(connection);
                    }
                }
                Some(found) = self.lookups.join_next() => {
                    if let Ok((addresses, tlsa)) = found {
                        self.located(addresses, &tlsa);
                    }
                }
                () = sleep_until(self.due), if !self.waiting.is_empty() => self.start_one(),
            }
        }
    }

    fn look_up(&mut self, target: Target) {
        let (port, mode) = (target.port, target.mode);
        let name = match &target.host {
            TargetHost::Address(address) => address.to_string(),
            TargetHost::Name(name) => name.to_string().trim_end_matches('.').to_owned(),
        };
        self.current = Current {
            name: name.into(),
            port,
            mode,
            located: 0,
            unresolved: None,
        };
        match target.host {
            TargetHost::Address(address) => {
                self.located(Addresses::Found(vec![address]), &Tlsa::NotAsked);
            }
            TargetHost::Name(name) => self.ask(name),
        }
    }

    fn ask(&mut self, name: Name) {
        let security = match self.reach.dane {
            Dane::Off => {
                for family in [RecordType::AAAA, RecordType::A] {
                    let (dns, name) = (Arc::clone(&self.dns), name.clone());
                    self.lookups
                        .spawn(async move { (dns.addresses(&name, family).await, Tlsa::NotAsked) });
                }
                return;
            }
            Dane::Offered(security) => security,
            Dane::Demanded => Security::Secure,
        };
        let (dns, port) = (Arc::clone(&self.dns), self.current.port);
        self.lookups
            .spawn(async move { dns.endpoint(&name, port, security).await });
    }

    /// Takes in what a lookup brought.
    fn located(&mut self, addresses: Addresses, tlsa: &Tlsa) {
        let name = Arc::clone(&self.current.name);
        match addresses {
            Addresses::Found(addresses) => {
                self.current.located += addresses.len();
                if self.reach.dane == Dane::Demanded && !matches!(tlsa, Tlsa::Records(_)) {
                    self.forbidden = Some(format!(
                        "{name} has no TLSA records, and the server that named it has"
                    ));
                    return;
                }
                for address in addresses {
                    self.admit(Candidate {
                        address: SocketAddr::new(address, self.current.port),
                        mode: self.current.mode,
                        target: Arc::clone(&name),
                        tlsa: tlsa.clone(),
                    });
                }
                self.alternate();
            }
            Addresses::Nothing => {}
            Addresses::Failed(reason) => {
                self.current.unresolved = Some(format!("{name}: {reason}"));
            }
        }
        if self.lookups.is_empty() && self.current.located == 0 {
            match self.current.unresolved.take() {
                Some(reason) => self.unresolved = Some(reason),
                None => self.failures.push(format!("{name} has no address")),
            }
        }
        if self.running.is_empty() {
            let only_v4 = (self.waiting.iter()).all(|candidate| candidate.address.is_ipv4());
            self.due = match !self.lookups.is_empty() && only_v4 {
                true => Instant::now() + RESOLUTION_DELAY,
                false => Instant::now(),
            };
        }
    }

    /// Takes an address into the queue, unless policy or a bound forbids it.
    fn admit(&mut self, candidate: Candidate) {
        let address = candidate.address;
        if let Some(source) = self.reach.source
            && source.is_ipv4() != address.is_ipv4()
        {
            self.failures.push(format!(
                "{address} is not of the family of our source address"
            ));
            return;
        }
        let reason = if self.settings.listeners.contains(&address) {
            Some("this gateway itself")
        } else if self.reach.private {
            None
        } else {
            not_public(address.ip())
        };
        if let Some(reason) = reason {
            self.forbidden = Some(format!(
                "{} leads to {address}, {reason}, where no partner can be",
                candidate.target
            ));
            return;
        }
        if self.seen.len() < MOST_ADDRESSES && self.seen.insert((address, candidate.mode)) {
            self.waiting.push_back(candidate);
        }
    }

    /// RFC 8305 §4: the families alternate, IPv6 first, or the other one after an attempt.
    fn alternate(&mut self) {
        let v6_is_next = !(self.underway.last()).is_some_and(|last| last.address.is_ipv6());
        let waiting = std::mem::take(&mut self.waiting);
        let (v6, v4): (Vec<_>, Vec<_>) =
            (waiting.into_iter()).partition(|candidate| candidate.address.is_ipv6());
        let (first, second) = if v6_is_next { (v6, v4) } else { (v4, v6) };
        let (mut first, mut second) = (first.into_iter(), second.into_iter());
        loop {
            match (first.next(), second.next()) {
                (None, None) => return,
                (one, other) => self.waiting.extend(one.into_iter().chain(other)),
            }
        }
    }

    /// Begins with the first address that waits.
    fn start_one(&mut self) {
        let Some(candidate) = self.waiting.pop_front() else {
            return;
        };
        self.underway.push(candidate.clone());
        let (source, settings) = (self.reach.source, Arc::clone(&self.settings));
        self.running.spawn(async move {
            let outcome = connect(candidate.address, source, &settings.listeners).await;
            (candidate, outcome)
        });
        self.due = Instant::now() + ATTEMPT_DELAY;
    }

    fn tried(
        &mut self,
        candidate: Candidate,
        outcome: Result<TcpStream, Failure>,
    ) -> Result<Option<Connection>, ConnectError> {
        self.underway.retain(|other| *other != candidate);
        self.due = Instant::now();
        match outcome {
            Ok(stream) => {
                self.put_back_the_others();
                self.handed_out = true;
                Ok(Some(Connection { stream, candidate }))
            }
            Err(failure) => {
                self.note(&candidate, failure)?;
                Ok(None)
            }
        }
    }

    /// One has won. The others stop and come first when this one turns out not to be good.
    fn put_back_the_others(&mut self) {
        self.running = JoinSet::new();
        while let Some(candidate) = self.underway.pop() {
            self.waiting.push_front(candidate);
        }
    }

    fn note(&mut self, candidate: &Candidate, failure: Failure) -> Result<(), ConnectError> {
        self.attempts += 1;
        let text = match failure {
            Failure::Connect(error) => format!("{candidate}: {error}"),
            Failure::Silence => format!(
                "{candidate}: no answer within {} s",
                ATTEMPT_TIMEOUT.as_secs()
            ),
            Failure::Myself => {
                self.forbidden = Some(format!("{} leads to this gateway itself", candidate.target));
                return Ok(());
            }
            Failure::Source(error) => {
                let address: IpAddr = self.reach.source.unwrap_or(candidate.address.ip());
                return Err(ConnectError::source(address, &error));
            }
        };
        self.failures.push(text);
        Ok(())
    }

    fn sum_up(&mut self) -> ConnectError {
        let domain = &self.domain;
        if self.handed_out {
            return ConnectError::Exhausted(domain.to_string());
        }
        let mut told: Vec<&str> = self
            .failures
            .iter()
            .take(FAILURES_TOLD)
            .map(String::as_str)
            .collect();
        let more = format!("{} more", self.failures.len().saturating_sub(FAILURES_TOLD));
        if self.failures.len() > FAILURES_TOLD {
            told.push(&more);
        }
        let told = told.join("; ");
        if self.attempts > 0 && !self.failures.is_empty() {
            return if self.reach.fallback {
                // RFC 6120 §8.3.3.16: without SRV records an address alone promises no server.
                ConnectError::NotFound(format!(
                    "{domain} has no SRV records, and no server answers: {told}"
                ))
            } else {
                ConnectError::Unreachable(format!("no server of {domain} answers: {told}"))
            };
        }
        if let Some(forbidden) = &self.forbidden {
            return ConnectError::Forbidden(format!("{domain} is not contacted: {forbidden}"));
        }
        if let Some(unresolved) = &self.unresolved {
            return ConnectError::Resolution(format!(
                "no server of {domain} can be found: {unresolved}"
            ));
        }
        ConnectError::NotFound(format!("{domain} has no server that can be found: {told}"))
    }
}
