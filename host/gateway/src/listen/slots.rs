//! How many connections there may be.
//!
//! Three limits hold from the moment a connection is accepted: so many in all on this side, half of
//! them without having authenticated, and so many of these from one address. What is beyond is
//! closed without a word (RFC 6120 §13.12: no XMPP error at that layer).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// One side's connection slots.
#[derive(Debug)]
pub(crate) struct Slots {
    total: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
    unproven: Arc<Unproven>,
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
    unproven: Option<UnprovenSlot>,
}

#[derive(Debug)]
struct UnprovenSlot {
    _stranger: OwnedSemaphorePermit,
    of: Arc<Unproven>,
    address: IpAddr,
}

impl Slots {
    /// `total` connections, of which strangers may have half and one address a tenth: whoever has
    /// not authenticated must not be able to take all places, and a partner with several servers
    /// behind one address must get in.
    pub(crate) fn new(total: usize) -> Self {
        let per_address = (total / 10).max(10);
        let unproven = Arc::new(Unproven {
            per_address,
            counts: Mutex::new(HashMap::new()),
        });
        Self {
            total: Arc::new(Semaphore::new(total)),
            strangers: Arc::new(Semaphore::new(total.div_ceil(2))),
            unproven,
        }
    }

    /// A slot for a stream that the gateway opens itself, or none if all are taken.
    pub(crate) fn take_own(&self) -> Option<Slot> {
        let total = Arc::clone(&self.total).try_acquire_owned().ok()?;
        Some(Slot {
            _total: total,
            unproven: None,
        })
    }

    /// A slot, or none if there is none left for this address.
    pub(crate) fn take(&self, address: IpAddr) -> Option<Slot> {
        let total = Arc::clone(&self.total).try_acquire_owned().ok()?;
        let stranger = Arc::clone(&self.strangers).try_acquire_owned().ok()?;
        let address = network(address);
        let mut counts = self
            .unproven
            .counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        if *count >= self.unproven.per_address {
            return None;
        }
        *count += 1;
        let unproven = UnprovenSlot {
            _stranger: stranger,
            of: Arc::clone(&self.unproven),
            address,
        };
        Some(Slot {
            _total: total,
            unproven: Some(unproven),
        })
    }
}

impl Slot {
    /// The peer has authenticated: it no longer counts against its address.
    pub(crate) fn proven(&mut self) {
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

    #[test]
    fn one_address_cannot_take_all_places_without_authenticating() {
        let slots = Slots::new(200);
        let stranger: IpAddr = "192.0.2.1".parse().unwrap();
        let mut held: Vec<Slot> = (0..20).map(|_| slots.take(stranger).unwrap()).collect();
        assert!(slots.take(stranger).is_none());
        assert!(slots.take("192.0.2.2".parse().unwrap()).is_some());
        for slot in &mut held {
            slot.proven();
        }
        assert!(slots.take(stranger).is_some());
    }

    #[test]
    fn strangers_leave_half_of_the_places() {
        let slots = Slots::new(4);
        let held: Vec<_> = (1..=4u8)
            .filter_map(|n| slots.take([192, 0, 2, n].into()))
            .collect();
        assert_eq!(held.len(), 2);
        assert!(slots.take_own().is_some());
    }

    #[test]
    fn a_closed_connection_gives_its_place_back() {
        let slots = Slots::new(1);
        let address: IpAddr = "2001:db8::1".parse().unwrap();
        let slot = slots.take(address).unwrap();
        assert!(slots.take(address).is_none());
        drop(slot);
        assert!(slots.take(address).is_some());
        assert_eq!(slots.unproven.counts.lock().unwrap().len(), 0);
    }

    #[test]
    fn ipv6_neighbours_share_a_limit() {
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
