//! The registry as people and programs read it.

use std::fmt;

use super::{Registry, Rule};

/// Columns of a terminal.
const WIDTH: usize = 110;
/// Where the text of a rule begins.
const INDENT: usize = 17;

impl Registry {
    /// The rules as one JSON document.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(&self.rules).unwrap()
    }
}

impl fmt::Display for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for rule in &self.rules {
            writeln!(f, "{rule}")?;
        }
        let tested = |rule: &&Rule| !rule.tests.is_empty();
        let departs = |rule: &&Rule| rule.deviation.is_some();
        write!(
            f,
            "{} rules: {} tested, {} with a deviation",
            self.rules.len(),
            self.rules.iter().filter(tested).count(),
            self.rules.iter().filter(departs).count(),
        )
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = format!("{:<9} {:<6}", self.id, self.level.as_str());
        let text = format!("{} ({})", self.rule, self.source);
        let mut lines = wrapped(&text).into_iter();
        writeln!(f, "{head} {}", lines.next().unwrap_or_default())?;
        let mut more: Vec<String> = lines.collect();
        more.extend(self.tests.iter().map(|test| format!("tested by {test}")));
        more.extend(self.also.iter().map(|test| format!("see also  {test}")));
        if let Some(deviation) = &self.deviation {
            more.extend(wrapped(&format!("deviation: {deviation}")));
        }
        for line in more {
            writeln!(f, "{:INDENT$}{line}", "")?;
        }
        Ok(())
    }
}

fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.len() - 1;
        if lines[last].len() + word.len() > WIDTH - INDENT {
            lines.push(word.to_owned());
        } else {
            if !lines[last].is_empty() {
                lines[last].push(' ');
            }
            lines[last].push_str(word);
        }
    }
    lines
}
