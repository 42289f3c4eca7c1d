//! Verdicts that a filter declared to depend on kind, direction and the two domains alone.
//!
//! One memo per plugin and generation, so both are part of the key by construction. Bounded; the
//! least recently used goes first. Only verdicts without edits get in.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use lru::LruCache;
use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::stanza::{Direction, Kind, Stanza};

use crate::bindings::portcullis::policy::types::Rejection;

/// A few thousand partners, both directions, three kinds; about 1 MiB.
const ENTRIES: NonZeroUsize = NonZeroUsize::new(8192).unwrap();

/// A verdict that touched nothing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Remembered {
    Pass,
    Reject(Rejection),
    Drop(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    direction: Direction,
    kind: Kind,
    from: Domain,
    to: Domain,
}

impl Key {
    pub(crate) fn of(stanza: &Stanza, direction: Direction) -> Self {
        Self {
            direction,
            kind: stanza.kind(),
            from: stanza.from().domain().clone(),
            to: stanza.to().domain().clone(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Memo {
    lifetime: Duration,
    entries: Mutex<LruCache<Key, (Instant, Remembered)>>,
}

impl Memo {
    pub(crate) fn new(lifetime: Duration) -> Self {
        Self {
            lifetime,
            entries: Mutex::new(LruCache::new(ENTRIES)),
        }
    }

    pub(crate) fn recall(&self, key: &Key, now: Instant) -> Option<Remembered> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        match entries.get(key) {
            Some((until, verdict)) if now < *until => Some(verdict.clone()),
            _ => None,
        }
    }

    pub(crate) fn remember(&self, key: Key, verdict: Remembered, now: Instant) {
        // A lifetime that no clock can hold is one that never ends: then nothing is remembered
        // rather than something wrong.
        let Some(until) = now.checked_add(self.lifetime) else {
            return;
        };
        self.entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .put(key, (until, verdict));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(from: &str, kind: Kind) -> Key {
        let (from, to) = (
            Domain::parse(from).unwrap(),
            Domain::parse("org.test").unwrap(),
        );
        Key {
            direction: Direction::Inbound,
            kind,
            from,
            to,
        }
    }

    #[test]
    fn a_verdict_is_recalled_for_its_lifetime_and_its_key_only() {
        let (memo, now) = (Memo::new(Duration::from_secs(10)), Instant::now());
        memo.remember(key("alpha.test", Kind::Message), Remembered::Pass, now);
        let recall =
            |from, kind, after| memo.recall(&key(from, kind), now + Duration::from_secs(after));
        assert_eq!(
            recall("alpha.test", Kind::Message, 9),
            Some(Remembered::Pass)
        );
        assert_eq!(recall("alpha.test", Kind::Message, 10), None);
        assert_eq!(recall("alpha.test", Kind::Iq, 0), None);
        assert_eq!(recall("beta.test", Kind::Message, 0), None);
    }

    #[test]
    fn it_is_bounded() {
        let (memo, now) = (Memo::new(Duration::from_secs(10)), Instant::now());
        for number in 0..ENTRIES.get() + 1 {
            memo.remember(
                key(&format!("p{number}.test"), Kind::Message),
                Remembered::Pass,
                now,
            );
        }
        assert_eq!(memo.recall(&key("p0.test", Kind::Message), now), None);
        assert_eq!(
            memo.recall(&key("p1.test", Kind::Message), now),
            Some(Remembered::Pass)
        );
    }
}
