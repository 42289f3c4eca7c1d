//! Dialback, as far as it takes other servers and the gateway's own memory (XEP-0220).
//!
//! In: what partners ask to have verified, and keys that somebody asks us about. Out: a
//! [`Verified`] each. To verify a key, the authoritative server is found and asked on a connection of
//! its own; how many of these there are, and how many one address may cause, is bounded, since a
//! stranger causes them (V20). Whether the originating domain is welcome was asked before.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use portcullis_xmpp::dialback::{DialbackCondition, DialbackError, Verification, Verified};
use portcullis_xmpp::error::StreamCondition;
use portcullis_xmpp::jid::Domain;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::failure::Failure;
use super::open;
use super::standing::Refusal;
use crate::app::Gateway;
use crate::connect::ConnectError;
use crate::tls::Side;

/// Connections to authoritative servers at a time, for all partners together.
const AT_A_TIME: usize = 64;
/// Verifications that one IPv4 address or IPv6 /64 may cause within [`WINDOW`]: a large host has some
/// dozen domains whose users begin to talk to us after its restart.
const PER_ADDRESS: u32 = 120;
/// See [`PER_ADDRESS`].
const WINDOW: Duration = Duration::from_secs(60);
/// Addresses that are counted at a time; beyond that nobody new is served within the window.
const ADDRESSES: usize = 10_000;
/// Streams of ours that are waiting for, or live by, a dialback key.
const KEYS: usize = 10_000;
/// How long a verification takes at most: the peer waits for it within its own time to establish.
const VERIFY: Duration = Duration::from_secs(30);

/// What the gateway remembers of dialback.
#[derive(Debug)]
pub(crate) struct Dialback {
    verifying: Arc<Semaphore>,
    causes: Mutex<HashMap<IpAddr, (Instant, u32)>>,
    keys: Arc<Mutex<HashMap<Sent, usize>>>,
}

/// A key that we sent: in whose name, to whom, and on which stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Sent {
    originating: Domain,
    receiving: Domain,
    stream_id: Arc<str>,
}

/// As long as it lives, the key of its stream is known as ours.
#[derive(Debug)]
#[must_use]
pub(super) struct Known {
    keys: Arc<Mutex<HashMap<Sent, usize>>>,
    sent: Sent,
}

impl Default for Dialback {
    fn default() -> Self {
        Self {
            verifying: Arc::new(Semaphore::new(AT_A_TIME)),
            causes: Mutex::default(),
            keys: Arc::default(),
        }
    }
}

impl Dialback {
    /// Remembers that a key is being sent; none if there are too many, and then nobody will be told
    /// that it is ours.
    pub(super) fn sent(
        &self,
        originating: &Domain,
        receiving: &Domain,
        stream_id: &str,
    ) -> Option<Known> {
        let sent = Sent {
            originating: originating.clone(),
            receiving: receiving.clone(),
            stream_id: Arc::from(stream_id),
        };
        let mut keys = lock(&self.keys);
        if keys.len() >= KEYS {
            return None;
        }
        *keys.entry(sent.clone()).or_default() += 1;
        drop(keys);
        Some(Known {
            keys: Arc::clone(&self.keys),
            sent,
        })
    }

    fn knows(&self, asked: &Verification) -> bool {
        lock(&self.keys).contains_key(&Sent {
            originating: asked.originating.clone(),
            receiving: asked.receiving.clone(),
            stream_id: Arc::clone(&asked.stream_id),
        })
    }

    /// Counts what an address causes; false if it has caused enough.
    fn may_cause(&self, address: IpAddr, now: Instant) -> bool {
        let mut causes = lock(&self.causes);
        let known = causes.len();
        let address = network(address);
        if known >= ADDRESSES && !causes.contains_key(&address) {
            causes.retain(|_, (since, _)| now.duration_since(*since) < WINDOW);
            if causes.len() >= ADDRESSES {
                return false;
            }
        }
        let (since, count) = causes.entry(address).or_insert((now, 0));
        if now.duration_since(*since) >= WINDOW {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        *count <= PER_ADDRESS
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        let mut keys = lock(&self.keys);
        if let Some(count) = keys.get_mut(&self.sent) {
            *count -= 1;
            if *count == 0 {
                keys.remove(&self.sent);
            }
        }
    }
}

/// Asks the authoritative server of a partner's domain whether a key is its own. `cause` is who wants
/// us to.
pub(super) async fn verify(
    gateway: &Arc<Gateway>,
    cause: IpAddr,
    asked: &Verification,
) -> Verified {
    let failed = |condition| Verified::Failed(DialbackError::new(condition));
    if !gateway.dialbacks.may_cause(cause, Instant::now()) {
        tracing::info!(address = %cause, domain = %asked.originating, "too many dialback requests from one address");
        return failed(DialbackCondition::ResourceConstraint);
    }
    let Ok(_place) = gateway.dialbacks.verifying.try_acquire() else {
        return failed(DialbackCondition::ResourceConstraint);
    };
    let deadline = Instant::now() + VERIFY.min(gateway.config().timeouts.establish);
    match open::verify(gateway, asked, deadline).await {
        Ok(verified) => verified,
        Err(failure) => {
            tracing::info!(domain = %asked.originating, reason = failure.to_string(), "a dialback key could not be verified");
            Verified::Failed(unverified(&failure))
        }
    }
}

/// XEP-0220 §2.5: what the initiating server is told if its authoritative server could not be asked.
fn unverified(failure: &Failure) -> DialbackError {
    let condition = match failure {
        Failure::Refused(_) => DialbackCondition::PolicyViolation,
        Failure::TooMany => DialbackCondition::ResourceConstraint,
        Failure::Connect(error) => return DialbackError::new(unreachable(error)),
        Failure::Tls(_) | Failure::Elsewhere(_) => DialbackCondition::RemoteConnectionFailed,
        Failure::TooSlow | Failure::ShortLived => DialbackCondition::RemoteServerTimeout,
        Failure::Negotiation(failure) => return failure.dialback_error(),
    };
    DialbackError::new(condition)
}

fn unreachable(error: &ConnectError) -> DialbackCondition {
    match error {
        ConnectError::Resting { failure, .. } => unreachable(failure),
        ConnectError::NotFound(_) | ConnectError::Resolution(_) | ConnectError::Forbidden(_) => {
            DialbackCondition::RemoteServerNotFound
        }
        ConnectError::Unreachable(_) | ConnectError::Exhausted(_) | ConnectError::Source { .. } => {
            DialbackCondition::RemoteConnectionFailed
        }
    }
}

/// What somebody is told whose pair of domains may not be on a stream of his.
pub(super) fn refused(refusal: &Refusal) -> DialbackError {
    let condition = match refusal.error.condition {
        StreamCondition::HostUnknown | StreamCondition::HostGone => DialbackCondition::ItemNotFound,
        StreamCondition::InvalidFrom => DialbackCondition::NotAuthorized,
        _ => DialbackCondition::PolicyViolation,
    };
    DialbackError {
        condition,
        text: refusal.error.told(),
    }
}

/// Somebody asks, as a receiving server, whether a key is ours: towards partners for the
/// organisation's domains, towards internal servers for those that we speak for there.
pub(super) fn answer(gateway: &Gateway, side: Side, asked: &Verification) -> Verified {
    let ours = gateway.is_own(&asked.originating);
    let relayed = gateway.config().internal.relay_internal;
    let authoritative = match side {
        Side::Federation => ours && !gateway.is_own(&asked.receiving),
        Side::Internal => gateway.is_own(&asked.receiving) && (!ours || relayed),
    };
    if !authoritative {
        return Verified::Failed(DialbackError::new(DialbackCondition::ItemNotFound));
    }
    let verified = gateway.dialback.verify(asked);
    // Another gateway of the organisation may have sent it if they share a secret; otherwise it was
    // us, on a stream that we know of (DB-10).
    let shared = gateway.config().federation.dialback_secret.is_some();
    if verified == Verified::Valid && !shared && !gateway.dialbacks.knows(asked) {
        tracing::warn!(originating = %asked.originating, receiving = %asked.receiving, "a dialback key of ours that was not sent on a stream we know");
        return Verified::Invalid;
    }
    verified
}

/// Who shares a limit: one IPv4 address, or one IPv6 /64, which is what one customer gets.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (!0 << 64))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The locks' sections change single numbers.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(name: &str) -> Domain {
        Domain::parse(name).unwrap()
    }

    #[test]
    fn db_10_a_key_is_known_as_long_as_its_stream_lives() {
        let dialback = Dialback::default();
        let asked = |id: &str| Verification {
            originating: domain("org.test"),
            receiving: domain("alpha.test"),
            stream_id: Arc::from(id),
            key: portcullis_xmpp::dialback::Key::parse("k").unwrap(),
        };
        let first = dialback.sent(&domain("org.test"), &domain("alpha.test"), "1");
        let again = dialback.sent(&domain("org.test"), &domain("alpha.test"), "1");
        assert!(dialback.knows(&asked("1")));
        assert!(!dialback.knows(&asked("2")));
        drop(first);
        assert!(dialback.knows(&asked("1")));
        drop(again);
        assert!(!dialback.knows(&asked("1")));
    }

    #[test]
    fn v20_one_address_causes_so_many_verifications_and_then_waits() {
        let dialback = Dialback::default();
        let now = Instant::now();
        let flood: IpAddr = "192.0.2.1".parse().unwrap();
        assert!((0..PER_ADDRESS).all(|_| dialback.may_cause(flood, now)));
        assert!(!dialback.may_cause(flood, now));
        assert!(dialback.may_cause("192.0.2.2".parse().unwrap(), now));
        assert!(dialback.may_cause(flood, now + WINDOW));
    }

    #[test]
    fn v20_the_memory_of_addresses_is_bounded() {
        let dialback = Dialback::default();
        let now = Instant::now();
        for n in 0..u32::try_from(ADDRESSES).unwrap() {
            assert!(dialback.may_cause(std::net::Ipv4Addr::from_bits(n).into(), now));
        }
        let late: IpAddr = "2001:db8::1".parse().unwrap();
        assert!(!dialback.may_cause(late, now));
        assert!(dialback.may_cause(late, now + WINDOW));
        assert_eq!(lock(&dialback.causes).len(), 1);
    }

    #[test]
    fn db_07_each_failure_has_its_condition() {
        let of = |failure: Failure| unverified(&failure).condition;
        let text = || "why".to_owned();
        assert_eq!(
            of(Failure::Connect(ConnectError::NotFound(text()))),
            DialbackCondition::RemoteServerNotFound
        );
        assert_eq!(
            of(Failure::Connect(ConnectError::Unreachable(text()))),
            DialbackCondition::RemoteConnectionFailed
        );
        assert_eq!(of(Failure::TooSlow), DialbackCondition::RemoteServerTimeout);
        assert_eq!(of(Failure::TooMany), DialbackCondition::ResourceConstraint);
    }
}
