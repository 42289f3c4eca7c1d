//! The tests that the workspace has, found in its sources.
//!
//! In: the Rust and Python files below `host`, `plugins`, `plugin-sdk` and `tests`. Out: the path and
//! the name of each function that runs as a test; an ignored one does not count.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// `path/of/file.rs::name` of each test.
#[derive(Debug)]
pub(super) struct Sources {
    tests: BTreeSet<String>,
}

impl Sources {
    pub(super) fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut tests = BTreeSet::new();
        for top in ["host", "plugins", "plugin-sdk", "tests"] {
            for file in files(&root.join(top)) {
                let text = std::fs::read_to_string(&file).unwrap();
                let path = file.strip_prefix(&root).unwrap().display();
                tests.extend(names(&text).map(|name| format!("{path}::{name}")));
            }
        }
        Self { tests }
    }

    pub(super) fn has(&self, test: &str) -> bool {
        self.tests.contains(test)
    }

    /// The tests whose names begin like this.
    pub(super) fn bearing(&self, prefix: &str) -> Vec<String> {
        let bears = |test: &&String| {
            let name = test.rsplit_once("::").map_or("", |(_, name)| name);
            name.strip_prefix("test_")
                .unwrap_or(name)
                .starts_with(prefix)
        };
        self.tests.iter().filter(bears).cloned().collect()
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && name != "target" {
            found.extend(files(&path));
        } else if [".rs", ".py"].iter().any(|end| name.ends_with(end)) {
            found.push(path);
        }
    }
    found
}

/// The names of the tests in a file.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let (mut test, mut ignored) = (false, false);
    text.lines().filter_map(move |line| {
        let line = line.trim();
        if line.starts_with("#[") {
            test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
            ignored |= line.starts_with("#[ignore");
            return None;
        }
        if line.is_empty() || line.starts_with("//") || line.starts_with(")]") {
            return None;
        }
        let runs = std::mem::take(&mut test) && !std::mem::take(&mut ignored);
        let word = line.strip_prefix("async ").unwrap_or(line);
        let name = match word.strip_prefix("fn ") {
            Some(name) if runs => name,
            _ => word
                .strip_prefix("def ")
                .filter(|name| name.starts_with("test_"))?,
        };
        name.split(|c: char| !c.is_alphanumeric() && c != '_')
            .next()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_told_from_other_functions() {
        let text = "fn helper() {}\n#[test]\nfn one() {}\n#[tokio::test(flavor = \"x\")]\nasync fn two() {\n    fn three() {}\n}\n#[test]\n#[ignore = \"slow\"]\nfn four() {}\ndef test_five(world):\ndef six():\n";
        assert_eq!(names(text).collect::<Vec<_>>(), ["one", "two", "test_five"]);
    }
}
