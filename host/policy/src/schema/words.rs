//! How misfits are said: in the words of the operator's file.

use serde_json::Value;

use super::{Misfit, Step, Subject};

/// What a value in a message is cut at, in characters.
const SHOWN: usize = 40;

/// The word among `known` that `word` is a slip of: at most a third of its letters differ.
#[must_use]
pub fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A key that the schema does not have.
pub(super) fn unknown(path: &[Step], key: &str, known: &[&str]) -> Misfit {
    let message = match path {
        [] => format!("unknown key `{key}`"),
        path => format!("unknown key `{key}` in `{}`", spelt(path)),
    };
    let help = match nearest(key, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "there are no keys here".to_owned(),
        None => format!("the keys here are {}", known.join(", ")),
    };
    let mut path = path.to_vec();
    path.push(Step::Key(key.to_owned()));
    Misfit {
        path,
        subject: Subject::Key,
        message,
        help: Some(help),
    }
}

/// A key that must be there. `about` is what its schema says of it.
pub(super) fn missing(path: &[Step], key: &str, about: Option<&str>) -> Misfit {
    let message = match path {
        [] => format!("the plugin needs the key `{key}`"),
        path => format!("`{}` needs the key `{key}`", spelt(path)),
    };
    Misfit {
        path: path.to_vec(),
        subject: Subject::Value,
        message,
        help: about.map(|about| format!("`{key}`: {}", first_line(about))),
    }
}

/// A value that is not what the schema wants.
pub(super) fn must(path: &[Step], wanted: &str, found: &Value) -> Misfit {
    Misfit {
        path: path.to_vec(),
        subject: Subject::Value,
        message: format!("{} must be {wanted}, not {}", subject(path), said(found)),
        help: None,
    }
}

/// A value that is none of the words that the schema lists.
pub(super) fn none_of(path: &[Step], words: &[&Value], found: &Value) -> Misfit {
    let listed: Vec<_> = words.iter().map(|word| word.to_string()).collect();
    let wanted = match listed.as_slice() {
        [one] => one.clone(),
        all => format!("one of {}", all.join(", ")),
    };
    let texts: Vec<_> = words.iter().filter_map(|word| word.as_str()).collect();
    let near = found.as_str().and_then(|found| nearest(found, &texts));
    Misfit {
        help: near.map(|near| format!("did you mean \"{near}\"?")),
        ..must(path, &wanted, found)
    }
}

/// What a type of JSON is called in TOML.
pub(super) fn type_name(name: &str) -> &str {
    match name {
        "object" => "a table",
        "array" => "a list",
        "string" => "a string in quotes",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        other => other,
    }
}

fn subject(path: &[Step]) -> String {
    match path {
        [] => "the config".to_owned(),
        path => format!("`{}`", spelt(path)),
    }
}

/// `rule[1].partner`
fn spelt(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Key(key) if text.is_empty() => text.push_str(key),
            Step::Key(key) => {
                text.push('.');
                text.push_str(key);
            }
            Step::Index(index) => text.push_str(&format!("[{index}]")),
        }
    }
    text
}

fn said(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => {
            let short: String = text.chars().take(SHOWN).collect();
            let more = if short.len() < text.len() { "…" } else { "" };
            format!("the string {}{more}", Value::String(short))
        }
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a table".to_owned(),
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
