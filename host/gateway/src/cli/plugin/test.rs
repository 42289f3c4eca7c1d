//! `plugin test`: a component over its fixtures.

use std::path::{Path, PathBuf};

use portcullis_policy::build;
use serde::Serialize;
use serde_json::json;

use super::{diff, log};
use crate::{
    cli::{
        args::Format,
        exit::Exit,
        terminal::{Level, Terminal},
    },
    workbench::{
        compare::{self, Difference},
        fixture::{self, Case, Fixture},
        machinery,
        run::Tried,
    },
};

/// What came of one fixture.
#[derive(Debug, Serialize)]
pub(super) struct FileResult {
    pub(super) file: PathBuf,
    /// Why no case of it was run, if so.
    pub(super) error: Option<String>,
    pub(super) cases: Vec<CaseResult>,
}

/// What came of one case.
#[derive(Debug, Serialize)]
pub(super) struct CaseResult {
    name: String,
    passed: bool,
    /// The fixture's fault, if it could not be run.
    error: Option<String>,
    differences: Vec<Difference>,
    /// What the plugin wrote to its log meanwhile.
    log: Vec<String>,
}

impl CaseResult {
    pub(super) fn passed(&self) -> bool {
        self.passed
    }
}

/// Builds the subject if it is a crate, runs it over the fixtures, and says what differs.
pub(super) fn test(
    subject: &Path,
    fixtures: Option<&Path>,
    options: &build::Options,
    format: Format,
) -> Exit {
    let terminal = Terminal::new();
    match files(subject, fixtures, options, format) {
        Ok(files) => {
            for file in &files {
                if format == Format::Human {
                    show(terminal, file);
                }
            }
            sum(terminal, &files, format)
        }
        Err(error) => {
            match format {
                Format::Json => terminal.json(&json!({ "result": "failed", "message": error })),
                Format::Human => terminal.mark(Level::Problem, &error, None),
            }
            Exit::Problem
        }
    }
}

fn files(
    subject: &Path,
    fixtures: Option<&Path>,
    options: &build::Options,
    format: Format,
) -> Result<Vec<FileResult>, String> {
    let fixtures = match (fixtures, subject.is_dir()) {
        (Some(named), _) => named.to_owned(),
        (None, true) => subject.join("fixtures"),
        (None, false) => return Err("name the fixtures of this component".to_owned()),
    };
    let component = match subject.is_dir() {
        false => subject.to_owned(),
        true => {
            let terminal = Terminal::new();
            let mut progress = |line: &str| match format {
                Format::Human => terminal.line(&format!("    {line}")),
                Format::Json => eprintln!("{line}"),
            };
            let built = build::component(subject, options, &mut progress);
            built.map_err(|failure| failure.to_string())?.path
        }
    };
    let files = fixture::files(&fixtures).map_err(|error| error.to_string())?;
    let log = log::Captured::install();
    let (runtime, engine) = machinery().map_err(|error| error.to_string())?;
    let results = files.into_iter().map(|file| {
        let ran = runtime.block_on(run(&engine, &component, &file, &log));
        match ran {
            Ok(cases) => FileResult {
                file,
                error: None,
                cases,
            },
            Err(error) => FileResult {
                file,
                error: Some(error),
                cases: Vec::new(),
            },
        }
    });
    Ok(results.collect())
}

/// One fixture, from its start to its last case.
pub(super) async fn run(
    engine: &std::sync::Arc<portcullis_policy::Engine>,
    component: &Path,
    file: &Path,
    log: &log::Captured,
) -> Result<Vec<CaseResult>, String> {
    let fixture = Fixture::read(file).map_err(|error| error.to_string())?;
    let started = Tried::start(engine, component, &fixture).await;
    // What it says while it is rehearsed belongs to no case.
    let said = log.take();
    let (mut tried, start) = started.map_err(|error| match said.is_empty() {
        true => error.to_string(),
        false => format!("{error}\n{}", said.join("\n")),
    })?;
    let mut results = Vec::new();
    let at_start = Case {
        name: Some("its start".to_owned()),
        emits: fixture.emits.clone(),
        ..Case::default()
    };
    let first = result(&at_start, compare::differences(&at_start, &start), said);
    if !first.passed || !fixture.emits.is_empty() {
        results.push(first);
    }
    for case in &fixture.cases {
        let met = tried.meet(case).await;
        let differences = met.and_then(|done| compare::differences(case, &done));
        results.push(result(case, differences, log.take()));
    }
    Ok(results)
}

fn result(
    case: &Case,
    differences: Result<Vec<Difference>, String>,
    log: Vec<String>,
) -> CaseResult {
    let (error, differences) = match differences {
        Ok(differences) => (None, differences),
        Err(error) => (Some(error), Vec::new()),
    };
    CaseResult {
        name: case.to_string(),
        passed: error.is_none() && differences.is_empty(),
        error,
        differences,
        log,
    }
}

/// One fixture, for people.
pub(super) fn show(terminal: Terminal, file: &FileResult) {
    terminal.heading(&file.file.display().to_string());
    if let Some(error) = &file.error {
        terminal.mark(Level::Problem, error, None);
    }
    for case in &file.cases {
        let level = match case.passed {
            true => Level::Ok,
            false => Level::Problem,
        };
        terminal.mark(level, &case.name, case.error.as_deref());
        for difference in &case.differences {
            terminal.line(&format!("      {} (- expected, + got)", difference.what));
            diff::show(terminal, &difference.expected, &difference.got);
        }
        if !case.passed {
            for line in &case.log {
                terminal.line(&terminal.painted("2", &format!("      log: {line}")));
            }
        }
    }
}

fn sum(terminal: Terminal, files: &[FileResult], format: Format) -> Exit {
    let cases = || files.iter().flat_map(|file| &file.cases);
    let passed = cases().filter(|case| case.passed).count();
    let unread = files.iter().filter(|file| file.error.is_some()).count();
    let failed = cases().count() - passed + unread;
    let well = failed == 0 && passed > 0;
    match format {
        Format::Json => terminal.json(&json!({
            "result": if well { "passed" } else { "failed" },
            "passed": passed,
            "failed": failed,
            "files": files,
        })),
        Format::Human => {
            let style = if well { "32" } else { "31" };
            let text = format!("{passed} passed, {failed} failed");
            terminal.line(&format!("\n{}", terminal.painted(style, &text)));
        }
    }
    match well {
        true => Exit::Well,
        false => Exit::Problem,
    }
}
