//! What is not counted as it happens but read when somebody asks.
//!
//! In: [`Readings`] of one moment. Out: metrics in the registry, as they were at that moment. What a
//! reading has no more (a certificate, a connected peer) is gone from the metrics, too.

use std::sync::atomic::Ordering;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::labels::{OfDomain, OfFile, OfShadow};
use super::plugins::{PluginMetrics, PluginReading};

/// What is not counted as it happens but read when somebody asks.
#[derive(Debug, Clone, Default)]
pub struct Readings {
    /// Number of the current generation.
    pub generation: u64,
    /// Generations that are not retired.
    pub generations_alive: u64,
    /// Pairs of domains with a task of their own.
    pub pairs: u64,
    /// Stanzas that wait in all queues, and their bytes.
    pub queued: (u64, u64),
    /// File and seconds until it expires, of each of our certificates.
    pub certificates: Vec<(String, i64)>,
    /// Domain and seconds until its certificate expires, of each peer that is connected.
    pub peer_certificates: Vec<(String, i64)>,
    /// Whether a generation of the past judges.
    pub rolled_back: bool,
    /// What shadow plugins would have decided, since the gateway started.
    pub shadows: Vec<portcullis_policy::shadow::Report>,
    /// What each plugin did since the gateway started, and what it uses.
    pub plugins: Vec<PluginReading>,
}

#[derive(Debug, Default)]
pub(super) struct ReadMetrics {
    generation: Gauge,
    generations_alive: Gauge,
    rolled_back: Gauge,
    pairs: Gauge,
    queued: Gauge,
    queued_bytes: Gauge,
    certificates: Family<OfFile, Gauge>,
    peer_certificates: Family<OfDomain, Gauge>,
    plugins: PluginMetrics,
    shadow: Family<OfShadow, Counter>,
}

impl ReadMetrics {
    pub(super) fn register(&self, r: &mut Registry) {
        r.register(
            "generation",
            "Number of the generation that judges",
            self.generation.clone(),
        );
        r.register(
            "generations_alive",
            "Generations that are not retired",
            self.generations_alive.clone(),
        );
        r.register(
            "rolled_back",
            "1 while a generation of the past judges, whatever the files say",
            self.rolled_back.clone(),
        );
        r.register("pairs", "Pairs of domains with a queue", self.pairs.clone());
        r.register(
            "queued_stanzas",
            "Stanzas that wait to be sent",
            self.queued.clone(),
        );
        r.register(
            "queued_bytes",
            "Bytes that wait to be sent",
            self.queued_bytes.clone(),
        );
        r.register(
            "certificate_expiry_seconds",
            "Seconds until one of the gateway's certificates expires",
            self.certificates.clone(),
        );
        r.register(
            "peer_certificate_expiry_seconds",
            "Seconds until the certificate of a connected partner or internal server expires",
            self.peer_certificates.clone(),
        );
        self.plugins.register(r);
        r.register(
            "shadow",
            "What a shadow plugin would have decided, by how it differs from what stood",
            self.shadow.clone(),
        );
    }

    pub(super) fn set(&self, readings: &Readings) {
        let gauge = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        self.generation.set(gauge(readings.generation));
        self.generations_alive
            .set(gauge(readings.generations_alive));
        self.pairs.set(gauge(readings.pairs));
        self.rolled_back.set(i64::from(readings.rolled_back));
        self.queued.set(gauge(readings.queued.0));
        self.queued_bytes.set(gauge(readings.queued.1));
        self.certificates.clear();
        for (file, seconds) in &readings.certificates {
            self.certificates
                .get_or_create(&OfFile { file: file.clone() })
                .set(*seconds);
        }
        self.peer_certificates.clear();
        for (domain, seconds) in &readings.peer_certificates {
            self.peer_certificates
                .get_or_create(&OfDomain {
                    domain: domain.clone(),
                })
                .set(*seconds);
        }
        for report in &readings.shadows {
            let named = report
                .differences
                .iter()
                .map(|(kind, n)| (kind.as_str(), *n));
            let rest = [
                ("failed", report.failed),
                ("not-compared", report.not_compared),
            ];
            for (difference, count) in named.chain(rest) {
                let labels = OfShadow {
                    plugin: report.plugin.clone(),
                    difference,
                };
                let counter = self.shadow.get_or_create(&labels);
                counter.inner().store(count, Ordering::Relaxed);
            }
        }
        self.plugins.set(&readings.plugins);
    }
}
