//! The generation that rules now.
//!
//! In: new generations, complete. Out: the current one, pinned by whoever enters. A swap is one
//! atomic step between two stanzas; the old generation retires by itself when the last stanza in it
//! is done and its observers have taken their last batch.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::generation::Generation;

/// Where streams and stanzas enter the policy.
pub struct Chain {
    current: ArcSwap<Generation>,
    alive: watch::Sender<usize>,
    /// Closed when the current generation is gone; the lock makes swaps one at a time.
    retired: Mutex<watch::Receiver<()>>,
}

/// Held by a generation and its observers for as long as any of them lives.
pub(crate) struct Alive {
    count: watch::Sender<usize>,
    /// Never sent on: closing it is the message.
    _retired: watch::Sender<()>,
}

impl Alive {
    fn new(count: &watch::Sender<usize>) -> (Arc<Self>, watch::Receiver<()>) {
        let (sender, receiver) = watch::channel(());
        count.send_modify(|alive| *alive += 1);
        (
            Arc::new(Self {
                count: count.clone(),
                _retired: sender,
            }),
            receiver,
        )
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.count
            .send_modify(|alive| *alive = alive.saturating_sub(1));
    }
}

impl Chain {
    /// A chain whose first generation rules from now on.
    #[must_use]
    pub fn new(first: Generation) -> Self {
        let count = watch::Sender::new(0);
        let (alive, retired) = Alive::new(&count);
        first.live(None, alive);
        Self {
            current: ArcSwap::from_pointee(first),
            alive: count,
            retired: Mutex::new(retired),
        }
    }

    /// The current generation. Hold it for one stanza or one stream's ruling, no longer: while it is
    /// held it cannot retire.
    #[must_use]
    pub fn enter(&self) -> Arc<Generation> {
        self.current.load_full()
    }

    /// Makes `next` rule, and returns the generation that did. Drop it to let it retire. Call
    /// [`Generation::started`] on the new one afterwards.
    pub fn swap(&self, next: Generation) -> Arc<Generation> {
        let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        let (alive, next_retired) = Alive::new(&self.alive);
        let before = std::mem::replace(&mut *retired, next_retired);
        next.live(Some(before), alive);
        self.current.swap(Arc::new(next))
    }

    /// How many generations are not gone yet; 1 at rest.
    #[must_use]
    pub fn alive(&self) -> usize {
        *self.alive.borrow()
    }

    /// Waits until only the current generation is alive and its observers have taken everything
    /// told so far. At the end of the process: put a limit of time around it.
    pub async fn settled(&self) {
        // The sender is a field of ours: the wait cannot fail.
        let _ = self.alive.subscribe().wait_for(|alive| *alive <= 1).await;
        self.enter().settled().await;
    }
}
