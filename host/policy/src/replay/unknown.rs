//! What a plugin may not know in a replay, and whether it has asked for it.
//!
//! In: how much is known of what it is asked about next, and each call of a host function that needs
//! more. Out: whether there was one. One plugin at a time is asked, so that nothing is confused.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::Known;

/// One plugin's.
#[derive(Debug, Default)]
pub(crate) struct Unknowns {
    /// Whether what it is asked about is without its content.
    content: AtomicBool,
    /// Whether its state is not what it would be.
    state: AtomicBool,
    /// Whether it has asked for either.
    asked: AtomicBool,
}

impl Unknowns {
    /// It is asked about something of which so much is known.
    pub(super) fn begin(&self, known: Known) {
        self.content.store(known != Known::Whole, Relaxed);
        self.asked.store(false, Relaxed);
    }

    /// Whether it has asked for what is not known.
    pub(super) fn end(&self) -> bool {
        self.has_asked()
    }

    /// From now on its state is not what it would be.
    pub(super) fn cloud(&self) {
        self.state.store(true, Relaxed);
    }

    pub(crate) fn has_asked(&self) -> bool {
        self.asked.load(Relaxed)
    }

    /// It asks for content.
    pub(crate) fn content(&self) {
        if self.content.load(Relaxed) {
            self.asked.store(true, Relaxed);
        }
    }

    /// It asks for its state.
    pub(crate) fn state(&self) {
        if self.state.load(Relaxed) {
            self.asked.store(true, Relaxed);
        }
    }
}
