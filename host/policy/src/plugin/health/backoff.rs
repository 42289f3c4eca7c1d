//! Leaving alone what failed again and again, for longer each time.
//!
//! In: strikes, and the outcomes of trials. Out: whether to ask now. While it rests one call, the trial,
//! may be made after each pause; whoever comes meanwhile is turned away, so that what comes back is
//! not overrun. Each failed trial doubles the pause. What rests again soon after it recovered goes on
//! with twice the pause that it had.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use time::OffsetDateTime;

/// The first pause; it doubles with each failed trial.
pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause: an operator who repairs the cause waits no longer.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Who has worked for so long after a rest begins anew with the first pause.
pub(super) const PROBATION: Duration = Duration::from_secs(60);

/// What a call that may be made stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// There was no rest when it began.
    Free,
    /// The one call after a pause: its outcome ends the rest or prolongs it.
    Trial,
}

#[derive(Debug, Default)]
pub(super) struct Backoff {
    pub(super) strikes: u32,
    rest: Option<Rest>,
    /// The last rest's last pause, and when it ended.
    before: Option<(Duration, Instant)>,
}

#[derive(Debug)]
pub(super) struct Rest {
    pub(super) since: OffsetDateTime,
    /// When the next trial may be made.
    pub(super) until: Instant,
    pub(super) pause: Duration,
}

impl Backoff {
    pub(super) fn rest(&self) -> Option<&Rest> {
        self.rest.as_ref()
    }

    pub(super) fn turns_away(&self, now: Instant) -> bool {
        self.rest.as_ref().is_some_and(|rest| now < rest.until)
    }

    /// Begins a call that is not turned away; the first one after a pause is the trial.
    pub(super) fn begin_call(&mut self, now: Instant) -> Call {
        match &mut self.rest {
            None => Call::Free,
            Some(rest) => {
                // A trial that is cancelled has no outcome: the next one comes after another pause.
                rest.until = now + rest.pause;
                Call::Trial
            }
        }
    }

    /// Clears the strikes; returns the rest that this call has ended.
    pub(super) fn succeeded(&mut self, now: Instant, call: Call) -> Option<Rest> {
        if self.rest.is_some() && call == Call::Free {
            // It began before the rest did, and says nothing about what came since.
            return None;
        }
        self.strikes = 0;
        let rest = self.rest.take()?;
        self.before = Some((rest.pause, now));
        Some(rest)
    }

    /// Whether a failure is a strike: nothing that fails during a rest is.
    pub(super) fn strike(&mut self) -> bool {
        if self.rest.is_none() {
            self.strikes = self.strikes.saturating_add(1);
        }
        self.rest.is_none()
    }

    /// Begins a rest; returns its first pause.
    pub(super) fn lie_down(&mut self, now: Instant) -> Duration {
        let pause = match self.before {
            Some((pause, ended)) if now.saturating_duration_since(ended) < PROBATION => {
                doubled(pause)
            }
            _ => FIRST_PAUSE,
        };
        self.rest = Some(Rest {
            since: OffsetDateTime::now_utc(),
            until: now + spread(pause),
            pause,
        });
        pause
    }

    /// A trial has failed.
    pub(super) fn prolong(&mut self, now: Instant) {
        if let Some(rest) = &mut self.rest {
            rest.pause = doubled(rest.pause);
            rest.until = now + spread(rest.pause);
        }
    }

    /// Whether it says nothing any more.
    pub(super) fn is_past(&self, now: Instant) -> bool {
        let recent = |(_, ended): (Duration, Instant)| now < ended + PROBATION;
        self.rest.is_none() && self.strikes == 0 && !self.before.is_some_and(recent)
    }
}

fn doubled(pause: Duration) -> Duration {
    pause.saturating_mul(2).min(LONGEST_PAUSE)
}

/// Up to an eighth less, so that plugins that failed together are not tried together.
fn spread(pause: Duration) -> Duration {
    let eighth = pause / 8;
    let random = RandomState::new().hash_one(()) % 1024;
    let part = u32::try_from(random).unwrap_or(0);
    pause.saturating_sub(eighth * part / 1024)
}
