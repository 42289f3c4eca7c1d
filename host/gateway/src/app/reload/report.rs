//! What became of a request, while it is found out and when it is told.
//!
//! In: changes, steps with their times, messages. Out: a [`Reload`], for who asked, the log, the
//! status and the metrics: one report, many readers.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use portcullis_policy::BuildTimes;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::difference::words;
use super::{Action, Trigger};
use crate::admin::protocol::{Changes, Purpose, Reload, ReloadResult, Step};
use crate::app::gateway::Gateway;

/// A report that is not finished.
pub(super) struct Report {
    since: Instant,
    trigger: Trigger,
    purpose: Purpose,
    pub(super) made_from: Option<u64>,
    pub(super) changes: Changes,
    pub(super) steps: Vec<Step>,
    pub(super) messages: Vec<String>,
}

impl Report {
    pub(super) fn new(trigger: Trigger, action: Action) -> Self {
        Self {
            since: Instant::now(),
            trigger,
            purpose: match action {
                Action::DryRun => Purpose::DryRun,
                Action::Reload | Action::Rollback(_) => Purpose::Change,
            },
            made_from: None,
            changes: Changes::default(),
            steps: Vec::new(),
            messages: Vec::new(),
        }
    }

    pub(super) fn trigger(&self) -> &'static str {
        self.trigger.as_str()
    }

    /// Whether nothing may be changed.
    pub(super) fn is_dry(&self) -> bool {
        self.purpose == Purpose::DryRun
    }

    pub(super) fn step(&mut self, name: &str, took: Duration) {
        self.steps.push(Step {
            name: name.to_owned(),
            microseconds: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        });
    }

    pub(super) fn built(&mut self, times: BuildTimes) {
        self.step("verify", times.read + times.verify);
        self.step("probe", times.probe);
        self.step("init", times.init);
    }

    /// Ends the report, and tells everybody but who asked.
    pub(super) fn finish(mut self, gateway: &Gateway, result: ReloadResult) -> Reload {
        let changes = words(&self.changes);
        match result {
            ReloadResult::Ok => self.messages.extend(changes),
            ReloadResult::Refused | ReloadResult::Failed if self.is_dry() => {
                self.messages.extend(changes);
            }
            ReloadResult::Refused | ReloadResult::Failed | ReloadResult::Unchanged => {}
        }
        let took = self.since.elapsed();
        let reload = Reload {
            result,
            generation: gateway.chain.enter().number(),
            time: OffsetDateTime::now_utc()
                .format(&Rfc3339)
                .unwrap_or_default(),
            messages: self.messages,
            purpose: self.purpose,
            trigger: self.trigger.as_str().to_owned(),
            made_from: self.made_from,
            changes: self.changes,
            steps: self.steps,
        };
        // A file was touched; nobody needs to know.
        let quiet = result == ReloadResult::Unchanged
            && self.trigger == Trigger::Watch
            && reload.messages.is_empty();
        if !quiet {
            log(&reload, took);
        }
        if !quiet && reload.purpose == Purpose::Change {
            gateway.metrics.reloaded(result, took);
            remember(gateway, &reload);
        }
        reload
    }
}

fn remember(gateway: &Gateway, reload: &Reload) {
    let keep = |place: &std::sync::Mutex<Option<Reload>>| {
        *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(reload.clone());
    };
    keep(&gateway.last_reload);
    if matches!(reload.result, ReloadResult::Refused | ReloadResult::Failed) {
        keep(&gateway.last_refused);
    }
}

fn log(reload: &Reload, took: Duration) {
    let text = reload.messages.join("; ");
    let result = reload.result.as_str();
    let (trigger, generation) = (reload.trigger.as_str(), reload.generation);
    let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let steps: Vec<_> = (reload.steps.iter())
        .map(|step| format!("{} {} us", step.name, step.microseconds))
        .collect();
    let steps = steps.join(", ");
    let made_from = reload.made_from;
    match (reload.purpose, reload.result) {
        (Purpose::DryRun, _) => tracing::info!(
            result,
            trigger,
            generation,
            milliseconds,
            steps,
            "dry run, nothing has changed: {text}"
        ),
        (Purpose::Change, ReloadResult::Ok | ReloadResult::Unchanged) => tracing::info!(
            result,
            trigger,
            generation,
            made_from,
            milliseconds,
            steps,
            "reload: {text}"
        ),
        (Purpose::Change, ReloadResult::Refused | ReloadResult::Failed) => tracing::error!(
            result,
            trigger,
            generation,
            made_from,
            milliseconds,
            steps,
            "reload refused, nothing has changed: {text}"
        ),
    }
}
