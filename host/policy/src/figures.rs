//! What a plugin did and used, counted as it happens.
//!
//! In: the ends of calls and what the host refused, from any thread. Out: [`PluginCounts`], which can
//! be added up over generations. Nothing fails, nothing waits: a call costs two relaxed additions.
//! Not guaranteed: that the numbers of one reading belong to the same instant.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::status::{Failures, Latency, PluginCounts};

/// Why a call failed, for counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    Trap,
    Panic,
    Budget,
    Deadline,
    Memory,
    Host,
    Exit,
    Init,
    Reported,
}

/// One plugin's numbers, shared by its instances.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    latency: Histogram,
    busy_ns: AtomicU64,
    failures: [AtomicU64; 9],
    pub(crate) remembered: Count,
    pub(crate) skipped: Count,
    pub(crate) rebuilt: Count,
    pub(crate) lost: Count,
    pub(crate) quarantines: Count,
    pub(crate) rests: Count,
    pub(crate) log_dropped: Count,
    pub(crate) edits: Count,
    pub(crate) edits_refused: Count,
    pub(crate) state_refused: Count,
    /// Linear memory of all its instances now, in bytes.
    pub(crate) memory: Count,
}

/// A number that many threads change.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Relaxed);
    }

    pub(crate) fn subtract(&self, less: u64) {
        self.0.fetch_sub(less, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Figures {
    /// A call into the component has ended, however it did.
    pub(crate) fn called(&self, took: Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.latency.record(nanoseconds);
        self.busy_ns.fetch_add(nanoseconds, Relaxed);
    }

    pub(crate) fn failed(&self, cause: Cause) {
        if let Some(count) = self.failures.get(cause as usize) {
            count.fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn counts(&self) -> PluginCounts {
        let failures = |cause: Cause| {
            self.failures
                .get(cause as usize)
                .map_or(0, |count| count.load(Relaxed))
        };
        let by_cause = Failures {
            trap: failures(Cause::Trap),
            panic: failures(Cause::Panic),
            budget: failures(Cause::Budget),
            deadline: failures(Cause::Deadline),
            memory: failures(Cause::Memory),
            host: failures(Cause::Host),
            exit: failures(Cause::Exit),
            init: failures(Cause::Init),
            reported: failures(Cause::Reported),
        };
        let latency = self.latency.read();
        PluginCounts {
            calls: latency.count(),
            failures: by_cause.total(),
            by_cause,
            remembered: self.remembered.get(),
            skipped: self.skipped.get(),
            rebuilt: self.rebuilt.get(),
            lost: self.lost.get(),
            quarantines: self.quarantines.get(),
            rests: self.rests.get(),
            log_dropped: self.log_dropped.get(),
            edits: self.edits.get(),
            edits_refused: self.edits_refused.get(),
            state_refused: self.state_refused.get(),
            busy_ns: self.busy_ns.load(Relaxed),
            latency,
        }
    }
}

/// What one plugin of one generation does, to be read for as long as it does anything: stanzas that are
/// still judged, and decisions that are still observed, after another generation has taken over.
#[derive(Debug)]
pub struct Tally {
    name: Arc<str>,
    figures: Arc<Figures>,
}

impl Tally {
    pub(crate) fn new(name: Arc<str>, figures: Arc<Figures>) -> Self {
        Self { name, figures }
    }

    /// The plugin's name in the configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Totals since the generation was built.
    #[must_use]
    pub fn counts(&self) -> PluginCounts {
        self.figures.counts()
    }

    /// Whether nobody counts any more: the plugin and each of its instances are gone.
    #[must_use]
    pub fn is_final(&mut self) -> bool {
        Arc::get_mut(&mut self.figures).is_some()
    }
}

/// Call times in nanoseconds, in buckets whose width is an eighth of their octave.
#[derive(Debug)]
struct Histogram([AtomicU64; Latency::BUCKETS]);

impl Default for Histogram {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Histogram {
    fn record(&self, nanoseconds: u64) {
        if let Some(bucket) = self.0.get(Latency::bucket(nanoseconds)) {
            bucket.fetch_add(1, Relaxed);
        }
    }

    fn read(&self) -> Latency {
        Latency::of(self.0.iter().map(|bucket| bucket.load(Relaxed)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_is_counted_under_its_own_name() {
        let figures = Figures::default();
        figures.failed(Cause::Reported);
        figures.failed(Cause::Trap);
        figures.failed(Cause::Trap);
        figures.called(Duration::from_micros(3));
        let counts = figures.counts();
        assert_eq!((counts.calls, counts.failures), (1, 3));
        assert_eq!((counts.by_cause.trap, counts.by_cause.reported), (2, 1));
        assert_eq!(counts.busy_ns, 3000);
    }
}
