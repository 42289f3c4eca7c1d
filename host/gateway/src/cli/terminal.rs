//! Writing for people and scripts. A reader that went away (`| head`) is no error.

use std::{
    borrow::Cow,
    io::{self, IsTerminal, Write},
};

use serde::Serialize;

/// Standard output.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terminal {
    colours: Colours,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Colours {
    Some,
    None,
}

/// What a line says about its subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// It is as it should be.
    Ok,
    /// It works, and the operator should know something.
    Warning,
    /// It does not work.
    Problem,
}

impl Terminal {
    /// Standard output, with colours if a person is reading (<https://no-color.org>).
    #[must_use]
    pub(crate) fn new() -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colours = match io::stdout().is_terminal() && !plain {
            true => Colours::Some,
            false => Colours::None,
        };
        Self { colours }
    }

    /// Whether colours are used.
    #[must_use]
    pub(crate) fn is_coloured(self) -> bool {
        self.colours == Colours::Some
    }

    /// One line.
    pub(crate) fn line(self, text: &str) {
        let mut out = io::stdout().lock();
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }

    /// A heading with an empty line before it.
    pub(crate) fn heading(self, text: &str) {
        let text = self.painted("1", text);
        self.line(&format!("\n{text}"));
    }

    /// A line with its mark; what can be done about it follows below.
    pub(crate) fn mark(self, level: Level, text: &str, help: Option<&str>) {
        let mark = match level {
            Level::Ok => self.painted("32", "✓"),
            Level::Warning => self.painted("33", "!"),
            Level::Problem => self.painted("31", "✗"),
        };
        self.line(&format!("  {mark} {}", indented(text, "\n    ")));
        if let Some(help) = help {
            self.line(&format!("    → {}", indented(help, "\n      ")));
        }
    }

    /// `text` in an SGR style, if colours are used.
    #[must_use]
    pub(crate) fn painted(self, style: &str, text: &str) -> String {
        match self.colours {
            Colours::Some => format!("\x1b[{style}m{text}\x1b[0m"),
            Colours::None => text.to_owned(),
        }
    }

    /// Rows under headings, each column as wide as its widest cell. What a cell tells may come from a
    /// remote, so it neither breaks its line nor controls the terminal.
    pub(crate) fn table<const N: usize>(self, headings: [&str; N], rows: &[[String; N]]) {
        let rows: Vec<_> = rows
            .iter()
            .map(|row| row.each_ref().map(|cell| visible(cell)))
            .collect();
        let mut widths = headings.map(|heading| heading.chars().count());
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let join = |cells: &[&str]| {
            let padded: Vec<_> = cells
                .iter()
                .zip(widths)
                .map(|(cell, width)| format!("{cell:width$}"))
                .collect();
            format!("  {}", padded.join("  ").trim_end())
        };
        self.line(&self.painted("2", &join(&headings)));
        for row in &rows {
            let cells: Vec<_> = row.iter().map(|cell| &**cell).collect();
            self.line(&join(&cells));
        }
    }

    /// One JSON document.
    pub(crate) fn json(self, document: &impl Serialize) {
        // Our own documents hold strings and numbers only; nothing of them can fail to be written.
        if let Ok(text) = serde_json::to_string_pretty(document) {
            // JSON lets DEL and the controls above it stand in a string.
            let escape = |c: char| match c {
                '\n' => String::from(c),
                c if c.is_control() => format!("\\u{:04x}", u32::from(c)),
                c => String::from(c),
            };
            self.line(&text.chars().map(escape).collect::<String>());
        }
    }
}

/// The text's lines, with escapes for what controls a terminal: a remote may have said it.
fn indented(text: &str, indent: &str) -> String {
    let lines: Vec<_> = text.trim_end().lines().map(visible).collect();
    lines.join(indent)
}

/// The text with escapes for what breaks a line, controls a terminal, or turns the direction in which
/// text is read.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    let unseen = |c: char| {
        c.is_control()
            || matches!(c, '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(unseen) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if unseen(c) {
            escaped.extend(c.escape_default());
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

impl Default for Terminal {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::visible;

    #[test]
    fn what_a_remote_said_neither_breaks_its_line_nor_controls_the_terminal() {
        assert_eq!(
            visible("closed: a\nb\r\t\u{1b}[2J\u{9b}31m\u{7f}\u{2028}\u{202e}c"),
            "closed: a\\nb\\r\\t\\u{1b}[2J\\u{9b}31m\\u{7f}\\u{2028}\\u{202e}c"
        );
        assert_eq!(visible("wie üblich ✓"), "wie üblich ✓");
    }
}
