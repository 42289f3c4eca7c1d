//! Why a call came to nothing, in words for the operator and as a cause for counting.
//!
//! In: wasmtime's error, and what the guest printed before it ended ([`LastWords`]). Out:
//! [`Failure`]. A Rust guest that panics prints place and message and then executes `unreachable`;
//! only both together tell a panic from another trap. What a guest prints is its own claim: it can
//! lie about its end, and harms only the operator's understanding of it.

use std::sync::{Mutex, PoisonError};

use wasmtime::Trap;
use wasmtime_wasi::I32Exit;

use super::budget::Overrun;
use super::limits::OutOfMemory;
use super::log::cut;
use crate::figures::Cause;

/// Longer texts of failures are cut.
const TEXT_BYTES: usize = 1024;

/// Why a call came to nothing. The plugin's fault.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Overrun(#[from] Overrun),
    #[error("{0}")]
    Memory(OutOfMemory),
    #[error("it panicked at {0}")]
    Panic(String),
    #[error("it ended itself with exit status {0}")]
    Exit(i32),
    #[error("{0}")]
    Description(String),
    #[error("its init failed: {0}")]
    Init(String),
    #[error("it reported: {0}")]
    Reported(String),
    #[error("{0}")]
    Trap(String),
    #[error("it misused the host: {0}")]
    Host(String),
}

impl Failure {
    pub(crate) fn cause(&self) -> Cause {
        match self {
            Self::Overrun(Overrun::Cpu(_)) => Cause::Budget,
            Self::Overrun(Overrun::Wall(_)) => Cause::Deadline,
            Self::Memory(_) => Cause::Memory,
            Self::Panic(_) => Cause::Panic,
            Self::Exit(_) => Cause::Exit,
            Self::Description(_) | Self::Init(_) => Cause::Init,
            Self::Reported(_) => Cause::Reported,
            Self::Trap(_) => Cause::Trap,
            Self::Host(_) => Cause::Host,
        }
    }
}

/// What a guest printed about its panic.
#[derive(Debug, Default)]
pub(crate) struct LastWords(Mutex<Words>);

#[derive(Debug, Default)]
struct Words {
    /// `src/lib.rs:7:5: message`
    panic: Option<String>,
    /// The place was told; the next line is the message.
    unfinished: bool,
}

impl LastWords {
    /// Reads one line of stderr or of the log.
    pub(super) fn hear(&self, line: &str) {
        let mut words = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The SDK's hook says the one, Rust's own the other.
        let told = line.strip_prefix("panic at ");
        let told = told.or_else(|| Some(line.split_once("panicked at ")?.1));
        if let Some(told) = told {
            // Rust ends the line behind the place with a colon; the message follows on the next.
            words.unfinished = told.ends_with(':');
            words.panic = Some(cut(told, TEXT_BYTES).to_owned());
        } else if std::mem::take(&mut words.unfinished)
            && let Some(panic) = &mut words.panic
        {
            panic.push(' ');
            panic.push_str(cut(line, TEXT_BYTES));
        }
    }

    /// What this error of a call means.
    pub(super) fn failure(&self, error: wasmtime::Error) -> Failure {
        if let Some(overrun) = error.downcast_ref::<Overrun>() {
            return Failure::Overrun(*overrun);
        }
        if let Some(memory) = error.downcast_ref::<OutOfMemory>() {
            return Failure::Memory(*memory);
        }
        if let Some(exit) = error.downcast_ref::<I32Exit>() {
            return Failure::Exit(exit.0);
        }
        let trap = error.downcast_ref::<Trap>().copied();
        if trap == Some(Trap::UnreachableCodeReached)
            && let Some(panic) = self
                .0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .panic
                .take()
        {
            return Failure::Panic(panic);
        }
        // The root cause in front: the rest of the chain is the backtrace.
        let text = format!(
            "{} ({})",
            error.root_cause(),
            cut(&format!("{error}"), TEXT_BYTES)
        );
        match trap {
            Some(_) => Failure::Trap(text),
            None => Failure::Host(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(lines: &[&str]) -> String {
        let words = LastWords::default();
        for line in lines {
            words.hear(line);
        }
        words
            .failure(Trap::UnreachableCodeReached.into())
            .to_string()
    }

    #[test]
    fn a_panic_is_told_with_place_and_message() {
        let printed = [
            "",
            "thread '<unnamed>' (1) panicked at src/lib.rs:7:5:",
            "told to",
            "note: run with `RUST_BACKTRACE=1`",
        ];
        assert_eq!(told(&printed), "it panicked at src/lib.rs:7:5: told to");
        let logged = ["panic at src/lib.rs:7:5: told to", "more"];
        assert_eq!(told(&logged), "it panicked at src/lib.rs:7:5: told to");
    }

    #[test]
    fn a_trap_without_a_panic_is_a_trap() {
        assert!(told(&[]).contains("unreachable"), "{}", told(&[]));
        let words = LastWords::default();
        words.hear("panicked at src/lib.rs:7:5: not really");
        let failure = words.failure(Trap::StackOverflow.into());
        assert_eq!(failure.cause(), Cause::Trap);
    }

    #[test]
    fn what_is_no_trap_is_misuse_of_the_host() {
        let failure = LastWords::default().failure(wasmtime::format_err!("no such handle"));
        assert_eq!(failure.cause(), Cause::Host);
        assert!(failure.to_string().contains("no such handle"), "{failure}");
    }
}
