//! Who decided what about whom: one JSON line per decision in the gateway's audit journal.
//!
//! What flows in: every decision that stood, about stanzas and about streams, in order. What flows
//! out: the same as lines of the journal, with message bodies only if the operator said so, and then
//! without those that a partner's rule or the sender's own wish keeps out. What can fail: the
//! journal, when the disk is full. Then the batch is offered again, and goes on behind the last line
//! that was written: no line is lost or doubled.

mod body;

use portcullis_plugin::journal::{CutShort, JournalError};
use portcullis_plugin::prelude::*;

use crate::body::Bodies;

/// `[plugin.config]`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Whether lines have message bodies at all.
    pub bodies: bool,
    /// Partners for whose messages only the body's length is recorded.
    pub length_only: Vec<DomainPattern>,
    /// Partners for whose messages not even that is.
    pub omit: Vec<DomainPattern>,
    /// Whether bodies are recorded that their sender asked not to store (XEP-0334).
    pub ignore_no_store: bool,
}

/// The plugin.
#[derive(Debug)]
pub struct AuditLog {
    bodies: Bodies,
    /// What was written of a batch that failed.
    written: Vec<String>,
}

impl Plugin for AuditLog {
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        let redacts = !config.length_only.is_empty() || !config.omit.is_empty();
        if !config.bodies && (redacts || config.ignore_no_store) {
            return Err(
                "`length_only`, `omit` and `ignore_no_store` say which bodies to record, but \
                 without `bodies = true` none is: set it, or take them away"
                    .to_owned(),
            );
        }
        let bodies = Bodies::new(config);
        if !bodies.are_recorded() {
            hearing::records_only();
        }
        Ok(Self {
            bodies,
            written: Vec::new(),
        })
    }
}

impl Observer for AuditLog {
    fn observe(&mut self, batch: &[Decision]) -> Result<(), String> {
        // The batch is either the one that failed, or a new one because that one was given up.
        let before = std::mem::take(&mut self.written);
        let known = (before.iter().zip(batch))
            .take_while(|(record, decision)| **record == decision.json())
            .count();
        let (written, rest) = batch.split_at(known);
        let CutShort { appended, error } = match self.append(rest) {
            Ok(()) => return Ok(()),
            Err(cut_short) => cut_short,
        };
        let appended = rest.iter().take(appended);
        self.written = written.iter().chain(appended).map(Decision::json).collect();
        Err(error.to_string())
    }
}

impl AuditLog {
    fn append(&self, decisions: &[Decision]) -> Result<(), CutShort> {
        if !self.bodies.are_recorded() {
            return journal::append_decisions(decisions);
        }
        for (appended, decision) in decisions.iter().enumerate() {
            self.append_with_body(decision)
                .map_err(|error| CutShort { appended, error })?;
        }
        Ok(())
    }

    fn append_with_body(&self, decision: &Decision) -> Result<(), JournalError> {
        let record = decision.json();
        let line = match self.bodies.of(decision) {
            None => return journal::append(&record),
            Some(note) => note.add_to(&record),
        };
        match journal::append(&line) {
            // A body that makes the line too long must not stop the journal for ever.
            Err(JournalError::Malformed(_)) => journal::append(&record),
            result => result,
        }
    }
}

export!(AuditLog: Observer);

#[cfg(test)]
mod tests;
