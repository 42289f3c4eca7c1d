//! What a mock host knows and remembers.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Emitted, JournalError, Level};
use crate::PartnerType;
use crate::state::StateError;

/// The largest key in bytes (`wit/policy.wit`, interface `state`).
const KEY_BYTES: usize = 512;
/// The largest value in bytes (there too).
const VALUE_BYTES: usize = 64 * 1024;

#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) own: Vec<String>,
    pub(super) partners: BTreeMap<String, PartnerType>,
    pub(super) files: BTreeMap<String, Vec<u8>>,
    /// What the calendar said when the test began, since 1970.
    pub(super) began: Duration,
    /// How long the test has run.
    pub(super) now: Duration,
    pub(super) state_error: Option<StateError>,
    pub(super) journal: Vec<String>,
    pub(super) journal_error: Option<JournalError>,
    pub(super) log: Vec<(Level, String)>,
    pub(super) emitted: Vec<Emitted>,
    /// The plugin that is being asked has declared a memo.
    pub(super) memoised: bool,
    /// A plugin is being made.
    pub(super) making: bool,
    /// The plugin that was made last hears records alone.
    pub(super) records_only: bool,
    state: BTreeMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    value: Vec<u8>,
    ends: Option<Duration>,
}

impl World {
    #[expect(clippy::panic, reason = "as the gateway: it fails the plugin")]
    pub(super) fn hears_records_only(&mut self) {
        if !self.making {
            panic!("what is heard is said in `new`, and only there");
        }
        self.records_only = true;
    }

    pub(super) fn is_own(&self, domain: &str) -> bool {
        self.own.iter().any(|own| own == domain)
    }

    pub(super) fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.live(key).map(|entry| entry.value.clone())
    }

    pub(super) fn set(
        &mut self,
        key: &str,
        value: Vec<u8>,
        ttl: Option<u64>,
    ) -> Result<(), StateError> {
        if key.len() > KEY_BYTES || value.len() > VALUE_BYTES {
            return Err(StateError::TooLarge);
        }
        let ends = ttl.map(|millis| self.now + Duration::from_millis(millis));
        self.state.insert(key.to_owned(), Entry { value, ends });
        Ok(())
    }

    pub(super) fn increment(
        &mut self,
        key: &str,
        by: i64,
        ttl: Option<u64>,
    ) -> Result<i64, StateError> {
        let old = self
            .live(key)
            .map(|entry| (number(&entry.value), entry.ends));
        let sum = old.map_or(0, |(number, _)| number).saturating_add(by);
        self.set(key, sum.to_be_bytes().to_vec(), ttl)?;
        if let (Some((_, ends)), Some(entry)) = (old, self.state.get_mut(key)) {
            entry.ends = ends;
        }
        Ok(sum)
    }

    pub(super) fn delete(&mut self, key: &str) -> bool {
        let live = self.live(key).is_some();
        self.state.remove(key);
        live
    }

    pub(super) fn live_keys(&self) -> Vec<String> {
        self.state
            .keys()
            .filter(|key| self.live(key).is_some())
            .cloned()
            .collect()
    }

    fn live(&self, key: &str) -> Option<&Entry> {
        self.state
            .get(key)
            .filter(|entry| entry.ends.is_none_or(|ends| self.now < ends))
    }
}

fn number(value: &[u8]) -> i64 {
    value.try_into().map_or(0, i64::from_be_bytes)
}
