//! The metrics of what an operator changes while the gateway runs.
//!
//! In: the end of each reload of the policy or of our own certificates. Out: how often, with which
//! result, when last and how long it took.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use time::OffsetDateTime;

use super::labels::OfReload;
use super::metrics::Metrics;
use crate::admin::protocol::ReloadResult;

#[derive(Debug)]
pub(super) struct ReloadMetrics {
    reloads: Family<OfReload, Counter>,
    reload_duration: Histogram,
    last_reload: Family<OfReload, Gauge>,
    not_kept: Counter,
    certificate_reloads: Family<OfReload, Counter>,
}

impl ReloadMetrics {
    pub(super) fn new() -> Self {
        let metrics = Self {
            reloads: Family::default(),
            // From a changed record to a chain of large plugins that nobody has compiled yet.
            reload_duration: Histogram::new([0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0]),
            last_reload: Family::default(),
            not_kept: Counter::default(),
            certificate_reloads: Family::default(),
        };
        // A reload that never happened is a zero, not a hole in the graph.
        for result in [
            ReloadResult::Ok,
            ReloadResult::Unchanged,
            ReloadResult::Refused,
            ReloadResult::Failed,
        ] {
            drop(metrics.reloads.get_or_create(&of(result)));
        }
        metrics
    }

    pub(super) fn register(&self, r: &mut Registry) {
        r.register("reloads", "Reloads, by result", self.reloads.clone());
        r.register(
            "reload_duration_seconds",
            "How long reloads took, whatever their result",
            self.reload_duration.clone(),
        );
        r.register(
            "last_reload_timestamp_seconds",
            "When a reload last had this result",
            self.last_reload.clone(),
        );
        r.register(
            "generations_not_kept",
            "Generations that could not be put on disk to go back to",
            self.not_kept.clone(),
        );
        r.register(
            "certificate_reloads",
            "Times that the gateway's certificates were read again, by result",
            self.certificate_reloads.clone(),
        );
    }
}

impl Metrics {
    /// A reload ended, after so long.
    pub fn reloaded(&self, result: ReloadResult, took: Duration) {
        let labels = of(result);
        self.changes.reloads.get_or_create(&labels).inc();
        self.changes.reload_duration.observe(took.as_secs_f64());
        let now = OffsetDateTime::now_utc().unix_timestamp();
        self.changes.last_reload.get_or_create(&labels).set(now);
    }

    /// A generation judges, or will, that could not be put on disk.
    pub fn not_kept(&self) {
        self.changes.not_kept.inc();
    }

    /// The gateway's certificates were read again, successfully or not.
    pub fn certificates_reloaded(&self, result: ReloadResult) {
        self.changes
            .certificate_reloads
            .get_or_create(&of(result))
            .inc();
    }
}

fn of(result: ReloadResult) -> OfReload {
    OfReload {
        result: result.as_str(),
    }
}
