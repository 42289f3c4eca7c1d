//! `host/gateway/docs/wit.md` is what `wit/policy.wit` says, for reading.

use std::fmt::Write as _;
use std::path::Path;

/// Says how to make it anew.
const WRITE: &str = "PORTCULLIS_WRITE_DOCS";

#[test]
fn the_reference_says_what_the_wit_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let wit = std::fs::read_to_string(root.join("wit/policy.wit")).unwrap();
    let place = root.join("host/gateway/docs/wit.md");
    let rendered = rendered(&wit);
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&place, &rendered).unwrap();
    }
    let there = std::fs::read_to_string(&place).unwrap_or_default();
    assert!(
        there == rendered,
        "{} is stale: run this test with {WRITE}=1",
        place.display()
    );
}

/// Each interface and world a chapter, each type a section, each member a line with its comment.
fn rendered(wit: &str) -> String {
    let mut text = String::from(
        "# The contract between gateway and plugins\n\nMade from `wit/policy.wit`, which is the contract; a test keeps the two alike.\n",
    );
    let mut comment: Vec<&str> = Vec::new();
    // A member that goes on over several lines.
    let mut open = String::new();
    let mut depth = 0_usize;
    for line in wit.lines().map(str::trim) {
        if let Some(more) = line.strip_prefix("///") {
            if !more.trim().is_empty() {
                comment.push(more.trim());
            }
            continue;
        }
        if line.is_empty() || line.starts_with("//") {
            continue;
        }
        let said = std::mem::take(&mut comment).join(" ");
        let begins = line.ends_with('{') && open.is_empty();
        if let (true, Some(head)) = (begins, line.strip_suffix('{')) {
            let level = "#".repeat(depth + 2);
            write!(text, "\n{level} {}\n\n", head.trim()).unwrap();
            depth += 1;
            if !said.is_empty() {
                write!(text, "{said}\n\n").unwrap();
            }
            continue;
        }
        if line == "}" && open.is_empty() {
            depth = depth.saturating_sub(1);
            continue;
        }
        if !open.is_empty() {
            open.push(' ');
        }
        open.push_str(line);
        let whole = line.ends_with([',', ';', '}']) && balanced(&open);
        // Words of an enum, many on a line.
        if !whole {
            if !said.is_empty() {
                write!(text, "{said}\n\n").unwrap();
            }
            continue;
        }
        let member = std::mem::take(&mut open);
        let member = member.trim_end_matches([',', ';']);
        match (depth, said.is_empty()) {
            (0, _) => write!(text, "\n`{member}`\n\n{said}\n").unwrap(),
            (_, true) => writeln!(text, "- `{member}`").unwrap(),
            (_, false) => writeln!(text, "- `{member}`: {said}").unwrap(),
        }
    }
    while text.contains("\n\n\n") {
        text = text.replace("\n\n\n", "\n\n");
    }
    text
}

/// Whether every bracket is closed.
fn balanced(text: &str) -> bool {
    let count = |signs: &[char]| text.matches(signs).count();
    count(&['(', '{']) == count(&[')', '}'])
}
