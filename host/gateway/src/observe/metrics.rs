//! The metrics.
//!
//! In: events, as method calls. Out: the text that Prometheus scrapes ([`Metrics::render`]). Nothing
//! fails. Each received stanza is counted once when it was read and once when it ended: the
//! [`Receipt`] that counting it yields must be settled, and counts itself as dropped if it is lost,
//! so the two sums are equal at rest whatever happens.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use portcullis_xmpp::stanza::{Direction, Kind};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use time::OffsetDateTime;

use super::labels::{
    Delivery, GatewayStanza, Made, OfDomain, OfFile, OfReload, OfShadow, OfSide, Outcome, Received,
    Refused, Settled, Streams, TurnedAwayFor,
};
use super::plugins::{PluginMetrics, PluginReading};
use crate::admin::protocol::ReloadResult;
use crate::listen::TurnedAway;
use crate::tls::Side;

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

/// All metrics of one gateway.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    received: Family<Received, Counter>,
    settled: Family<Settled, Counter>,
    made: Family<Made, Counter>,
    streams: Family<Streams, Gauge>,
    refused: Family<Refused, Counter>,
    connections: Family<OfSide, Gauge>,
    turned_away: Family<TurnedAwayFor, Counter>,
    connect_failures: Family<OfSide, Counter>,
    reloads: Family<OfReload, Counter>,
    reload_duration: Histogram,
    last_reload: Family<OfReload, Gauge>,
    rolled_back: Gauge,
    not_kept: Counter,
    certificate_reloads: Family<OfReload, Counter>,
    generation: Gauge,
    generations_alive: Gauge,
    pairs: Gauge,
    queued: Gauge,
    queued_bytes: Gauge,
    certificates: Family<OfFile, Gauge>,
    peer_certificates: Family<OfDomain, Gauge>,
    shadow: Family<OfShadow, Counter>,
    plugins: PluginMetrics,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("portcullis"),
            received: Family::default(),
            settled: Family::default(),
            made: Family::default(),
            streams: Family::default(),
            refused: Family::default(),
            connections: Family::default(),
            turned_away: Family::default(),
            connect_failures: Family::default(),
            reloads: Family::default(),
            // From a changed record to a chain of large plugins that nobody has compiled yet.
            reload_duration: Histogram::new([0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0]),
            last_reload: Family::default(),
            rolled_back: Gauge::default(),
            not_kept: Counter::default(),
            certificate_reloads: Family::default(),
            generation: Gauge::default(),
            generations_alive: Gauge::default(),
            pairs: Gauge::default(),
            queued: Gauge::default(),
            queued_bytes: Gauge::default(),
            certificates: Family::default(),
            peer_certificates: Family::default(),
            shadow: Family::default(),
            plugins: PluginMetrics::default(),
        };
        metrics.register();
        // A reload that never happened is a zero, not a hole in the graph.
        for result in [
            ReloadResult::Ok,
            ReloadResult::Unchanged,
            ReloadResult::Refused,
            ReloadResult::Failed,
        ] {
            drop(metrics.reloads.get_or_create(&OfReload {
                result: result.as_str(),
            }));
        }
        metrics
    }

    fn register(&mut self) {
        // The encoder appends `_total` to the names of counters.
        let r = &mut self.registry;
        r.register(
            "stanzas_received",
            "Stanzas read from authenticated streams",
            self.received.clone(),
        );
        r.register(
            "stanzas",
            "Stanzas that ended, by how",
            self.settled.clone(),
        );
        r.register(
            "gateway_stanzas",
            "Stanzas that the gateway itself made",
            self.made.clone(),
        );
        r.register("streams", "Authenticated streams now", self.streams.clone());
        r.register(
            "streams_refused",
            "Streams that were refused or failed to negotiate",
            self.refused.clone(),
        );
        r.register(
            "connections",
            "Accepted TCP connections now",
            self.connections.clone(),
        );
        r.register(
            "connections_turned_away",
            "Connections closed at once, by reason",
            self.turned_away.clone(),
        );
        r.register(
            "connect_failures",
            "Failed attempts to open a stream",
            self.connect_failures.clone(),
        );
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
            "rolled_back",
            "1 while a generation of the past judges, whatever the files say",
            self.rolled_back.clone(),
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
        r.register(
            "build",
            "The gateway's version",
            Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]),
        );
    }

    /// Counts a stanza in; its end must be reported to the receipt.
    pub fn received(self: &Arc<Self>, direction: Direction, kind: Kind) -> Receipt {
        let (direction, kind) = (direction.as_str(), kind.as_str());
        self.received
            .get_or_create(&Received { direction, kind })
            .inc();
        Receipt {
            metrics: Arc::clone(self),
            direction,
            kind,
            settled: false,
            companion: None,
        }
    }

    /// A stanza of the gateway's own ended.
    pub fn made(&self, why: GatewayStanza, delivery: Delivery) {
        self.made
            .get_or_create(&Made {
                why: why.as_str(),
                outcome: delivery.as_str(),
            })
            .inc();
    }

    /// A stream is established, until the returned guard is dropped.
    pub fn stream(&self, direction: Direction, side: Side) -> StreamGauge {
        let gauge = self.streams.get_or_create_owned(&Streams {
            direction: direction.as_str(),
            side: side.as_str(),
        });
        StreamGauge::up(gauge)
    }

    /// A TCP connection was accepted, until the returned guard is dropped.
    pub fn connection(&self, side: Side) -> StreamGauge {
        StreamGauge::up(self.connections.get_or_create_owned(&OfSide {
            side: side.as_str(),
        }))
    }

    /// A stream did not come to be.
    pub fn refused(&self, direction: Direction, side: Side, condition: &'static str) {
        let labels = Refused {
            direction: direction.as_str(),
            side: side.as_str(),
            condition,
        };
        self.refused.get_or_create(&labels).inc();
    }

    /// A connection was closed at once.
    pub(crate) fn turned_away(&self, side: Side, why: TurnedAway) {
        self.turned_away
            .get_or_create(&TurnedAwayFor {
                side: side.as_str(),
                reason: why.as_str(),
            })
            .inc();
    }

    /// An attempt to open a stream failed, all addresses tried.
    pub fn connect_failed(&self, side: Side) {
        self.connect_failures
            .get_or_create(&OfSide {
                side: side.as_str(),
            })
            .inc();
    }

    /// A reload ended, after so long.
    pub fn reloaded(&self, result: ReloadResult, took: Duration) {
        let labels = OfReload {
            result: result.as_str(),
        };
        self.reloads.get_or_create(&labels).inc();
        self.reload_duration.observe(took.as_secs_f64());
        let now = OffsetDateTime::now_utc().unix_timestamp();
        self.last_reload.get_or_create(&labels).set(now);
    }

    /// A generation judges, or will, that could not be put on disk.
    pub fn not_kept(&self) {
        self.not_kept.inc();
    }

    /// The gateway's certificates were read again, successfully or not.
    pub fn certificates_reloaded(&self, result: ReloadResult) {
        self.certificate_reloads
            .get_or_create(&OfReload {
                result: result.as_str(),
            })
            .inc();
    }

    /// The text for a scrape.
    ///
    /// # Errors
    /// Only if formatting into a string fails, which it does not.
    pub fn render(&self, readings: &Readings) -> Result<String, fmt::Error> {
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
        let mut text = String::with_capacity(8192);
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// One more of something, as long as it lives.
#[derive(Debug)]
#[must_use]
pub struct StreamGauge(Gauge);

impl StreamGauge {
    fn up(gauge: Gauge) -> Self {
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
        let labels = Settled {
            direction: self.direction,
            kind: self.kind,
            outcome: outcome.as_str(),
        };
        self.metrics.settled.get_or_create(&labels).inc();
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

#[cfg(test)]
mod tests {
    use super::*;

    fn text(metrics: &Metrics) -> String {
        metrics
            .render(&Readings {
                generation: 7,
                ..Readings::default()
            })
            .unwrap()
    }

    #[test]
    fn every_received_stanza_is_counted_out_exactly_once() {
        let metrics = Arc::new(Metrics::new());
        metrics
            .received(Direction::Inbound, Kind::Message)
            .settle(Outcome::Delivered);
        metrics
            .received(Direction::Inbound, Kind::Message)
            .settle(Outcome::Bounced);
        drop(metrics.received(Direction::Inbound, Kind::Message));
        let text = text(&metrics);
        assert!(
            text.contains(
                r#"portcullis_stanzas_received_total{direction="inbound",kind="message"} 3"#
            ),
            "{text}"
        );
        for outcome in ["delivered", "bounced", "dropped"] {
            let line = format!(
                r#"portcullis_stanzas_total{{direction="inbound",kind="message",outcome="{outcome}"}} 1"#
            );
            assert!(text.contains(&line), "{text}");
        }
    }

    #[test]
    fn the_names_that_scripts_rely_on() {
        let metrics = Arc::new(Metrics::new());
        metrics.reloaded(ReloadResult::Failed, Duration::from_millis(20));
        let stream = metrics.stream(Direction::Outbound, Side::Internal);
        let first = text(&metrics);
        assert!(
            first.contains(r#"portcullis_streams{direction="outbound",side="internal"} 1"#),
            "{first}"
        );
        assert!(first.contains("portcullis_generation 7"), "{first}");
        assert!(first.contains("portcullis_generations_alive 0"), "{first}");
        assert!(
            first.contains(r#"portcullis_reloads_total{result="failed"} 1"#),
            "{first}"
        );
        assert!(
            first.contains(r#"portcullis_reloads_total{result="ok"} 0"#),
            "{first}"
        );
        drop(stream);
        assert!(
            text(&metrics)
                .contains(r#"portcullis_streams{direction="outbound",side="internal"} 0"#)
        );
    }
}
