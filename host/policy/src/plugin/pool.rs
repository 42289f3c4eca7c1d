//! A plugin's instances.
//!
//! In: a wish for an instance. Out: a lease on one. An instance goes back only when its call has ended
//! well; whatever else happens to it (failure, a task that was cancelled in the middle of a call), it
//! is dropped with its lease, and the next lease builds a new one in its place.

use std::sync::{Mutex, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::instance::Instance;

pub(crate) struct Pool {
    /// As many permits as instances may exist.
    permits: Semaphore,
    /// The last one back is the first one out: its memory is warm.
    /// Boxed: an instance is large, and goes through many hands in a call.
    #[allow(clippy::vec_box, reason = "what moves is what is taken out")]
    idle: Mutex<Vec<Box<Instance>>>,
}

/// The right to one instance.
pub(crate) struct Lease<'a> {
    pool: &'a Pool,
    _permit: SemaphorePermit<'a>,
}

impl Pool {
    pub(crate) fn new(instances: Vec<Instance>) -> Self {
        Self {
            permits: Semaphore::new(instances.len()),
            idle: Mutex::new(instances.into_iter().map(Box::new).collect()),
        }
    }

    /// A free place, if nobody has to wait for one. The instance is none if the last one in it was
    /// lost.
    pub(crate) fn lease_now(&self) -> Option<(Lease<'_>, Option<Box<Instance>>)> {
        Some(self.leased(self.permits.try_acquire().ok()?))
    }

    /// Waits for a free place. None at all: the pool has no places.
    pub(crate) async fn lease(&self) -> Option<(Lease<'_>, Option<Box<Instance>>)> {
        Some(self.leased(self.permits.acquire().await.ok()?))
    }

    fn leased<'a>(&'a self, permit: SemaphorePermit<'a>) -> (Lease<'a>, Option<Box<Instance>>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let instance = idle.pop();
        let lease = Lease {
            pool: self,
            _permit: permit,
        };
        (lease, instance)
    }
}

impl Lease<'_> {
    /// Gives back an instance whose call ended well.
    pub(crate) fn give_back(self, instance: Box<Instance>) {
        self.pool
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(instance);
    }
}
