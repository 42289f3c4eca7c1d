//! What is wrong with a configuration file, and where.
//!
//! Readers report into a [`Sink`] and go on, so that one look shows every problem.

use std::{
    cell::RefCell,
    fmt,
    ops::Range,
    path::{Path, PathBuf},
};

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file loads; `check` tells.
    Warning,
}

/// A place in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file of `partners_dir` that it is in; none for the main file.
    pub file: Option<PathBuf>,
    /// Bytes of the text.
    pub span: Range<usize>,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{} ", file.display())?;
        }
        write!(f, "line {}", self.line)
    }
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

impl Problem {
    /// The places that belong to it and are in another file than it is itself.
    pub(crate) fn elsewhere(&self) -> impl Iterator<Item = &(Place, String)> {
        let file = self.place.as_ref().and_then(|place| place.file.as_ref());
        (self.also.iter()).filter(move |(place, _)| place.file.as_ref() != file)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.message)?;
        for (place, what) in &self.also {
            write!(f, "; {place}: {what}")?;
        }
        if let Some(help) = &self.help {
            write!(f, " ({help})")?;
        }
        Ok(())
    }
}

/// A file of `partners_dir`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The file.
    pub file: PathBuf,
    /// Its text, for showing places.
    pub text: String,
}

/// A configuration file that was refused.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
pub struct Rejected {
    /// The file.
    pub file: PathBuf,
    /// Its text with every secret masked, for showing the places.
    pub text: String,
    /// The files of `partners_dir` that belong to it.
    pub sources: Vec<Source>,
    /// Every problem found, in the order of the files; at least one is an error.
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
    also: Vec<(Where, String)>,
    help: Option<String>,
}

/// Another place that belongs to a finding.
enum Where {
    /// In the same text.
    Here(Range<usize>),
    /// Perhaps in another one.
    There(Place),
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

    pub(super) fn syntax(error: &toml::de::Error) -> Self {
        let span = error.span().unwrap_or_default();
        Self::error(span, format!("not TOML: {}", error.message()))
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
        self.also.push((Where::Here(span), what.into()));
        self
    }

    pub(super) fn also_at(mut self, place: Place, what: impl Into<String>) -> Self {
        self.also.push((Where::There(place), what.into()));
        self
    }
}

/// Collects the problems of one text.
pub(super) struct Sink<'t> {
    file: Option<&'t Path>,
    text: &'t str,
    problems: RefCell<Vec<Problem>>,
}

impl<'t> Sink<'t> {
    /// For the main file.
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            file: None,
            text,
            problems: RefCell::default(),
        }
    }

    /// For a file of `partners_dir`.
    pub(super) fn of(source: &'t Source) -> Self {
        Self {
            file: Some(&source.file),
            ..Self::new(&source.text)
        }
    }

    pub(super) fn report(&self, finding: Finding) {
        let problem = Problem {
            severity: finding.severity,
            message: finding.message,
            place: finding.span.map(|span| self.place(span)),
            also: (finding.also.into_iter())
                .map(|(place, what)| match place {
                    Where::Here(span) => (self.place(span), what),
                    Where::There(place) => (place, what),
                })
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

    pub(super) fn place(&self, span: Range<usize>) -> Place {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Place {
            file: self.file.map(Path::to_owned),
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
            span,
        }
    }
}
