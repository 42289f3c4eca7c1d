//! The addresses of one server-to-be, tried in order, with a little haste (RFC 8305 §5).

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::proto::rr::Name;
use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::stream::TlsMode;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::Settings;
use super::address::not_public;
use super::error::ConnectError;
use super::resolve::{Addresses, Dns};

/// RFC 8305 §5: the next address of the same server is tried when one has been silent for so long.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// Two lost SYNs and their retransmissions (1 s, 2 s, 4 s); later answers come from hosts in trouble.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections tried for one domain, whatever its DNS says: with all of them silent this is
/// already more than `establish` allows.
const MOST_ADDRESSES: usize = 32;
/// How many failures an error text repeats.
const FAILURES_TOLD: usize = 4;

/// One address, and how TLS begins there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Candidate {
    /// Where.
    pub address: SocketAddr,
    /// Direct TLS or STARTTLS.
    pub mode: TlsMode,
    /// The name that led there: an SRV target, the domain itself, or a configured host.
    pub target: Arc<str>,
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({}, {})",
            self.address,
            self.target,
            self.mode.as_str()
        )
    }
}

/// A TCP connection that stands. Nothing was said on it yet.
#[derive(Debug)]
pub struct Connection {
    /// The connection, without Nagle's delay: we flush whole batches.
    pub stream: TcpStream,
    /// Where it leads.
    pub candidate: Candidate,
}

/// A server to look up and try.
#[derive(Clone, Debug)]
pub(super) struct Target {
    host: TargetHost,
    port: u16,
    mode: TlsMode,
}

#[derive(Clone, Debug)]
enum TargetHost {
    Address(IpAddr),
    Name(Name),
}

impl Target {
    pub(super) fn name(name: Name, port: u16, mode: TlsMode) -> Self {
        Self {
            host: TargetHost::Name(name),
            port,
            mode,
        }
    }

    pub(super) fn address(address: IpAddr, port: u16, mode: TlsMode) -> Self {
        Self {
            host: TargetHost::Address(address),
            port,
            mode,
        }
    }
}

/// From where and how far connections may go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    pub(super) source: Option<IpAddr>,
    pub(super) private: bool,
    /// Whether DNS named no servers and the domain's own addresses are tried instead.
    pub(super) fallback: bool,
}

impl Reach {
    pub(super) fn anywhere() -> Self {
        Self {
            source: None,
            private: true,
            fallback: false,
        }
    }
}

/// The ways to one server. Ask [`Candidates::next`] until a connection is good; dropping this ends
/// all attempts.
pub struct Candidates {
    dns: Arc<Dns>,
    settings: Arc<Settings>,
    domain: Domain,
    reach: Reach,
    targets: VecDeque<Target>,
    /// Addresses of the current target that were not tried yet.
    waiting: VecDeque<Candidate>,
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

enum Failure {
    Connect(io::Error),
    Silence,
    Source(io::Error),
    Myself,
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
            domain,
            reach,
            targets: targets.into(),
            waiting: VecDeque::new(),
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

    /// The next connection. Addresses of one target race each other with a small delay; the next
    /// target begins when all of the one before have failed. Not cancel-safe: a caller that drops
    /// this future drops the candidates too.
    ///
    /// # Errors
    /// There is no further one; the error sums up why.
    pub async fn next(&mut self) -> Result<Connection, ConnectError> {
        loop {
            if self.running.is_empty() && !self.start_one() {
                let Some(target) = self.targets.pop_front() else {
                    return Err(self.sum_up());
                };
                self.look_up(target).await;
                continue;
            }
            let hurry = !self.waiting.is_empty();
            let (candidate, outcome) = tokio::select! {
                biased;
                Some(done) = self.running.join_next() => match done {
                    Ok(done) => done,
                    // A task that was cancelled with its runtime.
                    Err(_) => continue,
                },
                () = sleep(ATTEMPT_DELAY), if hurry => {
                    self.start_one();
                    continue;
                }
            };
            self.underway.retain(|other| *other != candidate);
            match outcome {
                Ok(stream) => {
                    self.put_back_the_others();
                    self.handed_out = true;
                    return Ok(Connection { stream, candidate });
                }
                Err(failure) => {
                    self.note(&candidate, failure)?;
                    self.start_one();
                }
            }
        }
    }

    /// Begins with the next waiting address; `false` if there is none.
    fn start_one(&mut self) -> bool {
        let Some(candidate) = self.waiting.pop_front() else {
            return false;
        };
        self.underway.push(candidate.clone());
        let (source, listeners) = (self.reach.source, Arc::clone(&self.settings));
        self.running.spawn(async move {
            let outcome = connect(candidate.address, source, &listeners.listeners).await;
            (candidate, outcome)
        });
        true
    }

    /// One has won. The others stop and come first when this one turns out not to be good.
    fn put_back_the_others(&mut self) {
        self.running = JoinSet::new();
        while let Some(candidate) = self.underway.pop() {
            self.waiting.push_front(candidate);
        }
    }

    async fn look_up(&mut self, target: Target) {
        let (name, addresses) = match target.host {
            TargetHost::Address(address) => (address.to_string(), Addresses::Found(vec![address])),
            TargetHost::Name(name) => {
                let text = name.to_string();
                (
                    text.trim_end_matches('.').to_owned(),
                    self.dns.addresses(&name).await,
                )
            }
        };
        let addresses = match addresses {
            Addresses::Found(addresses) => addresses,
            Addresses::Nothing => {
                self.failures.push(format!("{name} has no address"));
                return;
            }
            Addresses::Failed(reason) => {
                self.unresolved = Some(format!("{name}: {reason}"));
                return;
            }
        };
        let name: Arc<str> = name.into();
        for address in addresses {
            let candidate = Candidate {
                address: SocketAddr::new(address, target.port),
                mode: target.mode,
                target: Arc::clone(&name),
            };
            self.admit(candidate);
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
                let address = self.reach.source.unwrap_or(candidate.address.ip());
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

async fn connect(
    address: SocketAddr,
    source: Option<IpAddr>,
    listeners: &[SocketAddr],
) -> Result<TcpStream, Failure> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    };
    let socket = socket.map_err(Failure::Connect)?;
    if let Some(source) = source {
        socket
            .bind(SocketAddr::new(source, 0))
            .map_err(Failure::Source)?;
    }
    let stream = timeout(ATTEMPT_TIMEOUT, socket.connect(address))
        .await
        .map_err(|_| Failure::Silence)?
        .map_err(Failure::Connect)?;
    stream.set_nodelay(true).map_err(Failure::Connect)?;
    if is_myself(&stream, address, listeners) {
        return Err(Failure::Myself);
    }
    Ok(stream)
}

/// A listener on all addresses is not in the list of addresses; but who reaches it from here talks
/// to itself, and then both ends have the same address.
fn is_myself(stream: &TcpStream, address: SocketAddr, listeners: &[SocketAddr]) -> bool {
    let on_all =
        |listener: &SocketAddr| listener.ip().is_unspecified() && listener.port() == address.port();
    listeners.iter().any(on_all)
        && stream
            .local_addr()
            .is_ok_and(|local| local.ip() == address.ip())
}
