//! A clock that wakes a task when it is due, and not at the next millisecond as the runtime's does: times
//! underway are shorter than that.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;

pub(crate) struct Alarm(AsyncFd<OwnedFd>);

impl Alarm {
    pub(crate) fn new() -> Self {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags).unwrap();
        #[allow(
            deprecated,
            reason = "the descriptor is owned here and closed by nobody else; its successor is unsafe"
        )]
        Self(AsyncFd::new(timer).unwrap())
    }

    /// Waits, or returns at once if it is past.
    pub(crate) async fn until(&self, due: Instant) {
        let wait = due.saturating_duration_since(Instant::now());
        if wait.is_zero() {
            return;
        }
        let once = Itimerspec {
            it_interval: spec(Duration::ZERO),
            it_value: spec(wait),
        };
        timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &once).unwrap();
        loop {
            let mut ready = self.0.readable().await.unwrap();
            let mut count = [0; 8];
            let read = ready.try_io(|timer| Ok(rustix::io::read(timer.get_ref(), &mut count)?));
            if matches!(read, Ok(Ok(_))) {
                return;
            }
        }
    }
}

fn spec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap(),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}
