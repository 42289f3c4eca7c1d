//! How many connections there may be.
//!
//! Four limits hold from the moment a connection is accepted: so many in all on this side, half of
//! them without having authenticated, so many of these from one address, and so many attempts of one
//! address in a minute. What is beyond is closed without a word (RFC 6120 §13.12: no XMPP error at
//! that layer). A load balancer that speaks the PROXY protocol is not an address: its connections
//! count for those that it speaks for.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::attempts::Attempts;
use crate::config::Limits;
use crate::tls::Side;

/// One side's connection slots.
#[derive(Debug)]
pub(crate) struct Slots {
    total: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
    unproven: Arc<Unproven>,
    /// From outside; an internal server opens a stream for each partner, all at once.
    attempts: Option<Attempts>,
}

/// Why a connection is closed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TurnedAway {
    /// All places are taken, or all for strangers.
    Full,
    /// Its address has as many as it may have.
    Address,
    /// Its address comes too often.
    Attempts,
    /// It is from a load balancer and does not say for whom.
    Proxy,
}

impl TurnedAway {
    /// For logs and metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Address => "address",
            Self::Attempts => "attempts",
            Self::Proxy => "proxy",
        }
    }
}

#[derive(Debug)]
struct Unproven {
    per_address: usize,
    counts: Mutex<HashMap<IpAddr, usize>>,
}

/// A place for one connection, given back when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    _total: OwnedSemaphorePermit,
    /// Given back when the peer has authenticated.
    stranger: Option<OwnedSemaphorePermit>,
    unproven: Option<UnprovenSlot>,
}

#[derive(Debug)]
struct UnprovenSlot {
    of: Arc<Unproven>,
    address: IpAddr,
}

impl Slots {
    /// `limits.connections`, of which strangers may have half: whoever has not authenticated must not
    /// be able to take all places.
    pub(crate) fn new(side: Side, limits: &Limits) -> Self {
        let unproven = Arc::new(Unproven {
            per_address: limits.connections_per_address,
            counts: Mutex::new(HashMap::new()),
        });
        Self {
            total: Arc::new(Semaphore::new(limits.connections)),
            strangers: Arc::new(Semaphore::new(limits.connections.div_ceil(2))),
            unproven,
            attempts: match side {
                Side::Federation => Some(Attempts::new(limits.attempts_per_minute)),
                Side::Internal => None,
            },
        }
    }

    /// A slot for a stream that the gateway opens itself, or none if all are taken.
    pub(crate) fn take_own(&self) -> Option<Slot> {
        let total = Arc::clone(&self.total).try_acquire_owned().ok()?;
        Some(Slot {
            _total: total,
            stranger: None,
            unproven: None,
        })
    }

    /// A slot for a connection whose address is yet to be counted.
    pub(super) fn take(&self) -> Result<Slot, TurnedAway> {
        let permit = |of: &Arc<Semaphore>| {
            Arc::clone(of)
                .try_acquire_owned()
                .map_err(|_| TurnedAway::Full)
        };
        Ok(Slot {
            _total: permit(&self.total)?,
            stranger: Some(permit(&self.strangers)?),
            unproven: None,
        })
    }

    /// Counts a slot for its address, if the address may have it.
    pub(super) fn count(&self, slot: &mut Slot, address: IpAddr) -> Result<(), TurnedAway> {
        let address = network(address);
        let within = |attempts: &Attempts| attempts.admit(address, Instant::now());
        if !self.attempts.as_ref().is_none_or(within) {
            return Err(TurnedAway::Attempts);
        }
        let mut counts = self
            .unproven
            .counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        if *count >= self.unproven.per_address {
            return Err(TurnedAway::Address);
        }
        *count += 1;
        slot.unproven = Some(UnprovenSlot {
            of: Arc::clone(&self.unproven),
            address,
        });
        Ok(())
    }
}

impl Slot {
    /// The peer has authenticated: it no longer counts against its address.
    pub(crate) fn proven(&mut self) {
        self.stranger = None;
        self.unproven = None;
    }
}

impl Drop for UnprovenSlot {
    fn drop(&mut self) {
        let mut counts = self
            .of
            .counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

/// Who shares a limit: one IPv4 address, or one IPv6 /64, which is what one customer gets.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (!0 << 64))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(connections: usize, connections_per_address: usize) -> Slots {
        let limits = Limits {
            connections,
            connections_per_partner: 1,
            connections_per_address,
            attempts_per_minute: 1000,
            stanza_bytes: 10_000,
            pairs_per_stream: 1,
            minimum_rate: 1,
        };
        Slots::new(Side::Federation, &limits)
    }

    fn take(slots: &Slots, address: &str) -> Result<Slot, TurnedAway> {
        let mut slot = slots.take()?;
        slots.count(&mut slot, address.parse().unwrap())?;
        Ok(slot)
    }

    #[test]
    fn dos_01_one_address_cannot_take_all_places_without_authenticating() {
        let slots = slots(200, 20);
        let stranger = "192.0.2.1";
        let mut held: Vec<Slot> = (0..20).map(|_| take(&slots, stranger).unwrap()).collect();
        assert_eq!(take(&slots, stranger).unwrap_err(), TurnedAway::Address);
        assert!(take(&slots, "192.0.2.2").is_ok());
        for slot in &mut held {
            slot.proven();
        }
        assert!(take(&slots, stranger).is_ok());
    }

    #[test]
    fn dos_01_strangers_leave_half_of_the_places() {
        let slots = slots(4, 10);
        let held: Vec<_> = (1..=4)
            .filter_map(|n| take(&slots, &format!("192.0.2.{n}")).ok())
            .collect();
        assert_eq!(held.len(), 2);
        assert_eq!(take(&slots, "192.0.2.9").unwrap_err(), TurnedAway::Full);
        assert!(slots.take_own().is_some());
    }

    #[test]
    fn a_closed_connection_gives_its_place_back() {
        let slots = slots(1, 1);
        let slot = take(&slots, "2001:db8::1").unwrap();
        assert!(take(&slots, "2001:db8::1").is_err());
        drop(slot);
        assert!(take(&slots, "2001:db8::1").is_ok());
        assert_eq!(slots.unproven.counts.lock().unwrap().len(), 0);
    }

    #[test]
    fn dos_01_ipv6_neighbours_share_a_limit() {
        assert_eq!(
            network("2001:db8::1".parse().unwrap()),
            network("2001:db8::ffff".parse().unwrap())
        );
        assert_ne!(
            network("2001:db8:0:1::1".parse().unwrap()),
            network("2001:db8::1".parse().unwrap())
        );
        assert_eq!(
            network("::ffff:192.0.2.1".parse().unwrap()),
            "192.0.2.1".parse::<IpAddr>().unwrap()
        );
    }
}
