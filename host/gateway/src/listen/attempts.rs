//! How often an address may connect.
//!
//! In: each new connection's address. Out: whether it is within `attempts_per_minute`, of which all
//! may come at once (a server that starts again opens all its streams) and then one as often as the
//! minute has room for. One attempt that is refused costs nothing, so a peer that goes on gets its
//! share. The table is bounded: beyond [`MOST`] addresses the one that was seen longest ago is
//! forgotten, so that a flood from many addresses refuses nobody else.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lru::LruCache;
use tokio::time::Instant;

/// About two megabytes.
const MOST: NonZeroUsize = NonZeroUsize::new(16_384).unwrap();
const MINUTE: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Debug)]
pub(crate) struct Attempts {
    /// Between two attempts that go on for ever.
    interval: Duration,
    /// When all attempts of an address are made up for.
    even: Mutex<LruCache<IpAddr, Instant>>,
}

impl Attempts {
    /// None of zero attempts would be left: the least is one.
    pub(crate) fn new(per_minute: u32) -> Self {
        Self {
            interval: MINUTE / per_minute.max(1),
            even: Mutex::new(LruCache::new(MOST)),
        }
    }

    /// Counts an attempt of this network, if there is one left.
    pub(super) fn admit(&self, network: IpAddr, now: Instant) -> bool {
        let mut even = self.even.lock().unwrap_or_else(PoisonError::into_inner);
        let at = even.get_or_insert_mut(network, || now);
        let next = (*at).max(now) + self.interval;
        let within = next <= now + MINUTE;
        if within {
            *at = next;
        }
        within
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dos_01_attempts_of_an_address_are_counted_over_a_minute() {
        let attempts = Attempts::new(3);
        let (one, other) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        let start = Instant::now();
        let made = |address, after| attempts.admit(address, start + Duration::from_secs(after));
        assert!(made(one, 0) && made(one, 0) && made(one, 0));
        assert!(!made(one, 0) && !made(one, 19));
        assert!(made(other, 19));
        // A third of a minute makes one up.
        assert!(made(one, 20) && !made(one, 20));
        assert!(made(one, 140) && made(one, 140) && made(one, 140) && !made(one, 140));
    }

    #[test]
    fn dos_01_the_table_of_attempts_is_bounded() {
        let attempts = Attempts::new(1);
        let now = Instant::now();
        for n in 0..100_000_u32 {
            assert!(attempts.admit(IpAddr::from(n.to_be_bytes()), now));
        }
        assert_eq!(attempts.even.lock().unwrap().len(), MOST.get());
    }
}
