//! What came on a managed stream, and how much of it is settled (XEP-0198): the end that acknowledges.
//!
//! In: stanzas as they come, and the drop of the [`Ticket`] that travels with each until it has ended.
//! Out: what to answer: the longest prefix of the stream that is settled (SM-02), and again when more
//! is, if the peer has asked before that.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use portcullis_xmpp::management::{Nonza, Received};
use tokio::sync::Notify;

/// See the module.
#[derive(Debug)]
pub(super) struct Handled {
    shared: Arc<Shared>,
    /// The peer has asked, and was not told of everything since.
    owed: bool,
    told: u32,
}

#[derive(Debug, Default)]
struct Shared {
    received: Mutex<Received>,
    settled: Notify,
}

/// Settles its stanza when it is dropped.
#[derive(Debug)]
#[must_use]
pub(super) struct Ticket {
    shared: Arc<Shared>,
    number: u64,
}

impl Handled {
    pub(super) fn new() -> Self {
        Self {
            shared: Arc::default(),
            owed: false,
            told: 0,
        }
    }

    /// A stanza came.
    pub(super) fn receive(&self) -> Ticket {
        Ticket {
            number: self.shared.received().receive(),
            shared: Arc::clone(&self.shared),
        }
    }

    /// The stream goes on over another connection: how many stanzas came, for all of which we answer.
    pub(super) fn take_over(&mut self) -> u32 {
        self.told = self.shared.received().take_over();
        self.owed = false;
        self.told
    }

    /// The peer asks; what it is to be told.
    pub(super) fn answer(&mut self) -> Nonza {
        let received = self.shared.received();
        let (handled, waiting) = (received.handled(), received.waiting());
        drop(received);
        self.told = handled;
        self.owed = waiting > 0;
        Nonza::Answer { handled }
    }

    /// Waits until there is more to tell than the peer was told. May be cancelled.
    pub(super) async fn more(&self) {
        loop {
            let settled = self.shared.settled.notified();
            tokio::pin!(settled);
            settled.as_mut().enable();
            if self.owed && self.shared.received().handled() != self.told {
                return;
            }
            settled.await;
        }
    }
}

impl Shared {
    fn received(&self) -> MutexGuard<'_, Received> {
        // The lock's sections call one method each.
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.shared.received().settle(self.number);
        self.shared.settled.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn sm_02_only_the_settled_prefix_is_acknowledged_and_the_rest_follows() {
        let mut handled = Handled::new();
        let (first, second, third) = (handled.receive(), handled.receive(), handled.receive());
        drop(second);
        assert_eq!(handled.answer(), Nonza::Answer { handled: 0 });
        let early = timeout(Duration::from_millis(20), handled.more()).await;
        assert!(early.is_err());
        drop(first);
        handled.more().await;
        assert_eq!(handled.answer(), Nonza::Answer { handled: 2 });
        drop(third);
        handled.more().await;
        assert_eq!(handled.answer(), Nonza::Answer { handled: 3 });
        // Nobody asks any more.
        drop(handled.receive());
        let quiet = timeout(Duration::from_millis(20), handled.more()).await;
        assert!(quiet.is_err());
    }
    #[tokio::test]
    async fn sm_01_what_came_on_the_lost_connection_is_answered_for_on_the_next_one() {
        let mut handled = Handled::new();
        let (first, second) = (handled.receive(), handled.receive());
        assert_eq!(handled.answer(), Nonza::Answer { handled: 0 });
        assert_eq!(handled.take_over(), 2);
        drop(second);
        drop(first);
        // The question was asked on a connection that is gone.
        let quiet = timeout(Duration::from_millis(20), handled.more()).await;
        assert!(quiet.is_err());
        assert_eq!(handled.answer(), Nonza::Answer { handled: 2 });
        drop(handled.receive());
        assert_eq!(handled.answer(), Nonza::Answer { handled: 3 });
    }
}
