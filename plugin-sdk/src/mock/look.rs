//! What a test sees of the host, and changes in it, between two calls of the plugin.

use std::time::Duration;

use super::{Host, JournalError, Level};
use crate::Subtype;

/// A stanza that a plugin had sent through [`emit`](crate::emit).
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
/// let mut host = Host::new().own("org.test");
/// host.within(|| emit::unavailable("a@org.test/x", "b@alpha.test"))?;
/// let sent = mock::Emitted {
///     subtype: Subtype::Unavailable,
///     from: "a@org.test/x".into(),
///     to: "b@alpha.test".into(),
/// };
/// assert_eq!(host.take_emitted(), [sent]);
/// # Ok::<(), String>(())
/// ```
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
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let mut host = Host::new().at("2026-11-22T18:30:00Z");
    /// host.advance(std::time::Duration::from_secs(3600));
    /// assert_eq!(host.within(|| clock::Moment::now().hour()), 19);
    /// ```
    pub fn advance(&mut self, time: Duration) {
        self.world.borrow_mut().now += time;
    }

    /// The keys in the state, in order.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let mut host = Host::new();
    /// host.within(|| state::increment("seen", 1, None))?;
    /// assert_eq!(host.state_keys(), ["seen"]);
    /// # Ok::<(), state::StateError>(())
    /// ```
    #[must_use]
    pub fn state_keys(&self) -> Vec<String> {
        self.world.borrow().live_keys()
    }

    /// Makes every call to the state fail, or work again with none.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let mut host = Host::new();
    /// host.fail_state(Some(state::StateError::TooLarge));
    /// assert_eq!(host.within(|| state::get("key")), Err(state::StateError::TooLarge));
    /// host.fail_state(None);
    /// assert_eq!(host.within(|| state::get("key")), Ok(None));
    /// ```
    pub fn fail_state(&mut self, error: Option<crate::state::StateError>) {
        self.world.borrow_mut().state_error = error;
    }

    /// The lines in the journal.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let mut host = Host::new();
    /// assert_eq!(host.within(|| journal::append("{}")), Ok(()));
    /// assert_eq!(host.journal(), ["{}"]);
    /// ```
    #[must_use]
    pub fn journal(&self) -> Vec<String> {
        self.world.borrow().journal.clone()
    }

    /// Makes every append fail, or work again with none.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let mut host = Host::new();
    /// host.fail_journal(Some(mock::JournalError::Full));
    /// assert_eq!(host.within(|| journal::append("{}")), Err(mock::JournalError::Full));
    /// ```
    pub fn fail_journal(&mut self, error: Option<JournalError>) {
        self.world.borrow_mut().journal_error = error;
    }

    /// The lines of the plugin's log.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let mut host = Host::new();
    /// host.within(|| log::warn!("look"));
    /// assert_eq!(host.log(), [(mock::Level::Warn, "look".to_owned())]);
    /// ```
    #[must_use]
    pub fn log(&self) -> Vec<(Level, String)> {
        self.world.borrow().log.clone()
    }

    /// What was sent through [`emit`](crate::emit) since this was last asked.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let mut host = Host::new().own("org.test");
    /// host.within(|| emit::unsubscribed("a@org.test", "b@alpha.test"))?;
    /// assert_eq!(host.take_emitted().len(), 1);
    /// assert!(host.take_emitted().is_empty());
    /// # Ok::<(), String>(())
    /// ```
    pub fn take_emitted(&mut self) -> Vec<Emitted> {
        std::mem::take(&mut self.world.borrow_mut().emitted)
    }
}
