//! What the filters of a chain share while they are asked about one stanza.
//!
//! In: the stanza, as it is before each of them. Out: its header, packed for the first who needs it, and the time,
//! read once at the start and once at the end of each call: whoever remembers needs no clock of its own.

use std::time::Instant;

use portcullis_xmpp::stanza::{Direction, Stanza};

use crate::instance::PackedHeader;

/// See the module.
pub(crate) struct Round {
    header: Option<PackedHeader>,
    since: Instant,
    now: Instant,
}

impl Round {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self {
            header: None,
            since: now,
            now,
        }
    }

    /// The stanza is another one from now on.
    pub(crate) fn edited(&mut self) {
        self.header = None;
    }

    /// How long the calls took, waiting for an instance included.
    pub(crate) fn elapsed(&self) -> std::time::Duration {
        self.now.saturating_duration_since(self.since)
    }

    /// When the last call ended; at first, when the round began.
    pub(super) fn now(&self) -> Instant {
        self.now
    }

    pub(super) fn ended(&mut self, now: Instant) {
        self.now = now;
    }

    pub(super) fn header(&mut self, stanza: &Stanza, direction: Direction) -> &PackedHeader {
        self.header
            .get_or_insert_with(|| PackedHeader::of(stanza, direction))
    }
}
