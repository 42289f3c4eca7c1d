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
    idle: Mutex<Vec<Instance>>,
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
            idle: Mutex::new(instances),
        }
    }

    /// Waits for a free place. The instance is none if the last one in it was lost. None at all: the
    /// pool has no places.
    pub(crate) async fn lease(&self) -> Option<(Lease<'_>, Option<Instance>)> {
        let permit = self.permits.acquire().await.ok()?;
        let instance = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        Some((
            Lease {
                pool: self,
                _permit: permit,
            },
            instance,
        ))
    }
}

impl Lease<'_> {
    /// Gives back an instance whose call ended well.
    pub(crate) fn give_back(self, instance: Instance) {
        self.pool
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(instance);
    }
}
