//! What is wrong with a configuration file, and where.
//!
//! Readers report into a [`Sink`] and go on, so that one look shows every problem.

use std::{cell::RefCell, fmt, ops::Range, path::PathBuf};

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file loads; `check` tells.
    Warning,
}

/// A place in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Bytes of the text.
    pub span: Range<usize>,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
}

/// One problem of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Whether the file is refused for it.
    pub severity: Severity,
    /// What is wrong, naming the key.
    pub message: String,
    /// Where; none if it is about the whole file.
    pub place: Option<Place>,
    /// Other places that belong to it, each with what it is.
    pub also: Vec<(Place, String)>,
    /// What to write instead.
    pub help: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "line {}: ", place.line)?;
        }
        f.write_str(&self.message)?;
        for (place, what) in &self.also {
            write!(f, "; line {}: {what}", place.line)?;
        }
        if let Some(help) = &self.help {
            write!(f, " ({help})")?;
        }
        Ok(())
    }
}

/// A configuration file that was refused.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
pub struct Rejected {
    /// The file.
    pub file: PathBuf,
    /// Its text with every secret masked, for showing the places.
    pub text: String,
    /// Every problem found, in the order of the file; at least one is an error.
    pub problems: Vec<Problem>,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        for (nth, problem) in self.errors().enumerate() {
            write!(f, "{}{problem}", if nth == 0 { " " } else { "; " })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejected")
            .field("file", &self.file)
            .field("problems", &self.problems)
            .finish_non_exhaustive()
    }
}

impl Rejected {
    /// The problems that are no mere warnings.
    pub fn errors(&self) -> impl Iterator<Item = &Problem> {
        self.problems
            .iter()
            .filter(|problem| problem.severity == Severity::Error)
    }
}

/// A problem that is being described; spans become lines when it is reported.
pub(super) struct Finding {
    severity: Severity,
    span: Option<Range<usize>>,
    message: String,
    also: Vec<(Range<usize>, String)>,
    help: Option<String>,
}

impl Finding {
    pub(super) fn error(span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            span: Some(span),
            ..Self::of_the_whole_file(message)
        }
    }

    pub(super) fn of_the_whole_file(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            span: None,
            message: message.into(),
            also: Vec::new(),
            help: None,
        }
    }

    pub(super) fn warning(span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(span, message)
        }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(super) fn also(mut self, span: Range<usize>, what: impl Into<String>) -> Self {
        self.also.push((span, what.into()));
        self
    }
}

/// Collects the problems of one text.
pub(super) struct Sink<'t> {
    text: &'t str,
    problems: RefCell<Vec<Problem>>,
}

impl<'t> Sink<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            problems: RefCell::default(),
        }
    }

    pub(super) fn report(&self, finding: Finding) {
        let problem = Problem {
            severity: finding.severity,
            message: finding.message,
            place: finding.span.map(|span| self.place(span)),
            also: (finding.also.into_iter())
                .map(|(span, what)| (self.place(span), what))
                .collect(),
            help: finding.help,
        };
        self.problems.borrow_mut().push(problem);
    }

    /// All problems, in the order of the file.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|problem| problem.place.as_ref().map(|place| place.span.start));
        problems
    }

    fn place(&self, span: Range<usize>) -> Place {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Place {
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
            span,
        }
    }
}
