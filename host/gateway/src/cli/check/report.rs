//! What `check` found: told line by line while it looks, or as one document at the end.

use serde::Serialize;

use crate::cli::{
    args::Format,
    exit::Exit,
    terminal::{Level, Terminal},
};

/// Collects findings, and tells them at once if a person is waiting.
#[derive(Debug)]
pub(super) struct Report {
    terminal: Terminal,
    format: Format,
    subject: String,
    chapters: Vec<Chapter>,
}

#[derive(Debug, Serialize)]
struct Chapter {
    about: String,
    findings: Vec<Finding>,
}

#[derive(Debug, Serialize)]
struct Finding {
    level: Level,
    text: String,
    help: Option<String>,
}

impl Report {
    pub(super) fn new(subject: impl Into<String>, format: Format) -> Self {
        let report = Self {
            terminal: Terminal::new(),
            format,
            subject: subject.into(),
            chapters: Vec::new(),
        };
        if format == Format::Human {
            report.terminal.line(&report.subject);
        }
        report
    }

    /// What the findings from now on are about.
    pub(super) fn about(&mut self, chapter: &str) {
        if self.format == Format::Human {
            self.terminal.heading(chapter);
        }
        self.chapters.push(Chapter {
            about: chapter.to_owned(),
            findings: Vec::new(),
        });
    }

    pub(super) fn ok(&mut self, text: impl Into<String>) {
        self.add(Level::Ok, text.into(), None);
    }

    pub(super) fn add(&mut self, level: Level, text: String, help: Option<String>) {
        if self.format == Format::Human {
            self.terminal.mark(level, &text, help.as_deref());
        }
        if let Some(chapter) = self.chapters.last_mut() {
            chapter.findings.push(Finding { level, text, help });
        }
    }

    /// For what only people read.
    pub(super) fn for_people(&self, tell: impl FnOnce(Terminal)) {
        if self.format == Format::Human {
            tell(self.terminal);
        }
    }

    /// The sum of it all. `more` is added to the document for scripts.
    pub(super) fn finish(self, more: serde_json::Map<String, serde_json::Value>) -> Exit {
        let count = |level| {
            let of_level = |chapter: &Chapter| {
                let findings = chapter.findings.iter();
                findings.filter(|finding| finding.level == level).count()
            };
            self.chapters.iter().map(of_level).sum::<usize>()
        };
        let (problems, warnings) = (count(Level::Problem), count(Level::Warning));
        match self.format {
            Format::Human => {
                let sum = format!(
                    "{}, {}",
                    counted(problems, "problem"),
                    counted(warnings, "warning")
                );
                let style = if problems > 0 { "31" } else { "32" };
                self.terminal
                    .line(&format!("\n{}", self.terminal.painted(style, &sum)));
            }
            Format::Json => {
                let mut document = more;
                document.insert("subject".to_owned(), self.subject.into());
                document.insert("problems".to_owned(), problems.into());
                document.insert("warnings".to_owned(), warnings.into());
                // Strings and levels: nothing of it can fail to be written.
                let chapters = serde_json::to_value(&self.chapters).unwrap_or_default();
                document.insert("chapters".to_owned(), chapters);
                self.terminal.json(&document);
            }
        }
        if problems > 0 {
            Exit::Problem
        } else {
            Exit::Well
        }
    }
}

fn counted(count: usize, what: &str) -> String {
    match count {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}
