//! When a plugin fails again and again, it is left alone for a while; where it fails on what one sender
//! sends, only about that sender.
//!
//! In: the outcome of each call, and whose doing it may be. Out: whether the plugin may be asked now.
//!
//! Two records are kept, each with its own [`Backoff`]:
//!
//! - **of each sender** that it failed on. Five failures in a row, with no success of this sender's
//!   between them, and the sender rests: `on_failure` answers what it sends, and nobody else notices.
//! - **of the plugin**. Five failures in a row, with no success of anybody's between them, quarantine it,
//!   if they come from three senders at least or one is the plugin's own (an instance that does not
//!   start). So nobody who can make a plugin fail at will, nor two together, takes it from all others.
//!
//! Only failures without a success between them count: one poisonous stanza among good ones costs an
//! instance, not the plugin. A sender on whom the trial of a quarantined plugin failed stands back from
//! the next trial, so that it cannot prolong the quarantine for others.

mod backoff;
mod sender;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use crate::clock::Clock;
use crate::status;
use backoff::{Backoff, Call, PROBATION, Rest};
pub(crate) use sender::Sender;

/// Failures in a row that count: more than a burst of bad luck, few enough that a broken plugin costs
/// milliseconds.
const STRIKES: u32 = 5;
/// So many senders that it fails on do not share one cause but the plugin.
const SENDERS: usize = 3;
/// Senders whose failures are remembered. If all of them rest, the plugin itself is out long since.
const REMEMBERED: usize = 1024;
/// How often they are looked through.
const SWEEP: Duration = Duration::from_secs(1);

/// One plugin's record.
#[derive(Debug, Default)]
pub(crate) struct Health {
    clock: Clock,
    /// False: healthy and without strikes, so that nobody needs the lock.
    troubled: AtomicBool,
    record: Mutex<Record>,
}

#[derive(Debug, Default)]
struct Record {
    whole: Backoff,
    /// Whose doing the plugin's strikes may be.
    suspects: Suspects,
    senders: HashMap<Arc<str>, Suspected>,
    /// When the senders were last looked through for what may be forgotten.
    swept: Option<Instant>,
    last_failure: Option<String>,
}

/// Who the failures in a row came from.
#[derive(Debug, Default)]
struct Suspects {
    names: Vec<Arc<str>>,
    plugin: bool,
}

#[derive(Debug)]
struct Suspected {
    backoff: Backoff,
    last: Instant,
    /// A trial of the quarantined plugin failed on it: until then others have the next one.
    stands_back: Option<Instant>,
}

/// A call that may be made.
#[derive(Debug)]
#[must_use]
pub(crate) struct Asked {
    of_plugin: Call,
    of_sender: Call,
}

/// Why a call may not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resting {
    Plugin,
    Sender,
}

/// What a call's outcome changed; each is told once.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Turns {
    pub(crate) of_plugin: Option<Turn>,
    pub(crate) of_sender: Option<(Arc<str>, Turn)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It rests from now on, for so long at first.
    Rests(Duration),
    /// It works again, after a rest that began then.
    Recovered(OffsetDateTime),
}

impl Health {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            ..Self::default()
        }
    }

    /// Whether this sender would be turned away now; reserves no trial.
    pub(crate) fn rests(&self, sender: Sender<'_>) -> Option<Resting> {
        if !self.troubled.load(Ordering::Acquire) {
            return None;
        }
        self.record()
            .turns_away(sender.name().as_ref(), self.clock.now())
    }

    /// Whether the plugin may be asked. In quarantine one trial is allowed after each pause.
    pub(crate) fn may_ask(&self, sender: Sender<'_>) -> Result<Asked, Resting> {
        let free = Asked {
            of_plugin: Call::Free,
            of_sender: Call::Free,
        };
        if !self.troubled.load(Ordering::Acquire) {
            return Ok(free);
        }
        let (now, name) = (self.clock.now(), sender.name());
        let mut record = self.record();
        if let Some(resting) = record.turns_away(name.as_ref(), now) {
            return Err(resting);
        }
        let suspected = name.and_then(|name| record.senders.get_mut(&name));
        Ok(Asked {
            of_sender: suspected.map_or(Call::Free, |it| it.backoff.begin_call(now)),
            of_plugin: record.whole.begin_call(now),
        })
    }

    pub(crate) fn succeeded(&self, sender: Sender<'_>, asked: &Asked) -> Turns {
        if !self.troubled.load(Ordering::Acquire) {
            return Turns::default();
        }
        let (now, name) = (self.clock.now(), sender.name());
        let recovered = |rest: Rest| Turn::Recovered(rest.since);
        let mut record = self.record();
        let of_sender = name.and_then(|name| {
            let backoff = &mut record.senders.get_mut(&name)?.backoff;
            let rest = backoff.succeeded(now, asked.of_sender);
            if backoff.is_past(now) {
                record.senders.remove(&name);
            }
            Some((name, recovered(rest?)))
        });
        let of_plugin = record.whole.succeeded(now, asked.of_plugin).map(recovered);
        if record.whole.rest().is_none() {
            record.suspects = Suspects::default();
            record.forget(now);
            let troubled = record.whole.strikes > 0 || !record.senders.is_empty();
            self.troubled.store(troubled, Ordering::Release);
        }
        Turns {
            of_plugin,
            of_sender,
        }
    }

    pub(crate) fn failed(&self, sender: Sender<'_>, failure: String, asked: &Asked) -> Turns {
        let (now, name) = (self.clock.now(), sender.name());
        let mut record = self.record();
        record.last_failure = Some(failure);
        self.troubled.store(true, Ordering::Release);
        let of_sender = name.as_ref().and_then(|name| {
            let pause = record.sender_failed(name, now, asked.of_sender)?;
            Some((Arc::clone(name), Turn::Rests(pause)))
        });
        let of_plugin = record.plugin_failed(name, now, asked.of_plugin);
        Turns {
            of_plugin: of_plugin.map(Turn::Rests),
            of_sender,
        }
    }

    /// Keeps the text of a failure that is no strike.
    pub(crate) fn note(&self, failure: String) {
        self.record().last_failure = Some(failure);
    }

    pub(crate) fn quarantine(&self) -> Option<status::Quarantine> {
        if !self.troubled.load(Ordering::Acquire) {
            return None;
        }
        self.record().whole.rest().map(|rest| self.told(rest))
    }

    /// Each sender that rests, in the order of their names.
    pub(crate) fn senders(&self) -> Vec<status::Resting> {
        if !self.troubled.load(Ordering::Acquire) {
            return Vec::new();
        }
        let record = self.record();
        let resting = record.senders.iter().filter_map(|(name, suspected)| {
            Some(status::Resting {
                sender: name.to_string(),
                rest: self.told(suspected.backoff.rest()?),
            })
        });
        let mut resting: Vec<_> = resting.collect();
        resting.sort_by(|one, other| one.sender.cmp(&other.sender));
        resting
    }

    pub(crate) fn last_failure(&self) -> Option<String> {
        self.record().last_failure.clone()
    }

    fn told(&self, rest: &Rest) -> status::Quarantine {
        let left = rest.until.saturating_duration_since(self.clock.now());
        status::Quarantine {
            since: rest.since,
            until: Some(OffsetDateTime::now_utc() + left),
        }
    }

    fn record(&self) -> std::sync::MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    fn turns_away(&self, sender: Option<&Arc<str>>, now: Instant) -> Option<Resting> {
        if self.whole.turns_away(now) {
            return Some(Resting::Plugin);
        }
        let suspected = self.senders.get(sender?)?;
        let stands_back = suspected.stands_back.is_some_and(|back| now < back);
        if self.whole.rest().is_some() && stands_back {
            return Some(Resting::Plugin);
        }
        let rests = suspected.backoff.turns_away(now);
        rests.then_some(Resting::Sender)
    }

    /// The first pause, if the sender rests from now on.
    fn sender_failed(&mut self, name: &Arc<str>, now: Instant, call: Call) -> Option<Duration> {
        let suspected = self.suspected(name, now)?;
        suspected.last = now;
        let backoff = &mut suspected.backoff;
        if call == Call::Trial {
            backoff.prolong(now);
        }
        (backoff.strike() && backoff.strikes >= STRIKES).then(|| backoff.lie_down(now))
    }

    /// The first pause, if the plugin is quarantined from now on.
    fn plugin_failed(
        &mut self,
        sender: Option<Arc<str>>,
        now: Instant,
        call: Call,
    ) -> Option<Duration> {
        if call == Call::Trial {
            self.whole.prolong(now);
            // The pause itself was shortened: there is time between the two.
            let back = self.whole.rest().map(|rest| now + rest.pause);
            if let Some(suspected) = sender.and_then(|name| self.senders.get_mut(&name)) {
                suspected.stands_back = back;
            }
            return None;
        }
        if !self.whole.strike() {
            return None;
        }
        self.suspects.add(sender);
        (self.whole.strikes >= STRIKES && self.suspects.are_many())
            .then(|| self.whole.lie_down(now))
    }

    /// The sender's record, if there is room for it.
    fn suspected(&mut self, name: &Arc<str>, now: Instant) -> Option<&mut Suspected> {
        if self.senders.len() >= REMEMBERED && !self.senders.contains_key(name) {
            self.forget(now);
            let awake = |(_, it): &(&Arc<str>, &Suspected)| it.backoff.rest().is_none();
            let oldest = self.senders.iter().filter(awake);
            let oldest = oldest.min_by_key(|(_, it)| it.last);
            let oldest = oldest.map(|(name, _)| Arc::clone(name));
            if self.senders.len() >= REMEMBERED {
                self.senders.remove(&oldest?);
            }
        }
        let new = || Suspected {
            backoff: Backoff::default(),
            last: now,
            stands_back: None,
        };
        Some(self.senders.entry(Arc::clone(name)).or_insert_with(new))
    }

    /// Forgets who has not failed for long, once a second at most.
    fn forget(&mut self, now: Instant) {
        if self.swept.is_some_and(|swept| now < swept + SWEEP) {
            return;
        }
        self.swept = Some(now);
        self.senders.retain(|_, it| {
            let old = now.saturating_duration_since(it.last) > PROBATION;
            it.backoff.rest().is_some() || !(old || it.backoff.is_past(now))
        });
    }
}

impl Suspects {
    fn add(&mut self, sender: Option<Arc<str>>) {
        match sender {
            None => self.plugin = true,
            Some(name) if self.names.len() < SENDERS && !self.names.contains(&name) => {
                self.names.push(name);
            }
            Some(_) => {}
        }
    }

    fn are_many(&self) -> bool {
        self.plugin || self.names.len() >= SENDERS
    }
}
