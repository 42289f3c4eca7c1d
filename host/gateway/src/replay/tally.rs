//! The result of a replay: counted, and sampled with what would change.

use std::collections::BTreeMap;

use portcullis_policy::replay::{Case, Reader};
use portcullis_policy::shadow::Said;
use serde::Serialize;
use similar::{ChangeTag, TextDiff};

/// Differences of one kind that are kept and shown.
const SAMPLES: usize = 5;

/// What became of all stanzas of a file.
#[derive(Debug, Default, Serialize)]
pub struct Tally {
    /// Those that would end as they did.
    pub same: u64,
    /// Those that would end otherwise, by how.
    pub different: BTreeMap<String, u64>,
    /// Those for which a plugin has to know more than was recorded, by plugin.
    pub not_decidable: BTreeMap<String, u64>,
    /// Some of each kind of difference.
    pub samples: Vec<Sample>,
    /// What else is to know about the file.
    pub notes: Vec<String>,
}

/// One stanza that would end otherwise.
#[derive(Debug, Clone, Serialize)]
pub struct Sample {
    /// Its line in the file.
    pub line: u64,
    /// When it was decided (RFC 3339).
    pub time: String,
    /// The kind of difference.
    pub difference: String,
    /// Kind, type, addresses and id.
    pub stanza: String,
    /// What stood.
    pub stood: Said,
    /// What would be decided.
    pub would: Said,
    /// The lines that would change, if both let it pass: `-` as it was, `+` as it would be.
    pub changes: Vec<String>,
}

impl Tally {
    pub(super) fn differs(&mut self, case: &Case, would: Said, passed: Option<String>) {
        let difference = match &passed {
            Some(_) => "pass -> other edits".to_owned(),
            None => format!("{} -> {}", named(&case.stood), named(&would)),
        };
        let count = self.different.entry(difference.clone()).or_default();
        *count += 1;
        if *count > SAMPLES as u64 {
            return;
        }
        let stanza = &case.stanza;
        let id = stanza.id().map(|id| format!(" id {id:?}"));
        self.samples.push(Sample {
            line: case.line,
            time: case.time.clone(),
            difference,
            stanza: format!(
                "{} ({}) {} -> {}{}",
                stanza.kind(),
                stanza.subtype(),
                stanza.from(),
                stanza.to(),
                id.unwrap_or_default()
            ),
            stood: case.stood.clone(),
            would,
            changes: passed.map_or_else(Vec::new, |passed| changes(&case.passed, &passed)),
        });
    }

    pub(super) fn undecidable(&mut self, by: &str) {
        *self.not_decidable.entry(by.to_owned()).or_default() += 1;
    }

    /// What the end of the file, or its absence, tells.
    pub(super) fn note(&mut self, reader: &Reader) {
        if !reader.is_capture() {
            let note = "an audit journal: what plugins read of a stanza's content is not known";
            self.notes.push(note.to_owned());
            return;
        }
        match reader.end() {
            None => self
                .notes
                .push("the capture was cut off: it has no last line".to_owned()),
            Some(end) if end.missed > 0 => {
                let missed = end.missed;
                self.notes
                    .push(format!("{missed} stanzas are not in the capture"));
            }
            Some(_) => {}
        }
    }

    /// Whether every stanza is known to end as it did.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.different.is_empty() && self.not_decidable.is_empty()
    }
}

/// A verdict with its condition.
pub(crate) fn named(said: &Said) -> String {
    match &said.condition {
        Some(condition) if said.verdict == "reject" => format!("reject {condition}"),
        _ => said.verdict.clone(),
    }
}

/// The tags that differ, one a line.
fn changes(was: &str, would: &str) -> Vec<String> {
    let lines = |xml: &str| xml.replace("><", ">\n<");
    let (was, would) = (lines(was), lines(would));
    let diff = TextDiff::from_lines(&was, &would);
    let changed = diff.iter_all_changes().filter_map(|change| {
        let sign = match change.tag() {
            ChangeTag::Delete => '-',
            ChangeTag::Insert => '+',
            ChangeTag::Equal => return None,
        };
        Some(format!("{sign} {}", change.value().trim_end()))
    });
    changed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_shown() {
        assert_eq!(
            changes("<a><b/><c>x</c></a>", "<a><b/><c>y</c></a>"),
            ["- <c>x</c>", "+ <c>y</c>"]
        );
    }
}
