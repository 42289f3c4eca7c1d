//! Stanzas counted in and counted out.
//!
//! In: a stanza that was read, and how it ended. Out: two counters. All that there can be exist from the
//! start, so that counting is one addition for each. A [`Receipt`] that is lost counts its stanza as
//! dropped, and says so.

use std::fmt;
use std::sync::Arc;

use portcullis_xmpp::stanza::{Direction, Kind};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::Outcome;
use super::labels::{Received, Settled};

/// The counters of both directions and all kinds.
#[derive(Debug, Default)]
pub(super) struct Stanzas {
    received: Family<Received, Counter>,
    settled: Family<Settled, Counter>,
    inbound: OfKinds,
    outbound: OfKinds,
}

#[derive(Debug, Default)]
struct OfKinds {
    message: Arc<Counters>,
    presence: Arc<Counters>,
    iq: Arc<Counters>,
}

/// Of one kind in one direction.
#[derive(Debug, Default)]
struct Counters {
    direction: &'static str,
    kind: &'static str,
    received: Counter,
    delivered: Counter,
    bounced: Counter,
    dropped: Counter,
}

impl Stanzas {
    /// All at zero.
    pub(super) fn new() -> Self {
        let (received, settled) = (Family::default(), Family::default());
        let of = |direction: Direction, kind: Kind| {
            let (direction, kind) = (direction.as_str(), kind.as_str());
            let ended = |outcome: Outcome| {
                let outcome = outcome.as_str();
                let labels = Settled {
                    direction,
                    kind,
                    outcome,
                };
                Counter::clone(&settled.get_or_create(&labels))
            };
            Arc::new(Counters {
                direction,
                kind,
                received: Counter::clone(&received.get_or_create(&Received { direction, kind })),
                delivered: ended(Outcome::Delivered),
                bounced: ended(Outcome::Bounced),
                dropped: ended(Outcome::Dropped),
            })
        };
        let of_kinds = |direction| OfKinds {
            message: of(direction, Kind::Message),
            presence: of(direction, Kind::Presence),
            iq: of(direction, Kind::Iq),
        };
        let (inbound, outbound) = (of_kinds(Direction::Inbound), of_kinds(Direction::Outbound));
        Self {
            received,
            settled,
            inbound,
            outbound,
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        // The encoder appends `_total` to the names of counters.
        registry.register(
            "stanzas_received",
            "Stanzas read from authenticated streams",
            self.received.clone(),
        );
        registry.register(
            "stanzas",
            "Stanzas that ended, by how",
            self.settled.clone(),
        );
    }

    /// Counts a stanza in.
    pub(super) fn received(&self, direction: Direction, kind: Kind) -> Receipt {
        let of_kinds = match direction {
            Direction::Inbound => &self.inbound,
            Direction::Outbound => &self.outbound,
        };
        let counters = match kind {
            Kind::Message => &of_kinds.message,
            Kind::Presence => &of_kinds.presence,
            Kind::Iq => &of_kinds.iq,
        };
        counters.received.inc();
        Receipt {
            counters: Arc::clone(counters),
            settled: false,
            companion: None,
        }
    }
}

/// The promise that a received stanza will be counted out again, exactly once.
#[derive(Debug)]
#[must_use]
pub struct Receipt {
    counters: Arc<Counters>,
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
        match outcome {
            Outcome::Delivered => self.counters.delivered.inc(),
            Outcome::Bounced => self.counters.bounced.inc(),
            Outcome::Dropped => self.counters.dropped.inc(),
        };
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if !self.settled {
            // Only when a task is ended from outside: the drain ran into its deadline.
            tracing::warn!(
                direction = self.counters.direction,
                kind = self.counters.kind,
                verdict = "drop",
                plugin = "gateway:shutdown",
                "a stanza was lost with its stream's task"
            );
            self.count(Outcome::Dropped);
        }
    }
}
