//! `reload`, `rollback` and `generations`: another policy for the running gateway.

use super::{
    args::{self, Ask, Format},
    ask::{asked, moment, unexpected},
    exit::Exit,
    terminal::{Level, Terminal},
};
use crate::admin::protocol::{
    Generations, Purpose, Reload, ReloadResult, Request, Response, RolledBack,
};

/// `portcullis reload [--dry-run]`
pub(crate) fn reload(arguments: &args::Reload) -> Exit {
    let request = if arguments.dry_run {
        Request::DryRun
    } else {
        Request::Reload
    };
    changed(&arguments.ask, &request)
}

/// `portcullis rollback [NUMBER]`
pub(crate) fn rollback(arguments: &args::Rollback) -> Exit {
    let number = arguments.number;
    changed(&arguments.ask, &Request::Rollback { number })
}

/// `portcullis generations`
pub(crate) fn generations(arguments: &Ask) -> Exit {
    let terminal = Terminal::new();
    match asked(arguments, &Request::Generations) {
        Err(exit) => exit,
        Ok(Response::Generations(generations)) => {
            match arguments.output.format() {
                Format::Json => terminal.json(&generations),
                Format::Human => show_generations(terminal, &generations),
            }
            match generations.problems.is_empty() {
                true => Exit::Well,
                false => Exit::Problem,
            }
        }
        Ok(other) => unexpected(terminal, other),
    }
}

fn changed(arguments: &Ask, request: &Request) -> Exit {
    let terminal = Terminal::new();
    match asked(arguments, request) {
        Err(exit) => exit,
        Ok(Response::Reload(reload)) => {
            match arguments.output.format() {
                Format::Json => terminal.json(&reload),
                Format::Human => show_reload(terminal, &reload),
            }
            match reload.result {
                ReloadResult::Ok | ReloadResult::Unchanged => Exit::Well,
                ReloadResult::Refused | ReloadResult::Failed => Exit::Problem,
            }
        }
        Ok(other) => unexpected(terminal, other),
    }
}

/// What became of a reload, each change and each step on a line.
pub(super) fn show_reload(terminal: Terminal, reload: &Reload) {
    let generation = reload.generation;
    let dry = reload.purpose == Purpose::DryRun;
    let (level, text) = match (reload.result, reload.made_from) {
        (ReloadResult::Ok, _) if dry => (
            Level::Ok,
            format!("it would be taken over: generation {generation} goes on, nothing was changed"),
        ),
        (ReloadResult::Ok, Some(from)) => (
            Level::Ok,
            format!("rolled back: generation {generation} judges, made from {from}"),
        ),
        (ReloadResult::Ok, None) => (
            Level::Ok,
            format!("reloaded: generation {generation} judges"),
        ),
        (ReloadResult::Unchanged, _) => (
            Level::Ok,
            format!("nothing has changed: generation {generation} goes on"),
        ),
        (ReloadResult::Refused, _) => (
            Level::Problem,
            format!("refused, a restart is needed: generation {generation} goes on"),
        ),
        (ReloadResult::Failed, _) => (
            Level::Problem,
            format!("failed: generation {generation} goes on, nothing was changed"),
        ),
    };
    terminal.mark(level, &text, None);
    for message in &reload.messages {
        terminal.line(&format!("    {message}"));
    }
    if reload.result != ReloadResult::Unchanged && !reload.steps.is_empty() {
        let steps: Vec<_> = (reload.steps.iter())
            .map(|step| {
                let (whole, part) = (step.microseconds / 1000, step.microseconds % 1000 / 100);
                format!("{} {whole}.{part} ms", step.name)
            })
            .collect();
        terminal.line(&format!("    took: {}", steps.join(", ")));
    }
}

/// That a generation of the past judges.
pub(super) fn show_rollback(terminal: Terminal, rolled_back: &RolledBack) {
    let (to, since) = (rolled_back.to, moment(&rolled_back.since));
    let files = match rolled_back.files_differ {
        true => "the files on disk say something else",
        false => "the files on disk say the same",
    };
    let text = format!("rolled back to generation {to} since {since}; {files}");
    let help =
        "`portcullis reload` judges by the files again; until then changes of files change nothing";
    terminal.mark(Level::Warning, &text, Some(help));
}

fn show_generations(terminal: Terminal, generations: &Generations) {
    let rows: Vec<_> = (generations.kept.iter())
        .map(|kept| {
            let number = match kept.first == kept.number {
                true => kept.number.to_string(),
                false => format!("{}-{}", kept.first, kept.number),
            };
            let plugins: Vec<_> = (kept.plugins.iter())
                .map(|plugin| {
                    let digest: String = plugin.component.digest.chars().take(8).collect();
                    let version = plugin.component.version.as_deref().unwrap_or(&digest);
                    format!("{} {version}", plugin.name)
                })
                .collect();
            [
                if kept.current { "*" } else { "" }.to_owned(),
                number,
                moment(&kept.time),
                match kept.made_from {
                    Some(from) => format!("rollback to {from}"),
                    None => kept.trigger.clone(),
                },
                kept.partners.to_string(),
                plugins.join(", "),
            ]
        })
        .collect();
    let headings = ["", "generation", "since", "by", "partners", "plugins"];
    terminal.table(headings, &rows);
    for problem in &generations.problems {
        terminal.mark(Level::Problem, problem, None);
    }
}
