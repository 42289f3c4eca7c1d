//! The metrics of what happens, and the place where all others come together.
//!
//! In: events, as method calls; [`Readings`] of what is not counted as it happens. Out: the text that
//! Prometheus scrapes ([`Metrics::render`]). Nothing fails. Each received stanza is counted once when
//! it was read and once when it ended: the [`Receipt`] that counting it yields must be settled, and
//! counts itself as dropped if it is lost, so the two sums are equal at rest whatever happens.

use std::fmt;

use portcullis_xmpp::stanza::{Direction, Kind};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::Receipt;
use super::held::StreamGauge;
use super::labels::{Delivery, GatewayStanza, Made, OfSide, Refused, Streams, TurnedAwayFor};
use super::readings::{ReadMetrics, Readings};
use super::reloads::ReloadMetrics;
use super::stanzas::Stanzas;
use crate::listen::TurnedAway;
use crate::tls::Side;

/// All metrics of one gateway.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    stanzas: Stanzas,
    made: Family<Made, Counter>,
    streams: Family<Streams, Gauge>,
    refused: Family<Refused, Counter>,
    connections: Family<OfSide, Gauge>,
    turned_away: Family<TurnedAwayFor, Counter>,
    connect_failures: Family<OfSide, Counter>,
    pub(super) changes: ReloadMetrics,
    read: ReadMetrics,
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
            stanzas: Stanzas::new(),
            made: Family::default(),
            streams: Family::default(),
            refused: Family::default(),
            connections: Family::default(),
            turned_away: Family::default(),
            connect_failures: Family::default(),
            changes: ReloadMetrics::new(),
            read: ReadMetrics::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        // The encoder appends `_total` to the names of counters.
        let r = &mut self.registry;
        self.stanzas.register(r);
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
        self.changes.register(r);
        self.read.register(r);
        r.register(
            "build",
            "The gateway's version",
            Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]),
        );
    }

    /// Counts a stanza in; its end must be reported to the receipt.
    pub fn received(&self, direction: Direction, kind: Kind) -> Receipt {
        self.stanzas.received(direction, kind)
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

    /// The text for a scrape.
    ///
    /// # Errors
    /// Only if formatting into a string fails, which it does not.
    pub fn render(&self, readings: &Readings) -> Result<String, fmt::Error> {
        self.read.set(readings);
        let mut text = String::with_capacity(8192);
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::admin::protocol::ReloadResult;
    use crate::observe::Outcome;

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
