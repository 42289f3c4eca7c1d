//! Which public keys partners have shown: who sits between us and a partner with a certificate that
//! some authority issued in error is seen by the new key (RFC 7590 §3.6).
//!
//! In: the chain of each stream whose peer is proven. Out: the fingerprints before, if the key is a
//! new one. Bounded, and forgotten when the gateway ends. A renewal that keeps the key is no news.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use lru::LruCache;
use portcullis_xmpp::jid::Domain;

use crate::tls::{Fingerprint, PeerChain};

/// Partners that are remembered; the one that was not seen for longest is forgotten first.
const PARTNERS: NonZeroUsize = NonZeroUsize::new(4096).unwrap();
/// Keys of one partner: the nodes of a cluster may have one each.
const KEYS: usize = 8;

/// See the module.
#[derive(Debug)]
pub(crate) struct KeyMemory(Mutex<LruCache<Domain, VecDeque<Fingerprint>>>);

impl Default for KeyMemory {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(PARTNERS)))
    }
}

/// A partner has shown a key that it has not shown before.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NewKey {
    /// The one that it showed last.
    pub(crate) before: Fingerprint,
    pub(crate) now: Fingerprint,
}

impl KeyMemory {
    /// Remembers the key of the chain; tells if this partner had others and never this one.
    pub(crate) fn meet(&self, partner: &Domain, chain: &PeerChain) -> Option<NewKey> {
        let now = chain.key()?;
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = memory.get_or_insert_mut(partner.clone(), || VecDeque::with_capacity(1));
        let known = keys.iter().position(|key| *key == now);
        let before = keys.back().copied();
        if let Some(at) = known {
            keys.remove(at);
        }
        keys.push_back(now);
        if keys.len() > KEYS {
            keys.pop_front();
        }
        match (known, before) {
            (None, Some(before)) => Some(NewKey { before, now }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn chain(key: &KeyPair) -> PeerChain {
        let params = CertificateParams::new(vec!["alpha.test".to_owned()]).unwrap();
        PeerChain::new(&[params.self_signed(key).unwrap().into()])
    }

    fn fingerprint(key: &KeyPair) -> Fingerprint {
        chain(key).key().unwrap()
    }

    #[test]
    fn v22_a_key_that_a_partner_did_not_have_before_is_told_once() {
        let memory = KeyMemory::default();
        let [alpha, beta] = ["alpha.test", "beta.test"].map(|name| Domain::parse(name).unwrap());
        let (first, second) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        assert_eq!(memory.meet(&alpha, &chain(&first)), None);
        assert_eq!(memory.meet(&alpha, &chain(&first)), None, "renewed");
        assert_eq!(memory.meet(&beta, &chain(&second)), None, "somebody else");
        let new = NewKey {
            before: fingerprint(&first),
            now: fingerprint(&second),
        };
        assert_eq!(memory.meet(&alpha, &chain(&second)), Some(new));
        for key in [&first, &second, &first] {
            assert_eq!(memory.meet(&alpha, &chain(key)), None, "a cluster of two");
        }
        assert_eq!(memory.meet(&alpha, &PeerChain::default()), None);
    }

    #[test]
    fn the_keys_of_one_partner_are_bounded_and_the_oldest_is_forgotten() {
        let memory = KeyMemory::default();
        let alpha = Domain::parse("alpha.test").unwrap();
        let keys: Vec<_> = (0..=KEYS).map(|_| KeyPair::generate().unwrap()).collect();
        for key in &keys {
            memory.meet(&alpha, &chain(key));
        }
        assert_eq!(memory.meet(&alpha, &chain(keys.last().unwrap())), None);
        let again = memory.meet(&alpha, &chain(keys.first().unwrap()));
        assert!(again.is_some());
    }
}
