//! Everything that an author can name has an example of its own, which runs as a test.
//!
//! In: the sources of this crate. Not looked at: what is generated, hidden or no part of the interface, and
//! modules, whose parts have examples. An attribute of several lines parts an item from its comment, and the
//! item is then reported: the search is for lines, and rather finds too much.

use std::fs;
use std::path::Path;

/// What begins a public item, behind its indentation.
const ITEMS: [&str; 7] = [
    "pub fn ",
    "pub const ",
    "pub struct ",
    "pub enum ",
    "pub trait ",
    "pub type ",
    "macro_rules! ",
];

/// Adds `file:line item` of each item without an example, and returns how many items there are.
fn look_at(file: &Path, without: &mut Vec<String>) -> usize {
    let text = fs::read_to_string(file).unwrap();
    let mut items = 0;
    let mut above = Vec::new();
    let mut in_trait = false;
    for (number, line) in text.lines().enumerate() {
        let begin = line.trim_start();
        let hidden = above.contains(&"#[doc(hidden)]");
        if hidden && begin.starts_with("pub mod ") && begin.ends_with('{') {
            break;
        }
        if begin.starts_with("///") || begin.starts_with("#[") {
            above.push(begin);
            continue;
        }
        let exported = !begin.starts_with("macro_rules!") || above.contains(&"#[macro_export]");
        let public = ITEMS.iter().any(|item| begin.starts_with(item)) && exported;
        // What a trait asks of its implementor is as public as the trait.
        let asked = in_trait
            && ["    fn ", "    type "]
                .iter()
                .any(|item| line.starts_with(item));
        if (public || asked) && !hidden {
            items += 1;
            if !above.iter().any(|comment| comment.starts_with("/// ```")) {
                without.push(format!("{}:{} {begin}", file.display(), number + 1));
            }
        }
        above.clear();
        in_trait = line.starts_with("pub trait ") || (in_trait && line != "}");
    }
    items
}

fn look_below(dir: &Path, without: &mut Vec<String>) -> usize {
    let mut items = 0;
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            items += look_below(&path, without);
        } else if !path.ends_with("bindings.rs") {
            items += look_at(&path, without);
        }
    }
    items
}

#[test]
fn every_public_item_has_an_example() {
    let mut without = Vec::new();
    let items = look_below(
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")),
        &mut without,
    );
    assert!(items > 200, "only {items} items were found");
    assert!(without.is_empty(), "no example:\n{}", without.join("\n"));
}
