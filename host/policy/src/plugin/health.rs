//! When a plugin fails again and again, it is left alone for a while.
//!
//! In: the outcome of each call. Out: whether the plugin may be asked now. Only failures without a
//! success between them count: one poisonous stanza among good ones costs an instance, not the
//! plugin. In quarantine one call, the trial, is made after each pause; whoever comes meanwhile is
//! turned away, so a plugin that comes back is not overrun. Each failed trial doubles the pause. A
//! plugin that is quarantined again soon after it recovered goes on with the pause that it had.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use crate::status;

/// Failures in a row that quarantine a plugin: more than a burst of bad luck, few enough that a
/// broken plugin costs milliseconds.
const STRIKES: u32 = 5;
/// The first pause; it doubles with each failed trial.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause: an operator who repairs the cause waits no longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Who has worked for so long after a quarantine begins anew with the first pause.
const PROBATION: Duration = Duration::from_secs(60);

/// One plugin's record.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// False: healthy and without strikes, so that nobody needs the lock.
    troubled: AtomicBool,
    record: Mutex<Record>,
}

#[derive(Debug, Default)]
struct Record {
    strikes: u32,
    quarantine: Option<Quarantine>,
    /// The last quarantine's last pause, and when it ended.
    before: Option<(Duration, Instant)>,
    last_failure: Option<String>,
}

#[derive(Debug)]
struct Quarantine {
    since: OffsetDateTime,
    /// When the next trial may be made.
    until: Instant,
    pause: Duration,
}

/// What a call that may be made stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Asked {
    /// The plugin was not in quarantine when the call began.
    Freely,
    /// The one call after a pause: its outcome ends the quarantine or prolongs it.
    OnTrial,
}

/// What a call's outcome changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Turn {
    /// Nothing that anybody must hear.
    Nothing,
    /// Quarantined from now on, for so long at first.
    Quarantined(Duration),
    /// It works again.
    Recovered,
}

impl Health {
    /// Whether it would be turned away now; reserves no trial.
    pub(crate) fn is_resting(&self, now: Instant) -> bool {
        self.troubled.load(Ordering::Acquire)
            && (self.record().quarantine.as_ref()).is_some_and(|quarantine| now < quarantine.until)
    }

    /// Whether the plugin may be asked. In quarantine one trial is allowed after each pause.
    pub(crate) fn may_ask(&self, now: Instant) -> Option<Asked> {
        if !self.troubled.load(Ordering::Acquire) {
            return Some(Asked::Freely);
        }
        let mut record = self.record();
        let Some(quarantine) = &mut record.quarantine else {
            return Some(Asked::Freely);
        };
        if now < quarantine.until {
            return None;
        }
        // A trial that is cancelled has no outcome: the next one comes after another pause.
        quarantine.until = now + quarantine.pause;
        Some(Asked::OnTrial)
    }

    pub(crate) fn succeeded(&self, now: Instant, asked: Asked) -> Turn {
        if !self.troubled.load(Ordering::Acquire) {
            return Turn::Nothing;
        }
        let mut record = self.record();
        if record.quarantine.is_some() && asked == Asked::Freely {
            // It began before the quarantine did, and says nothing about what came since.
            return Turn::Nothing;
        }
        record.strikes = 0;
        self.troubled.store(false, Ordering::Release);
        match record.quarantine.take() {
            Some(quarantine) => {
                record.before = Some((quarantine.pause, now));
                Turn::Recovered
            }
            None => Turn::Nothing,
        }
    }

    pub(crate) fn failed(&self, now: Instant, failure: String, asked: Asked) -> Turn {
        let mut record = self.record();
        record.last_failure = Some(failure);
        self.troubled.store(true, Ordering::Release);
        if let Some(quarantine) = &mut record.quarantine {
            if asked == Asked::OnTrial {
                quarantine.pause = doubled(quarantine.pause);
                quarantine.until = now + spread(quarantine.pause);
            }
            return Turn::Nothing;
        }
        record.strikes = record.strikes.saturating_add(1);
        if record.strikes < STRIKES {
            return Turn::Nothing;
        }
        let pause = match record.before {
            Some((pause, ended)) if now.saturating_duration_since(ended) < PROBATION => {
                doubled(pause)
            }
            _ => FIRST_PAUSE,
        };
        record.quarantine = Some(Quarantine {
            since: OffsetDateTime::now_utc(),
            until: now + spread(pause),
            pause,
        });
        Turn::Quarantined(pause)
    }

    /// Keeps the text of a failure that is no strike.
    pub(crate) fn note(&self, failure: String) {
        self.record().last_failure = Some(failure);
    }

    pub(crate) fn quarantine(&self) -> Option<status::Quarantine> {
        if !self.troubled.load(Ordering::Acquire) {
            return None;
        }
        let record = self.record();
        let quarantine = record.quarantine.as_ref()?;
        let left = quarantine.until.saturating_duration_since(Instant::now());
        Some(status::Quarantine {
            since: quarantine.since,
            until: Some(OffsetDateTime::now_utc() + left),
        })
    }

    pub(crate) fn last_failure(&self) -> Option<String> {
        self.record().last_failure.clone()
    }

    fn record(&self) -> std::sync::MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(health: &Health, now: Instant) -> Turn {
        health.failed(now, "trap".to_owned(), Asked::Freely)
    }

    fn fail_trial(health: &Health, now: Instant) {
        assert_eq!(health.may_ask(now), Some(Asked::OnTrial));
        let turn = health.failed(now, "trap".to_owned(), Asked::OnTrial);
        assert_eq!(turn, Turn::Nothing, "told once");
    }

    /// Asserts that the next trial is after this pause or at most an eighth earlier.
    fn rests(health: &Health, now: Instant, pause: Duration) {
        let early = now + pause - pause / 8 - Duration::from_millis(1);
        assert_eq!(health.may_ask(early), None, "{pause:?}");
    }

    fn quarantined(now: Instant) -> Health {
        let health = Health::default();
        for _ in 1..STRIKES {
            assert_eq!(fail(&health, now), Turn::Nothing);
            assert_eq!(health.may_ask(now), Some(Asked::Freely));
        }
        assert_eq!(fail(&health, now), Turn::Quarantined(FIRST_PAUSE));
        health
    }

    #[test]
    fn failures_in_a_row_quarantine() {
        let now = Instant::now();
        let health = quarantined(now);
        rests(&health, now, FIRST_PAUSE);
        assert!(health.quarantine().is_some());
    }

    #[test]
    fn a_success_between_failures_clears_the_strikes() {
        let (health, now) = (Health::default(), Instant::now());
        for _ in 0..10 {
            assert_eq!(fail(&health, now), Turn::Nothing);
            assert_eq!(health.succeeded(now, Asked::Freely), Turn::Nothing);
        }
    }

    #[test]
    fn quarantine_ends_with_a_trial_that_succeeds() {
        let start = Instant::now();
        let health = quarantined(start);
        let trial = start + FIRST_PAUSE;
        assert_eq!(health.may_ask(trial), Some(Asked::OnTrial));
        assert_eq!(health.may_ask(trial), None, "one trial at a time");
        assert_eq!(health.succeeded(trial, Asked::OnTrial), Turn::Recovered);
        assert_eq!(health.may_ask(trial), Some(Asked::Freely));
        assert_eq!(health.quarantine(), None);
    }

    #[test]
    fn of_a_crowd_after_the_pause_one_is_let_through() {
        let start = Instant::now();
        let health = quarantined(start);
        let trial = start + FIRST_PAUSE;
        let let_through: usize = std::thread::scope(|scope| {
            let ask = || usize::from(health.may_ask(trial).is_some());
            let crowd: Vec<_> = (0..16).map(|_| scope.spawn(ask)).collect();
            crowd.into_iter().map(|one| one.join().unwrap()).sum()
        });
        assert_eq!(let_through, 1);
    }

    #[test]
    fn the_outcome_of_a_call_from_before_the_quarantine_changes_nothing() {
        let now = Instant::now();
        let health = quarantined(now);
        assert_eq!(health.succeeded(now, Asked::Freely), Turn::Nothing);
        assert_eq!(fail(&health, now), Turn::Nothing);
        assert!(health.quarantine().is_some());
        assert_eq!(
            health.may_ask(now + FIRST_PAUSE),
            Some(Asked::OnTrial),
            "the pause is what it was"
        );
    }

    #[test]
    fn each_failed_trial_doubles_the_pause_up_to_a_bound() {
        let mut now = Instant::now();
        let health = quarantined(now);
        let mut pause = FIRST_PAUSE;
        for _ in 0..10 {
            now += pause;
            fail_trial(&health, now);
            pause = (pause * 2).min(LONGEST_PAUSE);
            rests(&health, now, pause);
        }
        assert_eq!(pause, LONGEST_PAUSE);
    }

    #[test]
    fn a_relapse_goes_on_with_the_pause_and_a_later_failure_begins_anew() {
        let start = Instant::now();
        let health = quarantined(start);
        let trial = start + FIRST_PAUSE;
        fail_trial(&health, trial);
        let second = trial + FIRST_PAUSE * 2;
        assert_eq!(health.may_ask(second), Some(Asked::OnTrial));
        assert_eq!(health.succeeded(second, Asked::OnTrial), Turn::Recovered);
        for _ in 1..STRIKES {
            assert_eq!(fail(&health, second), Turn::Nothing);
        }
        let relapse = Turn::Quarantined(FIRST_PAUSE * 4);
        assert_eq!(fail(&health, second), relapse);

        let third = second + FIRST_PAUSE * 4;
        assert_eq!(health.may_ask(third), Some(Asked::OnTrial));
        assert_eq!(health.succeeded(third, Asked::OnTrial), Turn::Recovered);
        let later = third + PROBATION;
        for _ in 1..STRIKES {
            assert_eq!(fail(&health, later), Turn::Nothing);
        }
        assert_eq!(fail(&health, later), Turn::Quarantined(FIRST_PAUSE));
    }
}
