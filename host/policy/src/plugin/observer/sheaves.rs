//! Records on their way to an observer.
//!
//! In: decisions, from all streams, in the order in which they fall. Out: [`Sheaf`]s of their records, one
//! after the other. Bounded in number and, but for one record, in bytes; what finds no room is not taken,
//! and whoever brought it may wait for room. Either end learns that the other one is gone.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::{BATCH, QUEUE};
use crate::decision::{Decision, Scribe, Sheaf};

/// Sheaves that may wait, the one that grows included.
const SHEAVES: usize = QUEUE / BATCH;
/// A sheaf with so many bytes is complete, however few its records are. A usual record has 700.
const SHEAF_BYTES: usize = 256 * 1024;

/// A new way for records: its beginning and its end.
pub(super) fn sheaves() -> (Binder, Receiver) {
    let shared = Arc::<Shared>::default();
    (Binder(Arc::clone(&shared)), Receiver(shared))
}

/// Where records are put.
#[derive(Debug)]
pub(super) struct Binder(Arc<Shared>);

/// Where they come out.
#[derive(Debug)]
pub(super) struct Receiver(Arc<Shared>);

/// Why a record was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotTaken {
    /// There is no room.
    Full,
    /// Nobody takes records any more.
    Gone,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// For the receiver: something waits, much waits, or nothing more will come.
    more: Notify,
    /// For those who found no room.
    room: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    scribe: Scribe,
    complete: VecDeque<Sheaf>,
    growing: Sheaf,
    /// Empty ones, whose memory is used again.
    spare: Vec<Sheaf>,
    ended: bool,
    gone: bool,
}

impl Binder {
    /// Puts the decision's record behind all others.
    pub(super) fn put(&self, decision: &Decision) -> Result<(), NotTaken> {
        let mut waiting = self.0.lock();
        if waiting.gone {
            return Err(NotTaken::Gone);
        }
        if is_complete(&waiting.growing) {
            if waiting.complete.len() + 1 >= SHEAVES {
                return Err(NotTaken::Full);
            }
            waiting.close();
        }
        let first = waiting.is_empty();
        let Waiting {
            scribe, growing, ..
        } = &mut *waiting;
        scribe.add(decision, growing);
        let wakes = first || is_complete(growing) && waiting.is_much();
        drop(waiting);
        if wakes {
            self.0.more.notify_one();
        }
        Ok(())
    }

    /// The same, but waits for room.
    pub(super) async fn put_when_there_is_room(&self, decision: &Decision) -> Result<(), NotTaken> {
        loop {
            let mut room = std::pin::pin!(self.0.room.notified());
            // Room that comes between the look and the wait is not missed.
            room.as_mut().enable();
            match self.put(decision) {
                Err(NotTaken::Full) => room.await,
                other => return other,
            }
        }
    }
}

impl Drop for Binder {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.more.notify_one();
    }
}

impl Receiver {
    /// Waits for a record, then so long for others, unless many are there already or nothing more will come.
    /// None: nothing more will come.
    pub(super) async fn next(&self, patience: Duration) -> Option<Sheaf> {
        self.until(|waiting| waiting.ended || !waiting.is_empty())
            .await;
        let enough = self.until(|waiting| waiting.ended || waiting.is_much());
        // Whether enough has come or not: what is there is taken.
        let _ = timeout_at(Instant::now() + patience, enough).await;
        let sheaf = self.0.lock().take();
        self.0.room.notify_waiters();
        sheaf
    }

    /// Whether nothing more will come.
    pub(super) fn is_ended(&self) -> bool {
        self.0.lock().ended
    }

    /// Gives a sheaf back that was heard.
    pub(super) fn give_back(&self, mut sheaf: Sheaf) {
        // One record may be longer than all others together.
        if sheaf.bytes() < 2 * SHEAF_BYTES {
            sheaf.clear();
            let mut waiting = self.0.lock();
            if waiting.spare.len() < SHEAVES {
                waiting.spare.push(sheaf);
            }
        }
    }

    async fn until(&self, holds: impl Fn(&Waiting) -> bool) {
        loop {
            let more = self.0.more.notified();
            if holds(&self.0.lock()) {
                return;
            }
            more.await;
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.0.lock().gone = true;
        self.0.room.notify_waiters();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // The lock's sections add a whole record or move whole sheaves.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.complete.is_empty() && self.growing.len() == 0
    }

    /// Whether half of the room is taken.
    fn is_much(&self) -> bool {
        let growing = usize::from(is_complete(&self.growing));
        self.complete.len() + growing >= SHEAVES / 2
    }

    fn close(&mut self) {
        let next = self.spare.pop().unwrap_or_default();
        let full = std::mem::replace(&mut self.growing, next);
        self.complete.push_back(full);
    }

    fn take(&mut self) -> Option<Sheaf> {
        if self.complete.is_empty() && self.growing.len() > 0 {
            self.close();
        }
        self.complete.pop_front()
    }
}

fn is_complete(sheaf: &Sheaf) -> bool {
    sheaf.len() >= BATCH || sheaf.bytes() >= SHEAF_BYTES
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;

    use super::*;
    use crate::decision::tests::about;

    const NOW: Duration = Duration::ZERO;

    fn numbered(number: usize) -> Decision {
        about(number.to_string())
    }

    /// The reasons of the records, which the tests tell apart by.
    fn reasons(sheaf: &Sheaf) -> Vec<String> {
        let record = |at| serde_json::from_str::<serde_json::Value>(sheaf.record(at)?).ok();
        let records = (0..sheaf.len()).map(|at| record(at).unwrap());
        records
            .map(|record| record["reason"].as_str().unwrap().to_owned())
            .collect()
    }

    #[tokio::test]
    async fn everything_comes_out_once_in_order_and_no_more_waits_than_there_is_room_for() {
        let (binder, receiver) = sheaves();
        let taken = (0..)
            .map(numbered)
            .take_while(|it| binder.put(it).is_ok())
            .count();
        assert_eq!(taken, QUEUE);
        let mut heard = Vec::new();
        for _ in 0..SHEAVES {
            let sheaf = receiver.next(NOW).await.unwrap();
            assert!(sheaf.len() <= BATCH);
            heard.extend(reasons(&sheaf));
            receiver.give_back(sheaf);
        }
        let expected: Vec<_> = (0..QUEUE).map(|number| number.to_string()).collect();
        assert_eq!(heard, expected);
    }

    #[tokio::test]
    async fn long_records_fill_the_room_by_their_bytes() {
        let (binder, _receiver) = sheaves();
        let long = about("x".repeat(SHEAF_BYTES / 8));
        let taken = std::iter::repeat_with(|| binder.put(&long)).take_while(Result::is_ok);
        assert_eq!(taken.count(), 8 * SHEAVES);
    }

    #[tokio::test]
    async fn who_waits_for_room_goes_on_as_soon_as_there_is_some() {
        let (binder, receiver) = sheaves();
        (0..QUEUE).for_each(|number| binder.put(&numbered(number)).unwrap());
        let last = numbered(QUEUE);
        let mut put = pin!(binder.put_when_there_is_room(&last));
        let waits = poll_fn(|cx| Poll::Ready(put.as_mut().poll(cx).is_pending())).await;
        assert!(waits);
        drop(receiver.next(NOW).await);
        assert_eq!(put.await, Ok(()));
    }

    #[tokio::test]
    async fn a_batch_waits_for_others_but_not_when_many_are_there_or_none_will_come() {
        let (binder, receiver) = sheaves();
        let long = Duration::from_secs(3600);
        (0..QUEUE / 2).for_each(|number| binder.put(&numbered(number)).unwrap());
        assert_eq!(receiver.next(long).await.unwrap().len(), BATCH);
        // One sheaf and one record are left: not many.
        binder.put(&numbered(0)).unwrap();
        let short = Duration::from_millis(1);
        assert_eq!(receiver.next(short).await.unwrap().len(), BATCH);
        drop(binder);
        assert_eq!(receiver.next(long).await.unwrap().len(), 1);
        assert!(receiver.next(long).await.is_none() && receiver.is_ended());
    }

    #[tokio::test]
    async fn nothing_is_taken_for_a_receiver_that_is_gone_and_nobody_waits_for_it() {
        let (binder, receiver) = sheaves();
        (0..QUEUE).for_each(|number| binder.put(&numbered(number)).unwrap());
        let last = numbered(QUEUE);
        let mut put = pin!(binder.put_when_there_is_room(&last));
        let waits = poll_fn(|cx| Poll::Ready(put.as_mut().poll(cx).is_pending())).await;
        assert!(waits);
        drop(receiver);
        assert_eq!(put.await, Err(NotTaken::Gone));
    }
}
