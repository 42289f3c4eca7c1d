//! What became of the stanzas of one stream.
//!
//! In: numbers as they are sent and as they arrive. Out: how many arrived, how many came twice or
//! behind a later one, how many never, and how long each took. The sender and the receiver of a stream
//! share one tally.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::sync::Semaphore;

/// Times of departure are kept for so many stanzas, so no more of one stream are on their way at once.
pub(crate) const MOST_UNDERWAY: u64 = 16 * 1024;

pub(crate) struct Tally {
    clock: Instant,
    /// Nanoseconds of the clock at which each was sent, or could have been if the target had taken it.
    departures: Vec<AtomicU64>,
    /// What may still be sent.
    pub(crate) room: Semaphore,
    pub(crate) sent: AtomicU64,
    /// Microseconds by which the generator itself was late, where there is a rate.
    late: Mutex<Histogram<u64>>,
    arrivals: Mutex<Arrivals>,
}

/// What has arrived.
#[derive(Clone)]
pub(crate) struct Arrivals {
    pub(crate) arrived: u64,
    pub(crate) doubled: u64,
    pub(crate) reordered: u64,
    /// Microseconds. Empty until measuring begins.
    pub(crate) times: Histogram<u64>,
    pub(crate) measuring: bool,
    pub(crate) measured: u64,
    next: u64,
    missing: BTreeSet<u64>,
}

impl Arrivals {
    /// The numbers below the newest that have not arrived.
    pub(crate) fn missing(&self) -> impl Iterator<Item = u64> {
        self.missing.iter().copied()
    }

    /// Of what was sent, what has never arrived.
    pub(crate) fn lost(&self, sent: u64) -> u64 {
        sent - (self.arrived - self.doubled)
    }
}

impl Tally {
    pub(crate) fn new(clock: Instant, window: u32) -> Self {
        Self {
            clock,
            departures: (0..MOST_UNDERWAY).map(|_| AtomicU64::new(0)).collect(),
            room: Semaphore::new(usize::try_from(window).unwrap()),
            sent: AtomicU64::new(0),
            late: Mutex::new(Histogram::new_with_bounds(1, 600_000_000, 3).unwrap()),
            arrivals: Mutex::new(Arrivals {
                arrived: 0,
                doubled: 0,
                reordered: 0,
                times: Histogram::new_with_bounds(1, 600_000_000, 3).unwrap(),
                measuring: false,
                measured: 0,
                next: 0,
                missing: BTreeSet::new(),
            }),
        }
    }

    /// The stanza of this number leaves, or was held up by the target since this time.
    pub(crate) fn departs(&self, number: u64, at: Instant) {
        let nanoseconds = at.duration_since(self.clock).as_nanos();
        let slot = &self.departures[Self::slot(number)];
        slot.store(u64::try_from(nanoseconds).unwrap(), Relaxed);
        self.sent.fetch_add(1, Relaxed);
    }

    /// The generator could have sent a stanza by so much earlier.
    pub(crate) fn is_late(&self, by: Duration) {
        let microseconds = u64::try_from(by.as_micros()).unwrap().max(1);
        self.late.lock().unwrap().saturating_record(microseconds);
    }

    pub(crate) fn late(&self) -> Histogram<u64> {
        self.late.lock().unwrap().clone()
    }

    /// These have arrived, just now.
    pub(crate) fn arrive(&self, numbers: &[u64]) {
        let now = u64::try_from(self.clock.elapsed().as_nanos()).unwrap();
        let mut arrivals = self.arrivals.lock().unwrap();
        for &number in numbers {
            arrivals.arrived += 1;
            if number == arrivals.next {
                arrivals.next += 1;
            } else if number > arrivals.next {
                let skipped = arrivals.next..number;
                arrivals.missing.extend(skipped);
                arrivals.next = number + 1;
            } else if arrivals.missing.remove(&number) {
                arrivals.reordered += 1;
            } else {
                arrivals.doubled += 1;
                continue;
            }
            if arrivals.measuring {
                let departed = self.departures[Self::slot(number)].load(Relaxed);
                let microseconds = now.saturating_sub(departed) / 1000;
                arrivals.times.saturating_record(microseconds.max(1));
                arrivals.measured += 1;
            }
        }
        drop(arrivals);
        self.room.add_permits(numbers.len());
    }

    /// From now on times count, or no longer.
    pub(crate) fn measure(&self, measuring: Measuring) {
        self.arrivals.lock().unwrap().measuring = measuring == Measuring::On;
    }

    pub(crate) fn arrivals(&self) -> Arrivals {
        self.arrivals.lock().unwrap().clone()
    }

    /// Waits until everything sent has arrived, or so long.
    pub(crate) async fn settle(&self, patience: Duration) {
        let all_are_there = |arrivals: &Arrivals| arrivals.lost(self.sent.load(Relaxed)) == 0;
        self.wait_until(all_are_there, patience).await;
    }

    /// Waits until this one has arrived or a later one, or so long.
    pub(crate) async fn reaches(&self, number: u64, patience: Duration) {
        self.wait_until(|arrivals| arrivals.next > number, patience)
            .await;
    }

    async fn wait_until(&self, condition: impl Fn(&Arrivals) -> bool, patience: Duration) {
        let deadline = Instant::now() + patience;
        while !condition(&self.arrivals()) && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn slot(number: u64) -> usize {
        usize::try_from(number % MOST_UNDERWAY).unwrap()
    }
}

/// Whether times count.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measuring {
    On,
    Off,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_doubled_or_late_is_told_apart() {
        let tally = Tally::new(Instant::now(), 10);
        for number in 0..6 {
            tally.departs(number, Instant::now());
        }
        tally.arrive(&[0, 2, 1, 1, 5, 2]);
        let arrivals = tally.arrivals();
        assert_eq!((arrivals.doubled, arrivals.reordered), (2, 1));
        assert_eq!(arrivals.lost(6), 2);
    }
}
