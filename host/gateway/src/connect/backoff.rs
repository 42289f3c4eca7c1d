//! How long to leave a peer alone that could not be reached (DNS-06, V16).

use std::time::{Duration, Instant};

use super::random::below;

/// After the first failure: long enough that a queue of stanzas makes one attempt, short enough
/// that nobody notices a restart.
const FIRST: Duration = Duration::from_secs(1);

/// Truncated exponential backoff with jitter, for one pair of domains. Not shared; no clock inside.
#[derive(Clone, Debug)]
pub struct Backoff {
    cap: Duration,
    failures: u32,
    until: Option<Instant>,
}

impl Backoff {
    /// Waits are never longer than `cap`.
    #[must_use]
    pub fn new(cap: Duration) -> Self {
        Self {
            cap,
            failures: 0,
            until: None,
        }
    }

    /// Notes a failure and says how long to wait: between half and all of 1 s, 2 s, 4 s, … `cap`.
    pub fn failed(&mut self, now: Instant) -> Duration {
        let full = FIRST
            .saturating_mul(2_u32.saturating_pow(self.failures))
            .min(self.cap);
        self.failures = self.failures.saturating_add(1);
        let half = full / 2;
        let spread = u32::try_from((full - half).as_millis()).unwrap_or(u32::MAX);
        let wait = half + Duration::from_millis(below(spread).into());
        self.until = Some(now + wait);
        wait
    }

    /// Forgets all failures: an authenticated stream stood.
    pub fn succeeded(&mut self) {
        self.failures = 0;
        self.until = None;
    }

    /// How long no attempt is due yet; `None` if one may be made.
    #[must_use]
    pub fn remaining(&self, now: Instant) -> Option<Duration> {
        self.until?
            .checked_duration_since(now)
            .filter(|left| !left.is_zero())
    }

    /// Failures in a row.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAP: Duration = Duration::from_secs(60);

    #[test]
    fn dns_06_waits_grow_with_jitter_and_stay_below_the_cap() {
        let now = Instant::now();
        let mut backoff = Backoff::new(CAP);
        for full in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
            let full = Duration::from_secs(full);
            let wait = backoff.failed(now);
            assert!(wait >= full / 2 && wait <= full, "{wait:?} for {full:?}");
        }
        for _ in 0..100 {
            assert!(backoff.failed(now) <= CAP);
        }
    }

    #[test]
    fn an_attempt_is_due_when_the_wait_is_over_and_at_once_after_success() {
        let now = Instant::now();
        let mut backoff = Backoff::new(CAP);
        assert_eq!(backoff.remaining(now), None);
        let wait = backoff.failed(now);
        assert_eq!(backoff.remaining(now), Some(wait));
        assert_eq!(backoff.remaining(now + wait), None);
        backoff.failed(now);
        backoff.succeeded();
        assert_eq!(backoff.remaining(now), None);
        assert_eq!(backoff.failures(), 0);
    }
}
