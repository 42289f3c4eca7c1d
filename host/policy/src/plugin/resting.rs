//! Telling that a plugin is left alone, and that it is not any more.
//!
//! In: the turns that [`Health`](super::health::Health) or an observer takes. Out: one line of the log
//! and one record of the audit journal for each beginning and each end, and counts. The records are the
//! gateway's own and pass no observer: observers hear of stanzas and streams, each with its partner,
//! and the one that fails could not be told that it does. A shadow's are not recorded, since nobody
//! outside notices them.

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Plugin;
use super::health::{Turn, Turns};
use crate::instance::Rehearsal;
use crate::journal::{Ended, Note, Subject};

impl Plugin {
    /// Tells what a call's outcome changed; `failure` is its text, if it failed.
    pub(super) fn turned(&self, turns: Turns, failure: &str) {
        let name = &self.context.name;
        let on_failure = self.on_failure;
        match turns.of_plugin {
            Some(Turn::Rests(pause)) => {
                self.context.figures.quarantines.add(1);
                tracing::error!(plugin = %name, failure, ?pause, ?on_failure,
                    "the plugin fails again and again and is quarantined");
                self.record_rest(None, failure, pause);
            }
            Some(Turn::Recovered(since)) => {
                tracing::warn!(plugin = %name, "the plugin answers again and is out of quarantine");
                self.record_end(None, Ended::Answers, since);
            }
            None => {}
        }
        match turns.of_sender {
            Some((sender, Turn::Rests(pause))) => {
                self.context.figures.rests.add(1);
                tracing::warn!(plugin = %name, sender = &*sender, failure, ?pause, ?on_failure,
                    "the plugin fails again and again on what this sender sends, and is not asked about it");
                self.record_rest(Some(sender), failure, pause);
            }
            Some((sender, Turn::Recovered(since))) => {
                tracing::warn!(plugin = %name, sender = &*sender, "the plugin is asked about this sender again");
                self.record_end(Some(sender), Ended::Answers, since);
            }
            None => {}
        }
    }

    pub(super) fn record_rest(&self, sender: Option<Arc<str>>, failure: &str, pause: Duration) {
        self.record(sender, |subject| Note::Quarantined {
            subject,
            on_failure: self.on_failure,
            reason: failure.to_owned(),
            pause_ms: u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
        });
    }

    pub(super) fn record_end(
        &self,
        sender: Option<Arc<str>>,
        because: Ended,
        since: OffsetDateTime,
    ) {
        self.record(sender, |subject| Note::Released {
            subject,
            because,
            since: since.format(&Rfc3339).unwrap_or_default(),
        });
    }

    fn record(&self, sender: Option<Arc<str>>, note: impl FnOnce(Subject) -> Note) {
        if self.context.rehearsal != Rehearsal::Live {
            return;
        }
        let made_of = self.component();
        self.context.journal.note(&note(Subject {
            plugin: self.context.name.to_string(),
            digest: made_of.digest,
            version: made_of.version,
            generation: self.generation,
            sender: sender.as_deref().map(str::to_owned),
        }));
    }
}

impl Drop for Plugin {
    /// Whoever heard that a quarantine began hears that it is over.
    fn drop(&mut self) {
        if let Some(quarantine) = self.health.quarantine() {
            tracing::warn!(plugin = %self.context.name, "the quarantined plugin is gone with its generation");
            self.record_end(None, Ended::Gone, quarantine.since);
        }
        for resting in self.health.senders() {
            let sender = Arc::from(resting.sender);
            self.record_end(Some(sender), Ended::Gone, resting.rest.since);
        }
    }
}
