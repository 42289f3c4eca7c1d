//! What a component may import: our package, and the WASI interfaces that Rust's std always links.

use super::{ComponentError, PACKAGE};

/// The interfaces of world `imports` in `wit/policy.wit`.
const OURS: [&str; 9] = [
    "types",
    "state",
    "journal",
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

/// Refuses an import that is on neither list, by name.
pub(super) fn check(name: &str) -> Result<(), ComponentError> {
    let (interface, version) = name.split_once('@').unwrap_or((name, ""));
    if WASI.contains(&interface) && version.starts_with("0.2.") {
        return Ok(());
    }
    match interface.strip_prefix(PACKAGE) {
        Some(ours) if OURS.contains(&ours) && version.starts_with(VERSION) => Ok(()),
        Some(_) => Err(ComponentError::Unknown {
            name: name.to_owned(),
            known: format!("it has {VERSION}x"),
        }),
        None => Err(ComponentError::Import(name.to_owned())),
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
            assert!(check(name).is_ok(), "{name}");
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
            let error = check(name).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
