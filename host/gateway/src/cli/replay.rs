//! `replay`: judges recorded stanzas by another configuration.

use super::{
    args::{self, Format},
    ask::moment,
    exit::Exit,
    problems,
    terminal::{Level, Terminal, visible},
};
use crate::config::Config;
use crate::replay::{Sample, Tally, judge, named};

/// Judges a file.
pub(crate) fn replay(arguments: &args::Replay) -> Exit {
    let terminal = Terminal::new();
    let format = arguments.output.format();
    let config = match Config::load(&arguments.config.file) {
        Ok(config) => config,
        Err(rejected) => return problems::refused(&rejected, format),
    };
    let tally = match judge(&arguments.file, &config) {
        Ok(tally) => tally,
        Err(error) => {
            let text = format!("{}: {error}", arguments.file.display());
            terminal.mark(Level::Problem, &text, None);
            return Exit::Problem;
        }
    };
    match format {
        Format::Json => terminal.json(&tally),
        Format::Human => show(terminal, &tally),
    }
    match tally.is_same() {
        true => Exit::Well,
        false => Exit::Problem,
    }
}

fn show(terminal: Terminal, tally: &Tally) {
    let mut rows = vec![["same".to_owned(), tally.same.to_string()]];
    for (difference, count) in &tally.different {
        rows.push([difference.clone(), count.to_string()]);
    }
    for (plugin, count) in &tally.not_decidable {
        let text = format!("not decidable: {plugin} reads what was not recorded");
        rows.push([text, count.to_string()]);
    }
    terminal.table(["outcome", "stanzas"], &rows);
    for note in &tally.notes {
        terminal.mark(Level::Warning, note, None);
    }
    for sample in &tally.samples {
        show_sample(terminal, sample);
    }
}

fn show_sample(terminal: Terminal, sample: &Sample) {
    let title = format!(
        "{}, line {}: {}",
        sample.difference, sample.line, sample.stanza
    );
    terminal.heading(&visible(&title));
    terminal.line(&format!("  at     {}", visible(&moment(&sample.time))));
    for (name, said) in [("was", &sample.stood), ("would", &sample.would)] {
        let by = said.by.as_ref().map(|by| format!(" by {by}"));
        let why = said.reason.as_ref().map(|reason| format!(": {reason}"));
        let (by, why) = (by.unwrap_or_default(), why.unwrap_or_default());
        let text = format!("{}{by}{why}", named(said));
        terminal.line(&format!("  {name:<6} {}", visible(&text)));
    }
    for change in &sample.changes {
        let style = if change.starts_with('-') { "31" } else { "32" };
        terminal.line(&format!(
            "    {}",
            terminal.painted(style, &visible(change))
        ));
    }
}
