//! Chains that were found good, so that who comes again with the same one is not worked out again.
//!
//! In: a chain, what is believed, and the moment. Out: the names that the chain proves: as they were found
//! before if nothing has changed since, or else found now. What can fail is the chain ([`Unproven`]).
//!
//! Why an answer from memory is the one that judging anew would give. Path building is a function of the
//! certificates that were shown and their order, the anchors, the revocation lists with what doubt means,
//! and of which certificates and lists are valid at the moment; nothing else goes in. Here
//! - the certificates are compared by SHA-256 over all of them, with their lengths: the same digest that
//!   pins rest on;
//! - anchors and lists are compared as the very objects that were loaded. They are never changed, only
//!   replaced, and what is remembered keeps them alive, so that no other takes their place in memory.
//!   Whatever replaces one, a reload or a new list, makes everything unknown;
//! - an answer stands from the moment at which it was found until the next at which any certificate of the
//!   chain begins or ends, or a list ends on which that depends. A clock that was set back asks anew, and a
//!   chain in which one certificate does not say when it is valid is never remembered.
//!
//! Only what was found good is remembered, so strangers fill no memory. What is *not* skipped: that the
//! peer holds the key is proven in each handshake, whether the names are those of the domain is asked each
//! time, and so are pins, DANE and POSH, which are not of this.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lru::LruCache;
use portcullis_xmpp::identity::Names;
use rustls::RootCertStore;
use rustls::pki_types::UnixTime;
use time::OffsetDateTime;

use super::said::Said;
use super::{PeerChain, Revocations, Side, Trust, Unproven};

/// Chains that are remembered; the one that was not seen for longest is forgotten first. Some hundred
/// bytes each.
const CHAINS: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

/// What is believed at one moment.
#[derive(Clone, Debug)]
pub(super) struct Beliefs {
    pub(super) trust: Arc<Trust>,
    pub(super) revocations: Arc<Revocations>,
}

impl Beliefs {
    fn are(&self, others: &Self) -> bool {
        Arc::ptr_eq(&self.trust, &others.trust)
            && Arc::ptr_eq(&self.revocations, &others.revocations)
    }
}

/// What a chain is judged by: one set of anchors of the beliefs, and the lists of a side.
#[derive(Clone, Copy)]
pub(super) struct Measure<'b> {
    pub(super) beliefs: &'b Beliefs,
    pub(super) anchors: &'b RootCertStore,
    pub(super) side: Side,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<Option<Memory>>);

/// What was found under the same beliefs.
#[derive(Debug)]
struct Memory {
    beliefs: Beliefs,
    good: LruCache<Key, Good>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    /// The place of the anchors, which the beliefs own.
    anchors: usize,
    side: Side,
    chain: [u8; 32],
}

#[derive(Debug)]
struct Good {
    names: Arc<Names>,
    said: Arc<Said>,
    from: OffsetDateTime,
    until: OffsetDateTime,
}

impl Known {
    /// For whom the chain speaks by this measure, at this moment.
    pub(super) fn names(
        &self,
        measure: Measure<'_>,
        chain: &PeerChain,
        now: OffsetDateTime,
    ) -> Result<Arc<Names>, Unproven> {
        if let Some(names) = self.recall(measure, chain, now) {
            return Ok(names);
        }
        let lists = measure.beliefs.revocations.of(measure.side);
        let names = Arc::new(chain.names(measure.anchors, lists, seconds(now))?);
        self.remember(measure, chain, now, &names);
        Ok(names)
    }

    /// What is known of it.
    fn recall(
        &self,
        measure: Measure<'_>,
        chain: &PeerChain,
        now: OffsetDateTime,
    ) -> Option<Arc<Names>> {
        let key = Key::of(measure, chain)?;
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let memory = memory.as_mut()?;
        if !memory.beliefs.are(measure.beliefs) {
            return None;
        }
        let good = memory.good.get(&key)?;
        if !(good.from..good.until).contains(&now) {
            return None;
        }
        chain.reuse(&good.said);
        Some(Arc::clone(&good.names))
    }

    /// Remembers what was found.
    fn remember(
        &self,
        measure: Measure<'_>,
        chain: &PeerChain,
        now: OffsetDateTime,
        names: &Arc<Names>,
    ) {
        let lists = measure.beliefs.revocations.of(measure.side);
        let (Some(key), Some(turn)) = (Key::of(measure, chain), chain.said().next_turn(now)) else {
            return;
        };
        let good = Good {
            names: Arc::clone(names),
            said: Arc::clone(chain.said()),
            from: now,
            until: lists.next_expiry(now).map_or(turn, |end| end.min(turn)),
        };
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let memory = match &mut *memory {
            Some(memory) if memory.beliefs.are(measure.beliefs) => memory,
            other => other.insert(Memory {
                beliefs: measure.beliefs.clone(),
                good: LruCache::new(CHAINS),
            }),
        };
        memory.good.put(key, good);
    }
}

/// The second that it is: no certificate is more exact.
fn seconds(now: OffsetDateTime) -> UnixTime {
    let seconds = u64::try_from(now.unix_timestamp()).unwrap_or_default();
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

impl Key {
    fn of(measure: Measure<'_>, chain: &PeerChain) -> Option<Self> {
        Some(Self {
            anchors: std::ptr::from_ref(measure.anchors).addr(),
            side: measure.side,
            chain: chain.digest()?,
        })
    }
}
