//! The two counts of a managed stream, modulo 2^32.

use std::collections::VecDeque;

use crate::{
    error::{StreamCondition, StreamError},
    ns,
    xml::Element,
};

/// What came on a stream, and how much of it is settled: delivered, bounced or dropped by name.
///
/// Stanzas may be settled in any order, but are acknowledged in the order of the stream: only the
/// prefix that is settled as a whole counts (SM-02). What a peer was told once it is never told less
/// of: who takes over a stream answers for all that came on it ([`Self::take_over`]).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Received {
    /// The number of the first stanza that is not settled.
    first: u64,
    /// How many were answered for when the stream was last taken over.
    answered_for: u64,
    /// That one and all after it; whether each is settled.
    settled: VecDeque<bool>,
}

impl Received {
    /// Nothing came yet.
    pub fn new() -> Self {
        Self::default()
    }

    #[cfg(test)]
    pub(super) fn starting(first: u64) -> Self {
        Self {
            first,
            ..Self::default()
        }
    }

    /// A stanza came. Returns its number, to settle it by.
    pub fn receive(&mut self) -> u64 {
        let number = self.first + self.settled.len() as u64;
        self.settled.push_back(false);
        number
    }

    /// The stanza of this number is settled. Once more does no harm.
    pub fn settle(&mut self, number: u64) {
        let place = number
            .checked_sub(self.first)
            .and_then(|place| usize::try_from(place).ok());
        if let Some(settled) = place.and_then(|place| self.settled.get_mut(place)) {
            *settled = true;
        }
        while self.settled.front() == Some(&true) {
            self.settled.pop_front();
            self.first += 1;
        }
    }

    /// What to acknowledge.
    pub fn handled(&self) -> u32 {
        modulo(self.first.max(self.answered_for))
    }

    /// The connection of the stream is lost, and the stream goes on over another one: the peer must not
    /// send again what came and is still being settled. Returns how many came; from now on
    /// [`handled`](Self::handled) is no less.
    pub fn take_over(&mut self) -> u32 {
        self.answered_for = self.first + self.settled.len() as u64;
        modulo(self.answered_for)
    }

    /// How many stanzas wait to be settled.
    pub fn waiting(&self) -> usize {
        self.settled.len()
    }
}

/// What was sent on a stream and is not acknowledged yet, oldest first.
#[derive(Debug, Clone)]
pub struct Unacknowledged<T> {
    /// How many the peer has acknowledged.
    acknowledged: u64,
    sent: VecDeque<T>,
}

impl<T> Unacknowledged<T> {
    /// Nothing was sent yet.
    pub fn new() -> Self {
        Self {
            acknowledged: 0,
            sent: VecDeque::new(),
        }
    }

    #[cfg(test)]
    pub(super) fn starting(acknowledged: u64) -> Self {
        Self {
            acknowledged,
            ..Self::default()
        }
    }

    /// A stanza is being sent. Who sends keeps to a bound, by [`Self::len`].
    pub fn push(&mut self, stanza: T) {
        self.sent.push_back(stanza);
    }

    /// The peer has settled so many, modulo 2^32. Returns those that it had not before.
    ///
    /// # Errors
    /// It cannot have: so many were not sent. The stream has to be closed with
    /// [`TooHigh::error`], and nothing counts as acknowledged.
    pub fn acknowledge(&mut self, handled: u32) -> Result<Vec<T>, TooHigh> {
        let more = handled.wrapping_sub(modulo(self.acknowledged));
        match usize::try_from(more) {
            Ok(more) if more <= self.sent.len() => {
                self.acknowledged += more as u64;
                Ok(self.sent.drain(..more).collect())
            }
            _ => Err(TooHigh {
                handled,
                sent: modulo(self.acknowledged + self.sent.len() as u64),
            }),
        }
    }

    /// How many wait for their acknowledgement.
    pub fn len(&self) -> usize {
        self.sent.len()
    }

    /// Whether everything is acknowledged.
    pub fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    /// Those that wait, oldest first, such as to send them again.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.sent.iter()
    }

    /// Those that wait, when the stream is lost for good.
    pub fn into_unsettled(self) -> impl Iterator<Item = T> {
        self.sent.into_iter()
    }
}

impl<T> Default for Unacknowledged<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// The peer acknowledges stanzas that were never sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{handled} stanzas acknowledged, but {sent} were sent")]
pub struct TooHigh {
    /// What it said.
    pub handled: u32,
    /// How many there were, modulo 2^32.
    pub sent: u32,
}

impl TooHigh {
    /// The stream error, as the end of the stream shows it.
    pub fn error(&self) -> StreamError {
        StreamError::new(StreamCondition::UndefinedCondition).with_text(self.to_string())
    }

    /// The stream error with the application condition (XEP-0198 §4).
    pub(crate) fn to_element(self) -> Element {
        self.error().to_element().with_child(
            Element::new(ns::MANAGEMENT, "handled-count-too-high")
                .with_attribute("h", &self.handled.to_string())
                .with_attribute("send-count", &self.sent.to_string()),
        )
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "counts are modulo 2^32 (XEP-0198 §4)"
)]
fn modulo(count: u64) -> u32 {
    count as u32
}
