//! What `portcullis status` and the metrics say about plugins: snapshots, never handles.

use std::time::Duration;

use serde::Serialize;
use time::OffsetDateTime;

use crate::bindings::portcullis::policy::types;
use crate::spec::{Mode, OnFailure};
use crate::state;

/// One plugin of a generation, as it stands now.
#[derive(Clone, Debug)]
pub struct PluginStatus {
    /// Its name in the configuration.
    pub name: String,
    /// SHA-256 of the component file, lower case hex.
    pub digest: String,
    /// The version that the component says it has, if it says one.
    pub version: Option<String>,
    /// The exported interfaces with their versions, such as `portcullis:policy/filter@0.1.0`.
    pub exports: Vec<String>,
    /// Whether what it says has an effect.
    pub mode: Mode,
    /// What its failure means.
    pub on_failure: OnFailure,
    /// Why it is not asked at present, if so.
    pub quarantine: Option<Quarantine>,
    /// About whom it is not asked at present, since it failed again and again on what they send.
    pub resting: Vec<Resting>,
    /// The last failure's text, if there was one.
    pub last_failure: Option<String>,
    /// Linear memory of all its instances now, in bytes.
    pub memory: u64,
    /// How much state it has.
    pub state: state::Share,
    /// How much state it may have.
    pub state_limit: state::Share,
    /// Totals since the generation was built.
    pub counts: PluginCounts,
}

/// Which component a plugin is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeOf {
    /// SHA-256 of the component file, lower case hex.
    pub digest: String,
    /// The version that the component says it has, if it says one.
    pub version: Option<String>,
    /// The exported interfaces with their versions, such as `portcullis:policy/filter@0.1.0`.
    pub exports: Vec<String>,
}

/// A plugin is left alone because it failed again and again; `on_failure` answers meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantine {
    /// When it began.
    pub since: OffsetDateTime,
    /// When it is asked once, to see whether it works again; none for an observer, which is offered
    /// its batch again after at most five seconds.
    pub until: Option<OffsetDateTime>,
}

/// A sender on whose stanzas or streams a plugin failed again and again; `on_failure` answers them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resting {
    /// A partner's domain, a user's address, or the network address of who has proven nothing.
    pub sender: String,
    /// Since when and until when.
    pub rest: Quarantine,
}

/// What one plugin did since its generation was built.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PluginCounts {
    /// Calls into the component, `init` excepted.
    pub calls: u64,
    /// Calls that ended in a trap, an overrun or an error, and instances that could not be built again.
    pub failures: u64,
    /// The same by cause.
    pub by_cause: Failures,
    /// Stanzas answered from the memo instead of a call.
    pub remembered: u64,
    /// Stanzas and streams that got `on_failure`'s answer because the plugin was quarantined, for all
    /// or for their sender.
    pub skipped: u64,
    /// Instances that were built anew after a failure or a cancelled task.
    pub rebuilt: u64,
    /// Decisions that an observer never got.
    pub lost: u64,
    /// How often it was quarantined.
    pub quarantines: u64,
    /// How often a sender was left to `on_failure`, since the plugin failed on what it sent.
    pub rests: u64,
    /// Lines of its log beyond its share.
    pub log_dropped: u64,
    /// Edits that were made.
    pub edits: u64,
    /// Edits that were not: too many in a call, illegal, not well-formed, or too large.
    pub edits_refused: u64,
    /// Changes of state that were not made because of a limit.
    pub state_refused: u64,
    /// Wall-clock time inside calls, in nanoseconds.
    pub busy_ns: u64,
    /// How long the calls took.
    #[serde(skip)]
    pub latency: Latency,
}

impl PluginCounts {
    /// Adds those of another generation.
    pub fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.failures += other.failures;
        self.by_cause.add(&other.by_cause);
        self.remembered += other.remembered;
        self.skipped += other.skipped;
        self.rebuilt += other.rebuilt;
        self.lost += other.lost;
        self.quarantines += other.quarantines;
        self.rests += other.rests;
        self.log_dropped += other.log_dropped;
        self.edits += other.edits;
        self.edits_refused += other.edits_refused;
        self.state_refused += other.state_refused;
        self.busy_ns = self.busy_ns.saturating_add(other.busy_ns);
        self.latency.add(&other.latency);
    }
}

/// Failures by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Failures {
    /// The component did what WebAssembly forbids: bad memory access, division by zero, stack overflow.
    pub trap: u64,
    /// It panicked.
    pub panic: u64,
    /// It used more CPU time than its budget.
    pub budget: u64,
    /// It did not return in time, though it used little CPU.
    pub deadline: u64,
    /// It needed more memory than it may have.
    pub memory: u64,
    /// It misused what the host offers: a handle that it was not lent, a function in the wrong phase,
    /// more handles or larger lists than a call may have.
    pub host: u64,
    /// It ended itself.
    pub exit: u64,
    /// A new instance could not be initialised.
    pub init: u64,
    /// An observer said that it cannot take a batch.
    pub reported: u64,
}

impl Failures {
    /// Each with its name in metrics.
    #[must_use]
    pub fn named(&self) -> [(&'static str, u64); 9] {
        [
            ("trap", self.trap),
            ("panic", self.panic),
            ("budget", self.budget),
            ("deadline", self.deadline),
            ("memory", self.memory),
            ("host", self.host),
            ("exit", self.exit),
            ("init", self.init),
            ("reported", self.reported),
        ]
    }

    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.named().iter().map(|(_, count)| count).sum()
    }

    fn add(&mut self, other: &Self) {
        self.trap += other.trap;
        self.panic += other.panic;
        self.budget += other.budget;
        self.deadline += other.deadline;
        self.memory += other.memory;
        self.host += other.host;
        self.exit += other.exit;
        self.init += other.init;
        self.reported += other.reported;
    }
}

/// How long calls took: a histogram with an error of at most an eighth, up to a quarter of an hour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// Empty: no call yet.
    buckets: Vec<u64>,
}

impl Latency {
    /// Eight a octave, from a nanosecond to 2^40 of them.
    pub(crate) const BUCKETS: usize = 39 * 8;

    pub(crate) fn of(buckets: Vec<u64>) -> Self {
        Self { buckets }
    }

    /// The bucket of a time in nanoseconds.
    pub(crate) fn bucket(nanoseconds: u64) -> usize {
        let octave = nanoseconds.checked_ilog2().unwrap_or(0);
        let place = match octave {
            0..3 => nanoseconds,
            _ => u64::from(octave - 2) * 8 + ((nanoseconds >> (octave - 3)) & 7),
        };
        usize::try_from(place)
            .unwrap_or(usize::MAX)
            .min(Self::BUCKETS - 1)
    }

    /// The first time, in nanoseconds, that is too long for the bucket.
    fn end(bucket: usize) -> u64 {
        let bucket = u64::try_from(bucket).unwrap_or(u64::MAX);
        match bucket / 8 {
            0 => bucket + 1,
            octave => (bucket % 8 + 9) << (octave - 1),
        }
    }

    /// How many calls there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The time within which this share (0 to 1) of the calls ended, rounded up to its bucket; none
    /// if there was no call.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an estimate; a product of counts and shares is not negative"
        )]
        let rank = ((self.count() as f64 * share).ceil() as u64).max(1);
        let mut below = 0;
        let bucket = self.buckets.iter().position(|count| {
            below += count;
            below >= rank
        })?;
        Some(Duration::from_nanos(Self::end(bucket)))
    }

    /// How many calls took less than each power of four nanoseconds, from a microsecond (2^10 ns) to
    /// four seconds (2^32 ns): bounds that the buckets have too, so that the numbers are exact.
    #[must_use]
    pub fn cumulative(&self) -> [(Duration, u64); 12] {
        std::array::from_fn(|step| {
            let octave = 10 + 2 * step;
            let below = self.buckets.iter().take((octave - 2) * 8).sum();
            (Duration::from_nanos(1 << octave), below)
        })
    }

    fn add(&mut self, other: &Self) {
        if self.buckets.len() < other.buckets.len() {
            self.buckets.resize(other.buckets.len(), 0);
        }
        for (sum, count) in self.buckets.iter_mut().zip(&other.buckets) {
            *sum += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latency(times: impl IntoIterator<Item = u64>) -> Latency {
        let mut buckets = vec![0; Latency::BUCKETS];
        for time in times {
            buckets[Latency::bucket(time)] += 1;
        }
        Latency::of(buckets)
    }

    #[test]
    fn each_time_lies_in_a_bucket_that_is_at_most_an_eighth_longer() {
        let mut last = 0;
        for time in (0..4096).chain((12..40).flat_map(|octave| {
            let low = 1_u64 << octave;
            [low - 1, low, low + low / 3, low * 2 - 1]
        })) {
            let bucket = Latency::bucket(time);
            assert!(bucket >= last, "{time}");
            last = bucket;
            let end = Latency::end(bucket);
            assert!(time < end && end - time <= time / 8 + 1, "{time} {end}");
        }
        assert_eq!(Latency::bucket(u64::MAX), Latency::BUCKETS - 1);
    }

    #[test]
    fn a_quantile_is_the_time_within_which_that_share_of_calls_ended() {
        assert_eq!(Latency::default().quantile(0.5), None);
        assert_eq!(latency([]).quantile(0.99), None);
        let times = latency((1..=1000).map(|n| n * 1000));
        for (share, exact) in [(0.5, 500_000), (0.99, 990_000), (1.0, 1_000_000)] {
            let told = u64::try_from(times.quantile(share).unwrap().as_nanos()).unwrap();
            assert!(told >= exact && told <= exact + exact / 8, "{share} {told}");
        }
        let one_slow = latency((0..99).map(|_| 1000).chain([5_000_000]));
        assert!(one_slow.quantile(0.99).unwrap() < Duration::from_micros(2));
        assert!(one_slow.quantile(1.0).unwrap() > Duration::from_millis(4));
    }

    #[test]
    fn the_cumulative_counts_are_exact_and_add_up_over_generations() {
        let mut times = latency([1023, 1024, 5_000_000_000]);
        times.add(&latency([1023]));
        let cumulative = times.cumulative();
        assert_eq!(cumulative[0], (Duration::from_nanos(1024), 2));
        assert_eq!(cumulative[1], (Duration::from_nanos(4096), 3));
        assert_eq!(cumulative[11].1, 3);
        assert_eq!(times.count(), 4);
    }
}

/// Which stanzas a filter is shown; those outside pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wanted {
    /// `message`, `presence`, `iq`.
    pub kinds: Vec<&'static str>,
    /// `inbound`, `outbound`.
    pub directions: Vec<&'static str>,
    /// Only those with a direct child in one of these namespaces; empty: all.
    pub payloads: Vec<String>,
    /// For how many milliseconds a verdict is remembered; none: every stanza is judged.
    pub memo_ms: Option<u32>,
}

impl Wanted {
    pub(crate) fn of(subscription: &types::Subscription) -> Self {
        let kinds = [
            (types::Kinds::MESSAGE, "message"),
            (types::Kinds::PRESENCE, "presence"),
            (types::Kinds::IQ, "iq"),
        ];
        let directions = [
            (types::Directions::INBOUND, "inbound"),
            (types::Directions::OUTBOUND, "outbound"),
        ];
        let kinds = kinds.into_iter();
        let directions = directions.into_iter();
        Self {
            kinds: kinds
                .filter(|(kind, _)| subscription.kinds.contains(*kind))
                .map(|(_, name)| name)
                .collect(),
            directions: directions
                .filter(|(direction, _)| subscription.directions.contains(*direction))
                .map(|(_, name)| name)
                .collect(),
            payloads: subscription.payloads.clone(),
            memo_ms: subscription.memo_ms,
        }
    }
}
