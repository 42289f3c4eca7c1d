//! What a line says about the body of a message.

use portcullis_plugin::prelude::*;

use crate::Config;

/// XEP-0334: Message Processing Hints.
const HINTS: &str = "urn:xmpp:hints";

/// The rules.
#[derive(Debug)]
pub(crate) struct Bodies {
    config: Config,
}

/// What is added to a line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Note {
    /// All of it.
    Body(String),
    /// Its length in characters.
    Length(usize),
}

impl Bodies {
    pub(crate) fn new(config: Config) -> Self {
        Self { config }
    }

    /// Whether any line has one.
    pub(crate) fn are_recorded(&self) -> bool {
        self.config.bodies
    }

    /// None if the line stays as the host made it.
    pub(crate) fn of(&self, decision: &Decision) -> Option<Note> {
        let partner = decision.partner();
        let one_of = |patterns: &[DomainPattern]| patterns.iter().any(|p| p.matches(&partner));
        if one_of(&self.config.omit) {
            return None;
        }
        let body = decision.body()?;
        let short = one_of(&self.config.length_only)
            || (!self.config.ignore_no_store && is_not_to_be_stored(decision));
        Some(match short {
            true => Note::Length(body.chars().count()),
            false => Note::Body(body),
        })
    }
}

impl Note {
    /// The record, which is a JSON object with at least one key, with one key more.
    pub(crate) fn add_to(&self, record: &str) -> String {
        let open = record.trim_end().strip_suffix('}').unwrap_or(record);
        match self {
            Self::Body(body) => format!("{open},\"body\":{}}}", serde_json::json!(body)),
            Self::Length(length) => format!("{open},\"body_length\":{length}}}"),
        }
    }
}

/// Whether the sender hinted so. The gateway writes `<` in text and attributes as `&lt;` and elements
/// without prefixes, so these are elements; one of another namespace beside a hint that means
/// something else would keep a body out too, which is the safe side.
fn is_not_to_be_stored(decision: &Decision) -> bool {
    decision.xml().is_some_and(|xml| {
        xml.contains(HINTS) && (xml.contains("<no-store") || xml.contains("<no-permanent-store"))
    })
}
