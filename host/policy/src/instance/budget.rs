//! How long a call may take: CPU time first, wall-clock time as the last resort.
//!
//! The epoch interrupts a running guest once a millisecond; [`Meter::tick`] then compares the
//! thread's CPU clock with the budget and lets the guest yield while it is below. A call that ends
//! before its first tick reads no clock at all, so nearly every call costs nothing here. The price:
//! up to one tick is not charged. A machine that pauses is charged to no plugin.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::Poll;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::time::{Sleep, sleep};

use crate::engine::Pulse;

/// What a call may use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    pub(crate) cpu: Duration,
    pub(crate) wall: Duration,
}

impl Budget {
    /// A plugin that waits (`sleep`) uses no CPU but holds its stanza: the wall-clock cap ends that.
    /// Fifty times the budget, since a loaded machine may run a guest at a fraction of its speed; at
    /// least two seconds, which no pause of a healthy machine exceeds.
    pub(crate) fn of(cpu: Duration) -> Self {
        Self {
            cpu,
            wall: cpu.saturating_mul(50).max(Duration::from_secs(2)),
        }
    }

    /// For calls that may take longer.
    pub(crate) fn times(self, factor: u32) -> Self {
        Self::of(self.cpu.saturating_mul(factor))
    }
}

/// Why a call was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Overrun {
    #[error("it used more CPU time than its budget of {0:?}")]
    Cpu(Duration),
    #[error("it did not return within {0:?}")]
    Wall(Duration),
}

/// No baseline is set.
const UNSET: u64 = u64::MAX;

/// Counts the CPU time of one instance's running call. Only one thread at a time touches it: the
/// one that polls the call.
#[derive(Debug)]
pub(crate) struct Meter {
    used: AtomicU64,
    baseline: AtomicU64,
    limit: AtomicU64,
    pulse: Arc<Pulse>,
}

impl Meter {
    pub(crate) fn new(pulse: Arc<Pulse>) -> Arc<Self> {
        Arc::new(Self {
            used: AtomicU64::new(0),
            baseline: AtomicU64::new(UNSET),
            limit: AtomicU64::new(0),
            pulse,
        })
    }

    /// The epoch has advanced while the guest ran.
    pub(crate) fn tick(&self) -> Result<(), Overrun> {
        self.pulse.running();
        self.charge();
        let limit = self.limit.load(Relaxed);
        if self.used.load(Relaxed) > limit {
            return Err(Overrun::Cpu(Duration::from_nanos(limit)));
        }
        Ok(())
    }

    /// Runs one call to its end or its limit. After an `Err` the store must be thrown away: the call
    /// was dropped in its middle.
    ///
    /// The call comes pinned: it is large, and moving it from future to future costs more than
    /// all the rest here.
    pub(crate) async fn run<F: Future>(
        &self,
        budget: Budget,
        mut call: Pin<&mut F>,
    ) -> Result<F::Output, Overrun> {
        self.used.store(0, Relaxed);
        self.baseline.store(UNSET, Relaxed);
        self.limit.store(
            u64::try_from(budget.cpu.as_nanos()).unwrap_or(u64::MAX),
            Relaxed,
        );
        self.pulse.running();

        let mut wall: Option<Pin<Box<Sleep>>> = None;
        poll_fn(|context| {
            if wall.is_some() {
                self.baseline.store(thread_cpu(), Relaxed);
            }
            if let Poll::Ready(output) = call.as_mut().poll(context) {
                return Poll::Ready(Ok(output));
            }
            // The next poll may be on another thread, with another clock.
            if self.baseline.load(Relaxed) != UNSET {
                self.charge();
                self.baseline.store(UNSET, Relaxed);
            }
            let wall = wall.get_or_insert_with(|| Box::pin(sleep(budget.wall)));
            wall.as_mut()
                .poll(context)
                .map(|()| Err(Overrun::Wall(budget.wall)))
        })
        .await
    }

    fn charge(&self) {
        let now = thread_cpu();
        let baseline = self.baseline.swap(now, Relaxed);
        if baseline != UNSET {
            self.used.fetch_add(now.saturating_sub(baseline), Relaxed);
        }
    }
}

/// CPU time of this thread in nanoseconds.
fn thread_cpu() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(nanoseconds)
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    /// Burns CPU time, as a guest between two ticks.
    fn burn(time: Duration) {
        let end = thread_cpu() + u64::try_from(time.as_nanos()).unwrap();
        while thread_cpu() < end {}
    }

    async fn ticking(meter: &Meter, ticks: u32, between: impl Fn()) -> Result<(), Overrun> {
        for _ in 0..ticks {
            between();
            meter.tick()?;
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    #[tokio::test]
    async fn cpu_time_beyond_the_budget_ends_the_call() {
        let meter = Meter::new(Arc::default());
        let budget = Budget::of(Duration::from_millis(5));
        let call = ticking(&meter, 100, || burn(Duration::from_millis(1)));
        assert_eq!(
            meter.run(budget, pin!(call)).await.unwrap(),
            Err(Overrun::Cpu(budget.cpu))
        );
    }

    #[tokio::test]
    async fn time_that_the_thread_did_not_run_is_not_charged() {
        let meter = Meter::new(Arc::default());
        let budget = Budget::of(Duration::from_millis(5));
        let call = ticking(&meter, 20, || {
            std::thread::park_timeout(Duration::from_millis(2))
        });
        assert_eq!(meter.run(budget, pin!(call)).await.unwrap(), Ok(()));
    }

    #[tokio::test]
    async fn cpu_time_of_other_tasks_on_the_thread_is_not_charged() {
        let meter = Meter::new(Arc::default());
        let budget = Budget::of(Duration::from_millis(5));
        let neighbour = async {
            for _ in 0..20 {
                burn(Duration::from_millis(1));
                tokio::task::yield_now().await;
            }
        };
        let call = pin!(ticking(&meter, 20, || {}));
        let (outcome, ()) = tokio::join!(meter.run(budget, call), neighbour);
        assert_eq!(outcome.unwrap(), Ok(()));
    }

    #[tokio::test]
    async fn a_call_that_never_returns_ends_at_the_wall_clock_cap() {
        let meter = Meter::new(Arc::default());
        let wall = Duration::from_millis(20);
        let budget = Budget { cpu: wall, wall };
        let outcome = meter.run(budget, pin!(std::future::pending::<()>())).await;
        assert_eq!(outcome, Err(Overrun::Wall(wall)));
    }
}
