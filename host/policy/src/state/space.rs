//! One plugin's keys in memory: limits, expiry, and what has not been written yet.
//!
//! In: changes with the current time. Out: answers, and on demand the changes since the last write.
//! Fails only on limits, and then changes nothing. Knows no disk and no lock.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use super::{MAX_KEY, MAX_VALUE, Millis, Share, StateError};

/// A value and when it is forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) value: Arc<[u8]>,
    pub(super) expires: Option<Millis>,
}

/// A key and what became of it: its entry, or none if it was deleted.
pub(super) type Change = (Arc<str>, Option<Entry>);

#[derive(Debug, Default)]
pub(super) struct Space {
    entries: BTreeMap<Arc<str>, Entry>,
    /// The same keys by the time they expire, those that do.
    expiring: BTreeSet<(Millis, Arc<str>)>,
    bytes: usize,
    dirty: BTreeSet<Arc<str>>,
}

impl Space {
    /// Takes an entry that was read from disk: no limit applies, nothing becomes dirty.
    pub(super) fn restore(&mut self, key: &str, entry: Entry) {
        self.store(Arc::from(key), entry);
    }

    pub(super) fn get(&self, key: &str, now: Millis) -> Option<Vec<u8>> {
        self.live(key, now).map(|entry| entry.value.to_vec())
    }

    pub(super) fn holds(&self, key: &str, now: Millis) -> bool {
        self.live(key, now).is_some()
    }

    pub(super) fn put(
        &mut self,
        key: &str,
        value: &[u8],
        expires: Option<Millis>,
        now: Millis,
        share: Share,
    ) -> Result<(), StateError> {
        check_key(key)?;
        if value.len() > MAX_VALUE {
            return Err(StateError::ValueTooLarge(value.len()));
        }
        if !self.fits(key, value.len(), share) {
            self.sweep(now);
            if !self.fits(key, value.len(), share) {
                return Err(StateError::Full(share));
            }
        }
        let key: Arc<str> = Arc::from(key);
        self.store(
            Arc::clone(&key),
            Entry {
                value: Arc::from(value),
                expires,
            },
        );
        self.dirty.insert(key);
        Ok(())
    }

    /// See [`super::State::increment`].
    pub(super) fn add(
        &mut self,
        key: &str,
        by: i64,
        expires: Option<Millis>,
        now: Millis,
        share: Share,
    ) -> Result<i64, StateError> {
        let (sum, expires) = match self.live(key, now) {
            None => (by, expires),
            Some(entry) => {
                let bytes: [u8; 8] = (*entry.value)
                    .try_into()
                    .map_err(|_| StateError::NotACounter(entry.value.len()))?;
                (i64::from_be_bytes(bytes).saturating_add(by), entry.expires)
            }
        };
        self.put(key, &sum.to_be_bytes(), expires, now, share)?;
        Ok(sum)
    }

    /// Whether there was something that had not expired.
    pub(super) fn remove(&mut self, key: &str, now: Millis) -> bool {
        let live = self.holds(key, now);
        self.forget(key);
        live
    }

    pub(super) fn keys(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
        now: Millis,
    ) -> Vec<String> {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        self.entries
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .filter(|(_, entry)| entry.is_live(now))
            .take(limit)
            .map(|(key, _)| key.to_string())
            .collect()
    }

    /// Forgets what has expired.
    pub(super) fn sweep(&mut self, now: Millis) {
        while let Some((at, key)) = self.expiring.first() {
            if *at > now {
                break;
            }
            let key = Arc::clone(key);
            self.forget(&key);
        }
    }

    pub(super) fn used(&self) -> Share {
        Share {
            bytes: self.bytes,
            keys: self.entries.len(),
        }
    }

    pub(super) fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// The changes since the last call.
    pub(super) fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.dirty)
            .into_iter()
            .map(|key| {
                let entry = self.entries.get(&key).cloned();
                (key, entry)
            })
            .collect()
    }

    /// Says that these keys did not reach the disk after all.
    pub(super) fn put_back(&mut self, changes: Vec<Change>) {
        self.dirty.extend(changes.into_iter().map(|(key, _)| key));
    }

    fn live(&self, key: &str, now: Millis) -> Option<&Entry> {
        self.entries.get(key).filter(|entry| entry.is_live(now))
    }

    /// Whether the share holds with this value under this key. What makes nothing larger always fits:
    /// a share that was cut must not keep a plugin from going on with what it has.
    fn fits(&self, key: &str, value: usize, share: Share) -> bool {
        let (old, fresh) = match self.entries.get(key) {
            Some(entry) => (size(key, entry), 0),
            None => (0, 1),
        };
        let new = key.len() + value;
        (new <= old || self.bytes - old + new <= share.bytes)
            && (fresh == 0 || self.entries.len() < share.keys)
    }

    fn store(&mut self, key: Arc<str>, entry: Entry) {
        self.unlink(&key);
        self.bytes += size(&key, &entry);
        if let Some(at) = entry.expires {
            self.expiring.insert((at, Arc::clone(&key)));
        }
        self.entries.insert(key, entry);
    }

    fn forget(&mut self, key: &str) {
        if let Some(key) = self.unlink(key) {
            self.dirty.insert(key);
        }
    }

    fn unlink(&mut self, key: &str) -> Option<Arc<str>> {
        let (key, entry) = self.entries.remove_entry(key)?;
        self.bytes -= size(&key, &entry);
        if let Some(at) = entry.expires {
            self.expiring.remove(&(at, Arc::clone(&key)));
        }
        Some(key)
    }
}

impl Entry {
    fn is_live(&self, now: Millis) -> bool {
        self.expires.is_none_or(|at| at > now)
    }
}

/// A key that is too long can be in no store, and must not be compared with all of one.
pub(super) fn check_key(key: &str) -> Result<(), StateError> {
    if key.len() > MAX_KEY {
        return Err(StateError::KeyTooLarge(key.len()));
    }
    Ok(())
}

fn size(key: &str, entry: &Entry) -> usize {
    key.len() + entry.value.len()
}
