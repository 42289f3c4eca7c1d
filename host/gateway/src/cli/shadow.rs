//! `shadow`: what shadow plugins would have decided otherwise.

use super::{
    args::{Ask, Format},
    ask::{asked, moment, unexpected},
    exit::Exit,
    terminal::Terminal,
};
use crate::admin::protocol::{Request, Response, Sample, Shadowed};

/// Samples of each plugin that are shown; `--json` has them all.
const SHOWN: usize = 20;

/// Asks the running gateway.
pub(crate) fn shadow(arguments: &Ask) -> Exit {
    let terminal = Terminal::new();
    match asked(arguments, &Request::Shadow) {
        Err(exit) => exit,
        Ok(Response::Shadow { plugins }) => {
            match arguments.output.format() {
                Format::Json => terminal.json(&plugins),
                Format::Human => show(terminal, &plugins),
            }
            Exit::Well
        }
        Ok(other) => unexpected(terminal, other),
    }
}

fn show(terminal: Terminal, plugins: &[Shadowed]) {
    if plugins.is_empty() {
        terminal.line("no plugin has been a shadow since the gateway started");
    }
    for report in plugins {
        terminal.heading(&report.plugin);
        let mut rows: Vec<_> = (report.differences.iter())
            .filter(|(_, count)| **count > 0)
            .map(|(kind, count)| [kind.as_str().to_owned(), count.to_string()])
            .collect();
        for (name, count) in [
            ("failed", report.failed),
            ("not compared", report.not_compared),
        ] {
            if count > 0 {
                rows.push([name.to_owned(), count.to_string()]);
            }
        }
        terminal.table(["difference", "decisions"], &rows);
        let newest: Vec<_> = (report.samples.iter().rev().take(SHOWN)).map(row).collect();
        if !newest.is_empty() {
            terminal.line("");
            let headings = ["when", "difference", "about", "stood", "would"];
            terminal.table(headings, &newest);
        }
    }
}

fn row(sample: &Sample) -> [String; 5] {
    let said = |said: &portcullis_policy::shadow::Said| {
        let by = said.by.as_ref().map(|by| format!(" by {by}"));
        let why = said.reason.as_ref().map(|reason| format!(": {reason}"));
        let (by, why) = (by.unwrap_or_default(), why.unwrap_or_default());
        format!("{}{by}{why}", said.verdict)
    };
    let about = match (&sample.from, &sample.to) {
        (Some(from), Some(to)) => {
            let id = sample.id.as_ref().map(|id| format!(" id {id:?}"));
            format!("{} {from} -> {to}{}", sample.about, id.unwrap_or_default())
        }
        _ => format!("{} {} {}", sample.about, sample.direction, sample.remote),
    };
    let would = match &sample.changed {
        Some(changed) => format!("{} ({changed})", said(&sample.would)),
        None => said(&sample.would),
    };
    [
        moment(&sample.time),
        sample.difference.as_str().to_owned(),
        about,
        said(&sample.stood),
        would,
    ]
}
