//! How fast a partner may send, and be sent to.
//!
//! In: each stanza's size, at its time. Out: whether it goes on at once, after a pause, or not at all
//! ([`Pace`]). One bucket for each partner's record and direction, whatever number of streams it has;
//! a bucket holds what flows in [`BURST`] at the agreed rate. Beyond it a stanza waits for its turn
//! while its stream is not read, which the sender notices as a slow connection; where that would
//! take too long, or has gone on for too long, stanzas beyond the rate are refused, and those within
//! it still pass. The table is bounded by the records that have a rate: a full bucket is as good as
//! none and is forgotten.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::stanza::Direction;
use tokio::time::Instant;

use crate::config::{Partner, Rate};

/// What a bucket holds. A server that comes back sends the presence of all its users in one burst.
const BURST: Duration = Duration::from_secs(10);
/// The longest that one stanza waits for its turn: the time that a queue may stand still, too.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a partner may be slowed down before what is too much is refused: a user is better told
/// than left with a message that is minutes late.
const PERSISTENT: Duration = Duration::from_secs(30);
/// The most that one stanza costs: with the smallest rate and the largest stanza it would be half
/// a year, which no clock needs to count.
const LONGEST: Duration = Duration::from_secs(3600);
/// Buckets beyond which full ones are looked for.
const TIDY: usize = 1024;

/// What becomes of a stanza.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// It goes on.
    Free,
    /// It goes on after this pause.
    Wait(Duration),
    /// It is too much; after this pause the next one may be read.
    Refuse(Duration),
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Buckets(Mutex<HashMap<(Domain, Direction), Bucket>>);

#[derive(Debug)]
struct Bucket {
    rate: Rate,
    /// When all stanzas, and all bytes, that were let through are paid for at the agreed rate.
    stanzas: Instant,
    bytes: Instant,
    /// Since when stanzas have had to wait.
    crowded: Option<Instant>,
}

impl Buckets {
    /// Asks for the passage of a stanza of so many bytes. A record whose rate has changed has a
    /// fresh bucket; others keep theirs through every reload.
    pub(crate) fn ask(
        &self,
        partner: &Partner,
        direction: Direction,
        bytes: usize,
        now: impl FnOnce() -> Instant,
    ) -> Pace {
        let rate = match direction {
            Direction::Inbound => partner.rate_in,
            Direction::Outbound => partner.rate_out,
        };
        if rate == Rate::default() {
            return Pace::Free;
        }
        let now = now();
        let key = (partner.domain.clone(), direction);
        let mut buckets = self.lock();
        if buckets.len() >= TIDY && !buckets.contains_key(&key) {
            buckets.retain(|_, bucket| !bucket.is_full(now));
        }
        let bucket = buckets.entry(key).or_insert_with(|| Bucket::new(rate, now));
        if bucket.rate != rate {
            *bucket = Bucket::new(rate, now);
        }
        bucket.ask(bytes, now)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(Domain, Direction), Bucket>> {
        // The lock's sections only set whole values.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bucket {
    fn new(rate: Rate, now: Instant) -> Self {
        Self {
            rate,
            stanzas: now,
            bytes: now,
            crowded: None,
        }
    }

    fn ask(&mut self, bytes: usize, now: Instant) -> Pace {
        let ahead = self.ahead(now);
        if ahead <= BURST / 2 {
            self.crowded = None;
        }
        let wait = ahead.saturating_sub(BURST);
        if wait.is_zero() {
            self.charge(bytes, now);
            return Pace::Free;
        }
        let since = *self.crowded.get_or_insert(now);
        if wait > PATIENCE || now.saturating_duration_since(since) >= PERSISTENT {
            return Pace::Refuse(wait.min(PATIENCE));
        }
        self.charge(bytes, now);
        Pace::Wait(wait)
    }

    /// How far what was let through is ahead of the agreed rate.
    fn ahead(&self, now: Instant) -> Duration {
        self.stanzas.max(self.bytes).saturating_duration_since(now)
    }

    fn charge(&mut self, bytes: usize, now: Instant) {
        if let Some(stanzas) = self.rate.stanzas {
            let cost = Duration::from_secs(1) / stanzas.max(1);
            self.stanzas = self.stanzas.max(now) + cost;
        }
        if let Some(rate) = self.rate.bytes {
            let nanoseconds = 1_000_000_000 * u128::try_from(bytes).unwrap_or(u128::MAX >> 64)
                / u128::from(rate.max(1));
            let cost = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
            self.bytes = self.bytes.max(now) + cost.min(LONGEST);
        }
    }

    fn is_full(&self, now: Instant) -> bool {
        self.ahead(now).is_zero()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policing::tests::record;

    fn partner(rate_in: Rate) -> Partner {
        Partner {
            rate_in,
            ..record()
        }
    }

    fn stanzas(stanzas: u32) -> Partner {
        partner(Rate {
            stanzas: Some(stanzas),
            bytes: None,
        })
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Asks for one small inbound stanza.
    fn ask(buckets: &Buckets, partner: &Partner, now: Instant) -> Pace {
        buckets.ask(partner, Direction::Inbound, 100, || now)
    }

    #[test]
    fn a_burst_passes_and_what_follows_waits_for_its_turn() {
        let (buckets, partner, now) = (Buckets::default(), stanzas(2), Instant::now());
        // What the bucket holds, and the one that empties it.
        for nth in 0..=20 {
            assert_eq!(ask(&buckets, &partner, now), Pace::Free, "{nth}");
        }
        for half_seconds in 1..=10 {
            let wait = seconds(half_seconds) / 2;
            assert_eq!(ask(&buckets, &partner, now), Pace::Wait(wait));
        }
        assert_eq!(ask(&buckets, &partner, now), Pace::Refuse(PATIENCE));
    }

    #[test]
    fn a_partner_within_its_rate_never_waits() {
        let (buckets, partner, began) = (Buckets::default(), stanzas(2), Instant::now());
        for nth in 0..1000 {
            let now = began + seconds(nth) / 2;
            assert_eq!(ask(&buckets, &partner, now), Pace::Free, "{nth}");
        }
    }

    #[test]
    fn dos_01_persistent_excess_is_refused_and_what_is_within_the_rate_passes() {
        let (buckets, partner, began) = (Buckets::default(), stanzas(2), Instant::now());
        // One stream that has always more to send and obeys each pause.
        let (mut now, mut passed, mut refused) = (began, 0, 0);
        while now < began + seconds(100) {
            match ask(&buckets, &partner, now) {
                Pace::Free => passed += 1,
                Pace::Wait(pause) => {
                    assert!(now < began + PERSISTENT);
                    passed += 1;
                    now += pause;
                }
                Pace::Refuse(pause) => {
                    assert!(now >= began + PERSISTENT);
                    refused += 1;
                    now += pause;
                }
            }
        }
        // Two each second, and the burst.
        assert!((215..=225).contains(&passed), "{passed}");
        assert!((130..=145).contains(&refused), "{refused}");
        // Once it has calmed down, it is slowed down first again.
        now += seconds(20);
        for _ in 0..=20 {
            assert_eq!(ask(&buckets, &partner, now), Pace::Free);
        }
        assert!(matches!(ask(&buckets, &partner, now), Pace::Wait(_)));
    }

    #[test]
    fn a_large_stanza_passes_and_those_behind_it_pay() {
        let buckets = Buckets::default();
        let partner = partner(Rate {
            stanzas: None,
            bytes: Some(1000),
        });
        let now = Instant::now();
        let ask = |bytes, now| buckets.ask(&partner, Direction::Inbound, bytes, || now);
        assert_eq!(ask(30_000, now), Pace::Free);
        assert_eq!(ask(100, now), Pace::Refuse(PATIENCE));
        assert_eq!(ask(100, now + seconds(17)), Pace::Wait(seconds(3)));
        assert_eq!(ask(100, now + seconds(31)), Pace::Free);
    }

    #[test]
    fn the_directions_have_a_bucket_each_and_a_record_without_rate_has_none() {
        let (buckets, now) = (Buckets::default(), Instant::now());
        let partner = Partner {
            rate_out: Rate::default(),
            ..stanzas(1)
        };
        for _ in 0..100 {
            let _ = ask(&buckets, &partner, now);
            let pace = buckets.ask(&partner, Direction::Outbound, 100, || now);
            assert_eq!(pace, Pace::Free);
        }
        assert!(matches!(ask(&buckets, &partner, now), Pace::Refuse(_)));
        assert_eq!(buckets.lock().len(), 1);
    }

    #[test]
    fn a_bucket_survives_a_reload_unless_its_rate_changes() {
        let (buckets, now) = (Buckets::default(), Instant::now());
        for _ in 0..100 {
            let _ = ask(&buckets, &stanzas(1), now);
        }
        let redescribed = Partner {
            description: Some("ask somebody else".to_owned()),
            ..stanzas(1)
        };
        assert!(matches!(ask(&buckets, &redescribed, now), Pace::Refuse(_)));
        assert_eq!(ask(&buckets, &stanzas(5), now), Pace::Free);
    }

    #[test]
    fn full_buckets_are_forgotten() {
        let (buckets, now) = (Buckets::default(), Instant::now());
        for nth in 0..TIDY {
            let partner = Partner {
                domain: Domain::parse(&format!("p{nth}.test")).unwrap(),
                ..stanzas(1)
            };
            assert_eq!(ask(&buckets, &partner, now), Pace::Free);
        }
        let later = now + seconds(60);
        assert_eq!(ask(&buckets, &stanzas(1), later), Pace::Free);
        assert_eq!(buckets.lock().len(), 1);
    }
}
