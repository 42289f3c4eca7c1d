//! Problems of a configuration file, shown with their lines or as JSON.

use std::fmt;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, Severity,
    SourceCode,
};
use serde_json::{Value, json};

use super::{args::Format, exit::Exit, terminal::Terminal};
use crate::config::{Place, Problem, Rejected, Source};

/// Tells why the configuration is refused.
pub fn refused(rejected: &Rejected, format: Format) -> Exit {
    let terminal = Terminal::new();
    match format {
        Format::Json => terminal.json(&json!({
            "result": "refused",
            "file": rejected.file,
            "problems": as_json(&rejected.problems),
        })),
        Format::Human => {
            let file = rejected.file.display().to_string();
            let main = Source {
                file: rejected.file.clone(),
                text: rejected.text.clone(),
            };
            for problem in &rejected.problems {
                let source = source_of(problem, &rejected.sources).unwrap_or(&main);
                terminal.line(&shown(problem, source, terminal));
            }
            let count = rejected.errors().count();
            let plural = if count == 1 { "" } else { "s" };
            terminal.line(&format!("{file} is refused: {count} problem{plural}"));
        }
    }
    Exit::Config
}

/// The file of `partners_dir` that the problem is in, if it is in one.
fn source_of<'s>(problem: &Problem, sources: &'s [Source]) -> Option<&'s Source> {
    let file = problem.place.as_ref()?.file.as_ref()?;
    sources.iter().find(|source| source.file == *file)
}

/// One problem with the lines around it.
#[must_use]
fn shown(problem: &Problem, source: &Source, terminal: Terminal) -> String {
    let theme = match terminal.is_coloured() {
        true => GraphicalTheme::unicode(),
        false => GraphicalTheme::unicode_nocolor(),
    };
    let shown = Shown {
        problem,
        source: NamedSource::new(source.file.display().to_string(), source.text.clone()),
    };
    let mut rendered = String::new();
    let outcome = GraphicalReportHandler::new_themed(theme)
        .with_context_lines(1)
        .with_width(100)
        .render_report(&mut rendered, &shown);
    match outcome {
        Ok(()) => rendered,
        Err(fmt::Error) => problem.to_string(),
    }
}

/// Problems as a script reads them.
#[must_use]
pub(crate) fn as_json(problems: &[Problem]) -> Value {
    let place =
        |place: &Place| json!({ "file": place.file, "line": place.line, "column": place.column });
    problems
        .iter()
        .map(|problem| {
            json!({
                "severity": match problem.severity {
                    crate::config::Severity::Error => "error",
                    crate::config::Severity::Warning => "warning",
                },
                "message": problem.message,
                "place": problem.place.as_ref().map(place),
                "also": problem.also.iter().map(|(at, what)| json!({
                    "what": what,
                    "place": place(at),
                })).collect::<Vec<_>>(),
                "help": problem.help,
            })
        })
        .collect()
}

/// A problem as miette wants it.
#[derive(Debug)]
struct Shown<'p> {
    problem: &'p Problem,
    source: NamedSource<String>,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem.message)?;
        for (place, what) in self.problem.elsewhere() {
            write!(f, "; {place}: {what}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Shown<'_> {}

impl Diagnostic for Shown<'_> {
    fn severity(&self) -> Option<Severity> {
        Some(match self.problem.severity {
            crate::config::Severity::Error => Severity::Error,
            crate::config::Severity::Warning => Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let help = self.problem.help.as_ref()?;
        Some(Box::new(help))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.problem.place.as_ref()?;
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let place = self.problem.place.as_ref()?;
        let first = LabeledSpan::new_primary_with_span(None, place.span.clone());
        let here = self.problem.also.iter();
        let here = here.filter(|(other, _)| other.file == place.file);
        let also = here.map(|(place, what)| {
            LabeledSpan::new_with_span(Some(what.clone()), place.span.clone())
        });
        Some(Box::new(std::iter::once(first).chain(also)))
    }
}
