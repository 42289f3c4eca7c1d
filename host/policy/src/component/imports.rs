//! What a component may import: our package, and the WASI interfaces that Rust's std always links.

use super::{ComponentError, PACKAGE};

/// The interfaces of world `imports` in `wit/policy.wit`.
const OURS: [&str; 10] = [
    "types",
    "state",
    "journal",
    "hearing",
    "log",
    "domains",
    "partners",
    "emit",
    "addresses",
    "files",
];

/// The version of ours that this gateway has; any patch release of it is compatible.
const VERSION: &str = "0.1.";

/// WASI 0.2 interfaces that std links whether they are used or not. All of them are bound to an empty
/// context (see `instance::wasi`).
const WASI: [&str; 20] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
];

/// More names are only counted.
const NAMED: usize = 8;

/// Refuses imports that are on neither list, by their names.
pub(super) fn check<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), ComponentError> {
    let mut refused = Vec::new();
    for name in names {
        if !is_allowed(name)? {
            refused.push(format!("`{name}`"));
        }
    }
    if refused.is_empty() {
        return Ok(());
    }
    let more = refused.len().saturating_sub(NAMED);
    refused.truncate(NAMED);
    let mut named = refused.join(", ");
    if more > 0 {
        named.push_str(&format!(" and {more} more"));
    }
    Err(ComponentError::Import(named))
}

/// Whether it is on a list; an error for one of ours that this gateway does not have.
fn is_allowed(name: &str) -> Result<bool, ComponentError> {
    let (interface, version) = name.split_once('@').unwrap_or((name, ""));
    if WASI.contains(&interface) && version.starts_with("0.2.") {
        return Ok(true);
    }
    match interface.strip_prefix(PACKAGE) {
        Some(ours) if OURS.contains(&ours) && version.starts_with(VERSION) => Ok(true),
        Some(_) => Err(ComponentError::Unknown {
            name: name.to_owned(),
            known: format!("it has {VERSION}x"),
        }),
        None => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn std_and_our_package_may_be_imported() {
        for name in [
            "wasi:cli/exit@0.2.6",
            "wasi:io/poll@0.2.0",
            "portcullis:policy/state@0.1.0",
            "portcullis:policy/types@0.1.9",
        ] {
            assert!(check([name].into_iter()).is_ok(), "{name}");
        }
    }

    #[test]
    fn everything_else_is_refused_by_name() {
        for name in [
            "wasi:sockets/tcp@0.2.6",
            "wasi:http/outgoing-handler@0.2.0",
            "wasi:cli/exit@0.3.0",
            "wasi:cli/exit",
            "wasi:cli/exit-now@0.2.0",
            "portcullis:policy/secrets@0.1.0",
            "portcullis:policy/state@0.2.0",
            "evil:thing/x",
            "run",
        ] {
            let error = check([name].into_iter()).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn all_that_is_refused_is_named_up_to_a_bound() {
        let names: Vec<_> = (0..10).map(|n| format!("wasi:sockets/{n}@0.2.0")).collect();
        let error = check(names.iter().map(String::as_str)).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("wasi:sockets/0@") && text.contains("wasi:sockets/7@"),
            "{text}"
        );
        assert!(text.contains("and 2 more"), "{text}");
    }
}
