//! What is wrong with the operator's certificates and keys.
//!
//! Every function that loads material collects all problems instead of stopping at the first, so
//! that `portcullis check` can show them together.

use std::fmt;
use std::path::{Path, PathBuf};

/// How bad a [`Problem`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The gateway runs, but somebody should look.
    Warning,
    /// The gateway does not start with this; a reload keeps what it had.
    Error,
}

/// One thing that is wrong with a certificate, a key or a trust file. Always the operator's to mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Warning or error.
    pub severity: Severity,
    /// The file that it is about, if it is about one.
    pub file: Option<PathBuf>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Problem {
    pub(super) fn error(file: &Path, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            file: Some(file.to_owned()),
            message: message.into(),
            help: None,
        }
    }

    pub(super) fn warning(file: &Path, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(file, message)
        }
    }

    pub(super) fn general(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            file: None,
            message: message.into(),
            help: None,
        }
    }

    pub(super) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}: ", file.display())?;
        }
        f.write_str(&self.message)?;
        if let Some(help) = &self.help {
            write!(f, " ({help})")?;
        }
        Ok(())
    }
}

/// Collects problems while material loads.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<Problem>);

impl Problems {
    pub(super) fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// Takes the value, or notes the problem.
    pub(super) fn take<T>(&mut self, result: Result<T, Problem>) -> Option<T> {
        result.map_err(|problem| self.push(problem)).ok()
    }

    /// The warnings if there is nothing worse, everything otherwise.
    pub(super) fn into_result(self) -> Result<Vec<Problem>, Vec<Problem>> {
        if self
            .0
            .iter()
            .any(|problem| problem.severity == Severity::Error)
        {
            Err(self.0)
        } else {
            Ok(self.0)
        }
    }
}
