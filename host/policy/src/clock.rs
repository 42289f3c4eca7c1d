//! The clock that pauses are measured by.
//!
//! In: nothing, or how far a test has moved it. Out: an instant. Nothing fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// The machine's monotonic clock, or one that a test moves ahead of it.
#[derive(Clone, Debug, Default)]
pub struct Clock(Option<Arc<AtomicU64>>);

impl Clock {
    /// A clock that [`advance`](Self::advance) moves, in all its clones.
    #[must_use]
    pub fn movable() -> Self {
        Self(Some(Arc::default()))
    }

    /// Moves a movable clock; the machine's own goes as it goes.
    pub fn advance(&self, by: Duration) {
        if let Some(ahead) = &self.0 {
            ahead.fetch_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX), Relaxed);
        }
    }

    /// What it shows.
    #[must_use]
    pub fn now(&self) -> Instant {
        let ahead = self.0.as_ref().map_or(0, |ahead| ahead.load(Relaxed));
        Instant::now() + Duration::from_nanos(ahead)
    }
}
