//! When a plugin fails again and again, it is left alone for a while.
//!
//! In: the outcome of each call. Out: whether the plugin may be asked now. Only failures without a
//! success between them count: one poisonous stanza among good ones costs an instance, not the
//! plugin.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Failures in a row that quarantine a plugin: more than a burst of bad luck, few enough that a
/// broken plugin costs milliseconds.
const STRIKES: u32 = 5;
/// The first pause; it doubles with each failed trial.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause: an operator who repairs the cause waits no longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

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
    last_failure: Option<String>,
}

#[derive(Debug)]
struct Quarantine {
    /// When the next trial may be made.
    until: Instant,
    pause: Duration,
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
    /// Whether the plugin may be asked. In quarantine one trial is allowed after each pause.
    pub(crate) fn may_ask(&self, now: Instant) -> bool {
        if !self.troubled.load(Ordering::Acquire) {
            return true;
        }
        let mut record = self.record();
        let Some(quarantine) = &mut record.quarantine else {
            return true;
        };
        if now < quarantine.until {
            return false;
        }
        // A trial that is cancelled has no outcome: the next one comes after another pause.
        quarantine.until = now + quarantine.pause;
        true
    }

    pub(crate) fn succeeded(&self) -> Turn {
        if !self.troubled.load(Ordering::Acquire) {
            return Turn::Nothing;
        }
        let mut record = self.record();
        record.strikes = 0;
        self.troubled.store(false, Ordering::Release);
        match record.quarantine.take() {
            Some(_) => Turn::Recovered,
            None => Turn::Nothing,
        }
    }

    pub(crate) fn failed(&self, now: Instant, failure: String) -> Turn {
        let mut record = self.record();
        record.last_failure = Some(failure);
        record.strikes = record.strikes.saturating_add(1);
        self.troubled.store(true, Ordering::Release);
        if let Some(quarantine) = &mut record.quarantine {
            quarantine.pause = quarantine.pause.saturating_mul(2).min(LONGEST_PAUSE);
            quarantine.until = now + quarantine.pause;
            return Turn::Nothing;
        }
        if record.strikes < STRIKES {
            return Turn::Nothing;
        }
        record.quarantine = Some(Quarantine {
            until: now + FIRST_PAUSE,
            pause: FIRST_PAUSE,
        });
        Turn::Quarantined(FIRST_PAUSE)
    }

    pub(crate) fn is_quarantined(&self) -> bool {
        self.troubled.load(Ordering::Acquire) && self.record().quarantine.is_some()
    }

    pub(crate) fn last_failure(&self) -> Option<String> {
        self.record().last_failure.clone()
    }

    fn record(&self) -> std::sync::MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(health: &Health, now: Instant) -> Turn {
        health.failed(now, "trap".to_owned())
    }

    #[test]
    fn failures_in_a_row_quarantine() {
        let (health, now) = (Health::default(), Instant::now());
        for _ in 1..STRIKES {
            assert_eq!(fail(&health, now), Turn::Nothing);
            assert!(health.may_ask(now));
        }
        assert_eq!(fail(&health, now), Turn::Quarantined(FIRST_PAUSE));
        assert!(!health.may_ask(now));
        assert!(health.is_quarantined());
    }

    #[test]
    fn a_success_between_failures_clears_the_strikes() {
        let (health, now) = (Health::default(), Instant::now());
        for _ in 0..10 {
            assert_eq!(fail(&health, now), Turn::Nothing);
            assert_eq!(health.succeeded(), Turn::Nothing);
        }
    }

    #[test]
    fn quarantine_ends_with_a_trial_that_succeeds() {
        let (health, start) = (Health::default(), Instant::now());
        for _ in 0..STRIKES {
            let _ = fail(&health, start);
        }
        let trial = start + FIRST_PAUSE;
        assert!(health.may_ask(trial));
        assert!(!health.may_ask(trial), "one trial at a time");
        assert_eq!(health.succeeded(), Turn::Recovered);
        assert!(health.may_ask(trial) && !health.is_quarantined());
    }

    #[test]
    fn each_failed_trial_doubles_the_pause_up_to_a_bound() {
        let (health, mut now) = (Health::default(), Instant::now());
        for _ in 0..STRIKES {
            let _ = fail(&health, now);
        }
        let mut pause = FIRST_PAUSE;
        for _ in 0..10 {
            now += pause;
            assert!(health.may_ask(now));
            assert_eq!(fail(&health, now), Turn::Nothing, "told once");
            pause = (pause * 2).min(LONGEST_PAUSE);
            assert!(!health.may_ask(now + pause - Duration::from_millis(1)));
        }
    }
}
