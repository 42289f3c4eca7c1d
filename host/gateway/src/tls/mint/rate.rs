//! How many new names one internal server may have minted.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use lru::LruCache;

/// One new partner a second: far above what people cause, far below what would hurt.
const INTERVAL: Duration = Duration::from_secs(1);
/// After a restart every open partner is new at once.
const BURST: u32 = 300;
/// Organisations have a handful of internal servers; the least active is forgotten beyond this.
#[allow(clippy::unwrap_used, reason = "a constant that is not zero")]
const SERVERS: NonZeroUsize = NonZeroUsize::new(256).unwrap();

/// A leaky bucket per internal server, each kept as one instant: when it would be empty (GCRA).
#[derive(Debug)]
pub(super) struct Rates(LruCache<IpAddr, Instant>);

impl Rates {
    pub(super) fn new() -> Self {
        Self(LruCache::new(SERVERS))
    }

    /// Counts one new name for `server`; `false` if that is too many.
    pub(super) fn allow(&mut self, server: IpAddr, now: Instant) -> bool {
        let empty_at = self.0.get(&server).copied().unwrap_or(now).max(now);
        let allowed = empty_at.duration_since(now) < INTERVAL * BURST;
        if allowed {
            self.0.put(server, empty_at + INTERVAL);
        }
        allowed
    }
}
