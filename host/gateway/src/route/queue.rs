//! The bounded queue of one pair of domains.
//!
//! In: stanzas, from the sessions that read them and from bounces. Out: batches, to the one task
//! that owns the pair's stream. A full queue refuses; it never grows and never loses anything. Order
//! is kept, also by what is put back. Every method is short and takes one lock, never across a wait.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::outgoing::Outgoing;

/// Stanzas that may wait for one pair of domains: some seconds of a busy partner's traffic.
const STANZAS: usize = 1024;
/// Bytes that may wait for one pair of domains.
const BYTES: usize = 8 * 1024 * 1024;
/// What error replies may use beyond that, so that a sender hears of a full queue even if the other
/// way is full too. They carry no payload and so are small.
const OWN_STANZAS: usize = 2 * STANZAS;
/// See [`OWN_STANZAS`].
const OWN_BYTES: usize = BYTES + 1024 * 1024;

/// Why a stanza was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No room.
    Full,
    /// The pair's task has ended; the next look-up makes a new one.
    Ended,
}

#[derive(Debug)]
struct Inner {
    stanzas: VecDeque<Outgoing>,
    bytes: usize,
    ended: bool,
    /// When something was last taken out, or put into the empty queue.
    progress: Instant,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
    filled: Notify,
    taken: Notify,
}

impl Queue {
    pub(super) fn new() -> Self {
        let inner = Inner {
            stanzas: VecDeque::new(),
            bytes: 0,
            ended: false,
            progress: Instant::now(),
        };
        Self {
            inner: Mutex::new(inner),
            filled: Notify::new(),
            taken: Notify::new(),
        }
    }

    /// Puts a stanza at the end, without waking the task: see [`wake`](Self::wake).
    pub(super) fn push(&self, outgoing: Outgoing) -> Result<(), (Outgoing, Refusal)> {
        let (stanzas, bytes) = if outgoing.is_own() {
            (OWN_STANZAS, OWN_BYTES)
        } else {
            (STANZAS, BYTES)
        };
        let mut inner = self.lock();
        if inner.ended {
            return Err((outgoing, Refusal::Ended));
        }
        if !inner.room(stanzas, bytes, outgoing.size()) {
            return Err((outgoing, Refusal::Full));
        }
        if inner.stanzas.is_empty() {
            inner.progress = Instant::now();
        }
        inner.bytes = inner.bytes.saturating_add(outgoing.size());
        inner.stanzas.push_back(outgoing);
        Ok(())
    }

    /// Whether a stanza of this size would be taken now.
    pub(super) fn has_room(&self, size: usize) -> bool {
        let inner = self.lock();
        inner.ended || inner.room(STANZAS, BYTES, size)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().stanzas.is_empty()
    }

    /// Tells the task that there is something. Called once after the stanzas of one read, so that
    /// they leave in one write.
    pub(super) fn wake(&self) {
        self.filled.notify_one();
    }

    /// Waits until a stanza of this size would be taken, but no longer than until the queue has
    /// stood still for `patience`.
    pub(super) async fn room(&self, size: usize, patience: Duration) {
        loop {
            let taken = self.taken.notified();
            tokio::pin!(taken);
            taken.as_mut().enable();
            let deadline = {
                let inner = self.lock();
                if inner.ended || inner.room(STANZAS, BYTES, size) {
                    return;
                }
                inner.progress + patience
            };
            if timeout_at(deadline, taken).await.is_err() {
                let inner = self.lock();
                if inner.progress + patience <= Instant::now() {
                    return;
                }
            }
        }
    }

    /// Waits until there is something to take.
    pub(super) async fn filled(&self) {
        loop {
            let filled = self.filled.notified();
            tokio::pin!(filled);
            filled.as_mut().enable();
            if !self.lock().stanzas.is_empty() {
                return;
            }
            filled.await;
        }
    }

    /// Takes stanzas from the front until they make `bytes`, and at least one if there is one.
    pub(super) fn take(&self, bytes: usize) -> Vec<Outgoing> {
        let mut batch = Vec::new();
        let mut sum: usize = 0;
        let mut inner = self.lock();
        while sum < bytes {
            let Some(next) = inner.stanzas.pop_front() else {
                break;
            };
            sum = sum.saturating_add(next.size());
            batch.push(next);
        }
        if !batch.is_empty() {
            inner.bytes = inner.bytes.saturating_sub(sum);
            inner.progress = Instant::now();
            drop(inner);
            self.taken.notify_waiters();
        }
        batch
    }

    /// Takes the gateway's own stanzas from anywhere in the queue, up to `bytes`.
    pub(super) fn take_own(&self, bytes: usize) -> Vec<Outgoing> {
        let mut sum: usize = 0;
        let mut inner = self.lock();
        let (mut own, mut others) = (Vec::new(), VecDeque::new());
        for outgoing in std::mem::take(&mut inner.stanzas) {
            if outgoing.is_own() && sum < bytes {
                sum = sum.saturating_add(outgoing.size());
                own.push(outgoing);
            } else {
                others.push_back(outgoing);
            }
        }
        inner.stanzas = others;
        inner.bytes = inner.bytes.saturating_sub(sum);
        own
    }

    /// Puts back what was taken but surely not sent, before everything else.
    pub(super) fn put_back(&self, batch: Vec<Outgoing>) {
        let mut inner = self.lock();
        for outgoing in batch.into_iter().rev() {
            inner.bytes = inner.bytes.saturating_add(outgoing.size());
            inner.stanzas.push_front(outgoing);
        }
    }

    /// Ends the queue if it is empty. From then on it takes nothing.
    pub(super) fn end_if_empty(&self) -> bool {
        let mut inner = self.lock();
        inner.ended = inner.stanzas.is_empty();
        inner.ended
    }

    /// Stanzas and bytes that wait.
    pub(super) fn len(&self) -> (usize, usize) {
        let inner = self.lock();
        (inner.stanzas.len(), inner.bytes)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No code that holds the lock can leave the queue half changed.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn room(&self, stanzas: usize, bytes: usize, size: usize) -> bool {
        // An empty queue takes any stanza: its size was limited when it was read.
        self.stanzas.is_empty()
            || (self.stanzas.len() < stanzas && self.bytes.saturating_add(size) <= bytes)
    }
}

#[cfg(test)]
mod tests {
    use portcullis_xmpp::jid::Jid;
    use portcullis_xmpp::stanza::Stanza;

    use super::*;
    use crate::observe::GatewayStanza;

    fn numbered(n: usize) -> Outgoing {
        let from = Jid::parse(&format!("user{n}@org.test")).unwrap();
        let to = Jid::parse("contact@alpha.test").unwrap();
        Outgoing::own(Stanza::unavailable(from, to), GatewayStanza::Emitted)
    }

    fn numbers(batch: &[Outgoing]) -> Vec<String> {
        batch
            .iter()
            .map(|outgoing| outgoing.stanza.from().as_str().to_owned())
            .collect()
    }

    #[test]
    fn ord_01_what_is_put_back_comes_first_again() {
        let queue = Queue::new();
        for n in 0..4 {
            queue.push(numbered(n)).unwrap();
        }
        let size = numbered(0).size();
        let mut batch = queue.take(2 * size);
        assert_eq!(numbers(&batch), ["user0@org.test", "user1@org.test"]);
        drop(batch.remove(0));
        queue.put_back(batch);
        let rest = queue.take(usize::MAX);
        assert_eq!(
            numbers(&rest),
            ["user1@org.test", "user2@org.test", "user3@org.test"]
        );
        assert_eq!(queue.len(), (0, 0));
    }

    #[test]
    fn a_full_queue_gives_the_stanza_back() {
        let queue = Queue::new();
        for n in 0..OWN_STANZAS {
            queue.push(numbered(n)).unwrap();
        }
        let (back, refusal) = queue.push(numbered(7)).unwrap_err();
        assert_eq!(
            (numbers(&[back]), refusal),
            (vec!["user7@org.test".to_owned()], Refusal::Full)
        );
        assert_eq!(queue.take_own(usize::MAX).len(), OWN_STANZAS);
        assert!(queue.is_empty());
    }

    #[test]
    fn an_ended_queue_takes_nothing_and_one_with_work_does_not_end() {
        let queue = Queue::new();
        queue.push(numbered(0)).unwrap();
        assert!(!queue.end_if_empty());
        drop(queue.take(1));
        assert!(queue.end_if_empty());
        assert!(matches!(queue.push(numbered(1)), Err((_, Refusal::Ended))));
    }

    #[tokio::test]
    async fn waiting_for_room_ends_when_the_queue_stands_still() {
        let began = Instant::now();
        let queue = Queue::new();
        for n in 0..STANZAS {
            queue.push(numbered(n)).unwrap();
        }
        let patience = Duration::from_millis(50);
        queue.room(1, patience).await;
        assert!(!queue.has_room(1));
        assert!(began.elapsed() >= patience);
        let patience = Duration::from_secs(60);
        let waited = tokio::join!(queue.room(1, patience), async { drop(queue.take(1)) });
        assert_eq!(waited, ((), ()));
        assert!(queue.has_room(1));
    }
}
