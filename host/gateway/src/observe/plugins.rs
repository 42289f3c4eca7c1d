//! The metrics of plugins: read from the policy engine when somebody asks.
//!
//! In: [`PluginReading`]s. Out: metrics in the registry. Counters go on over generations, as the
//! readings do; gauges are those of the generation that judges now, and vanish with their plugin.

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use portcullis_policy::{Latency, PluginCounts};
use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::Registry;

use super::labels::{OfFailure, OfPlugin};

/// What one plugin did since the gateway started, and what it uses now.
#[derive(Debug, Clone)]
pub struct PluginReading {
    /// Its name in the configuration.
    pub name: String,
    /// All generations together.
    pub counts: PluginCounts,
    /// None for a plugin that the generation does not have.
    pub now: Option<PluginUse>,
}

/// What a plugin of the current generation uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PluginUse {
    /// Linear memory of all its instances, in bytes.
    pub memory: u64,
    /// Keys and values of its state, in bytes.
    pub state_bytes: u64,
    /// Keys of its state.
    pub state_keys: u64,
    /// Whether it is left alone because it failed again and again.
    pub quarantined: bool,
    /// About how many senders it is not asked, because it failed again and again on what they sent.
    pub senders_resting: u64,
}

#[derive(Debug, Default)]
pub(super) struct PluginMetrics {
    failures: Family<OfFailure, Counter>,
    call_seconds: Family<OfPlugin, CallTimes>,
    counters: [Family<OfPlugin, Counter>; COUNTERS.len()],
    gauges: [Family<OfPlugin, Gauge>; GAUGES.len()],
}

/// Name, help and source of each counter.
type CounterOf = (&'static str, &'static str, fn(&PluginCounts) -> u64);
const COUNTERS: [CounterOf; 11] = [
    ("plugin_calls", "Calls of a plugin", |counts| counts.calls),
    (
        "plugin_remembered",
        "Stanzas that got a plugin's remembered verdict",
        |counts| counts.remembered,
    ),
    (
        "plugin_skipped",
        "Questions that on_failure answered because the plugin was quarantined, for all or for a sender",
        |counts| counts.skipped,
    ),
    (
        "plugin_quarantines",
        "Times that a plugin was quarantined",
        |counts| counts.quarantines,
    ),
    (
        "plugin_sender_rests",
        "Times that a sender was left to on_failure because a plugin failed on what it sent",
        |counts| counts.rests,
    ),
    (
        "plugin_instances_rebuilt",
        "Instances of a plugin that were made in the place of lost ones",
        |counts| counts.rebuilt,
    ),
    (
        "plugin_decisions_lost",
        "Decisions that an observer never got",
        |counts| counts.lost,
    ),
    (
        "plugin_log_lines_dropped",
        "Lines of a plugin's log beyond its log_lines",
        |counts| counts.log_dropped,
    ),
    (
        "plugin_edits",
        "Edits of stanzas that a plugin made",
        |counts| counts.edits,
    ),
    (
        "plugin_edits_refused",
        "Edits that were not made: too many, illegal or too large",
        |counts| counts.edits_refused,
    ),
    (
        "plugin_state_refused",
        "Changes of state that were not made because of a limit",
        |counts| counts.state_refused,
    ),
];

/// Name, help and source of each gauge.
type GaugeOf = (&'static str, &'static str, fn(&PluginUse) -> u64);
const GAUGES: [GaugeOf; 5] = [
    (
        "plugin_memory_bytes",
        "Linear memory of all instances of a plugin",
        |now| now.memory,
    ),
    (
        "plugin_state_bytes",
        "Keys and values of a plugin's state",
        |now| now.state_bytes,
    ),
    ("plugin_state_keys", "Keys of a plugin's state", |now| {
        now.state_keys
    }),
    (
        "plugin_quarantined",
        "1 while a plugin is quarantined",
        |now| u64::from(now.quarantined),
    ),
    (
        "plugin_senders_resting",
        "Senders that a plugin is not asked about at present because it failed on what they sent",
        |now| now.senders_resting,
    ),
];

impl PluginMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "plugin_failures",
            "Calls of a plugin that failed, by cause",
            self.failures.clone(),
        );
        registry.register(
            "plugin_call_seconds",
            "How long calls of a plugin took, by the clock",
            self.call_seconds.clone(),
        );
        for ((name, help, _), family) in COUNTERS.iter().zip(&self.counters) {
            registry.register(*name, *help, family.clone());
        }
        for ((name, help, _), family) in GAUGES.iter().zip(&self.gauges) {
            registry.register(*name, *help, family.clone());
        }
    }

    pub(super) fn set(&self, readings: &[PluginReading]) {
        for gauge in &self.gauges {
            gauge.clear();
        }
        for reading in readings {
            let labels = OfPlugin {
                plugin: reading.name.clone(),
            };
            for (cause, count) in reading.counts.by_cause.named() {
                let labels = OfFailure {
                    plugin: reading.name.clone(),
                    cause,
                };
                store(&self.failures.get_or_create(&labels), count);
            }
            self.call_seconds
                .get_or_create(&labels)
                .set(&reading.counts);
            for ((_, _, source), family) in COUNTERS.iter().zip(&self.counters) {
                store(&family.get_or_create(&labels), source(&reading.counts));
            }
            let Some(now) = &reading.now else { continue };
            for ((_, _, source), family) in GAUGES.iter().zip(&self.gauges) {
                let value = i64::try_from(source(now)).unwrap_or(i64::MAX);
                family.get_or_create(&labels).set(value);
            }
        }
    }
}

fn store(counter: &Counter, total: u64) {
    counter.inner().store(total, Ordering::Relaxed);
}

/// A histogram that is read elsewhere.
#[derive(Debug, Clone, Default)]
struct CallTimes(Arc<Mutex<(Latency, u64)>>);

impl CallTimes {
    fn set(&self, counts: &PluginCounts) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
            (counts.latency.clone(), counts.busy_ns);
    }
}

impl TypedMetric for CallTimes {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for CallTimes {
    #[allow(
        clippy::cast_precision_loss,
        reason = "a sum of seconds that has been exact for a hundred days is exact enough"
    )]
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let (latency, busy_ns) = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let mut buckets = Vec::new();
        let mut before = 0;
        for (bound, below) in latency.cumulative() {
            buckets.push((bound.as_secs_f64(), below - before));
            before = below;
        }
        buckets.push((f64::INFINITY, latency.count() - before));
        let sum = busy_ns as f64 / 1e9;
        encoder.encode_histogram::<NoLabelSet>(sum, latency.count(), &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}
