//! What somebody holds while something is the case, and what is counted when it is let go.
//!
//! In: what begins: a stream, a connection, a stanza that was received. Out: a gauge that falls again,
//! or the stanza's one end. Nothing here fails: what is let go without a word is counted, too.

use std::fmt;
use std::sync::Arc;

use prometheus_client::metrics::gauge::Gauge;

use super::labels::{Outcome, Settled};
use super::metrics::Metrics;

/// One more of something, as long as it lives.
#[derive(Debug)]
#[must_use]
pub struct StreamGauge(Gauge);

impl StreamGauge {
    pub(super) fn up(gauge: Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for StreamGauge {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The promise that a received stanza will be counted out again, exactly once.
#[derive(Debug)]
#[must_use]
pub struct Receipt {
    metrics: Arc<Metrics>,
    direction: &'static str,
    kind: &'static str,
    settled: bool,
    companion: Option<Companion>,
}

/// What is dropped when the stanza has ended.
struct Companion(#[expect(dead_code, reason = "only its drop matters")] Box<dyn Send + Sync>);

impl fmt::Debug for Companion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Companion")
    }
}

impl Receipt {
    pub(super) fn new(metrics: &Arc<Metrics>, direction: &'static str, kind: &'static str) -> Self {
        Self {
            metrics: Arc::clone(metrics),
            direction,
            kind,
            settled: false,
            companion: None,
        }
    }

    /// Something that is to be dropped when the stanza has ended.
    pub fn with(mut self, companion: impl Send + Sync + 'static) -> Self {
        self.companion = Some(Companion(Box::new(companion)));
        self
    }

    /// The stanza has ended.
    pub fn settle(mut self, outcome: Outcome) {
        self.count(outcome);
    }

    fn count(&mut self, outcome: Outcome) {
        self.settled = true;
        self.metrics.settled(&Settled {
            direction: self.direction,
            kind: self.kind,
            outcome: outcome.as_str(),
        });
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if !self.settled {
            // Only when a task is ended from outside: the drain ran into its deadline.
            tracing::warn!(
                direction = self.direction,
                kind = self.kind,
                verdict = "drop",
                plugin = "gateway:shutdown",
                "a stanza was lost with its stream's task"
            );
            self.count(Outcome::Dropped);
        }
    }
}
