//! Two texts, line by line.

use similar::{ChangeTag, TextDiff};

use crate::cli::terminal::{Terminal, visible};

/// Shows what is only in `before` (-, red) and only in `after` (+, green). Both may come from a plugin,
/// so neither controls the terminal.
pub(super) fn show(terminal: Terminal, before: &str, after: &str) {
    let diff = TextDiff::from_lines(before, after);
    for change in diff.iter_all_changes() {
        let text = change.value();
        let text = visible(text.trim_end_matches('\n'));
        terminal.line(&match change.tag() {
            ChangeTag::Delete => terminal.painted("31", &format!("      - {text}")),
            ChangeTag::Insert => terminal.painted("32", &format!("      + {text}")),
            ChangeTag::Equal => format!("        {text}"),
        });
    }
}
