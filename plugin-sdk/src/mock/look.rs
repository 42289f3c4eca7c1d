//! What a test sees of the host, and changes in it, between two calls of the plugin.

use std::time::Duration;

use super::{Host, JournalError, Level};
use crate::Subtype;

/// A stanza that a plugin had sent through [`emit`](crate::emit).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emitted {
    /// `Unavailable` or `Unsubscribed`.
    pub subtype: Subtype,
    /// The sender.
    pub from: String,
    /// The recipient.
    pub to: String,
}

impl Host {
    /// Moves the clock: the state's lifetimes and the time of day.
    pub fn advance(&mut self, time: Duration) {
        self.world.borrow_mut().now += time;
    }

    /// The keys in the state, in order.
    #[must_use]
    pub fn state_keys(&self) -> Vec<String> {
        self.world.borrow().live_keys()
    }

    /// Makes every call to the state fail, or work again with none.
    pub fn fail_state(&mut self, error: Option<crate::state::StateError>) {
        self.world.borrow_mut().state_error = error;
    }

    /// The lines in the journal.
    #[must_use]
    pub fn journal(&self) -> Vec<String> {
        self.world.borrow().journal.clone()
    }

    /// Makes every append fail, or work again with none.
    pub fn fail_journal(&mut self, error: Option<JournalError>) {
        self.world.borrow_mut().journal_error = error;
    }

    /// The lines of the plugin's log.
    #[must_use]
    pub fn log(&self) -> Vec<(Level, String)> {
        self.world.borrow().log.clone()
    }

    /// What was sent through [`emit`](crate::emit) since this was last asked.
    pub fn take_emitted(&mut self) -> Vec<Emitted> {
        std::mem::take(&mut self.world.borrow_mut().emitted)
    }
}
