//! A plugin's configuration against the schema that its component carries.
//!
//! In: a JSON Schema (draft 2020-12) from a guest, hostile, and the operator's configuration as JSON.
//! Out: [`Misfit`]s, each with the place, in the operator's words. `init` judges in any case: a keyword
//! that is not known here counts as fulfilled, and so does whatever lies deeper or takes longer than the
//! bounds allow. What schemars makes of a Rust type is known in full, but for `pattern`.
//!
//! Nothing here can fail.

mod fit;
mod forms;
mod words;

use std::fmt;

use serde_json::Value;

pub use words::nearest;

/// The JSON Schema of a plugin's `[plugin.config]`.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(transparent)]
pub struct ConfigSchema(Value);

/// One place where a configuration does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// Where, from `[plugin.config]` inwards.
    pub path: Vec<Step>,
    /// What of it is meant.
    pub subject: Subject,
    /// What is wrong, naming the key.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Into a table.
    Key(String),
    /// Into a list, from 0.
    Index(usize),
}

/// What a path points at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The key at its end.
    Key,
    /// The value at its end.
    Value,
}

impl ConfigSchema {
    pub(crate) fn new(schema: Value) -> Self {
        Self(schema)
    }

    /// The schema as it is.
    #[must_use]
    pub fn as_json(&self) -> &Value {
        &self.0
    }

    /// Where `config` does not fit; none if it does.
    #[must_use]
    pub fn misfits(&self, config: &Value) -> Vec<Misfit> {
        fit::misfits(&self.0, config)
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
