//! The log: standard error, one event per line, for people or as JSON.
//!
//! Ids, names and texts that a remote chose are in it. Whatever they contain, and however a call of
//! `tracing` hands them over, an event stays one line and controls no terminal: JSON has escapes of
//! its own, and the lines for people get them here.

use std::{
    fmt::Debug,
    io::{self, IsTerminal},
};

use tracing::field::Field;
use tracing_subscriber::{
    EnvFilter,
    filter::ParseError,
    fmt::{
        self,
        format::{Writer, debug_fn},
    },
};

use super::{args::LogFormat, terminal::visible};

/// What is logged if neither `--log` nor `RUST_LOG` says otherwise.
const DEFAULT: &str = "info";

/// Why there is no log. The operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter is not understood.
    #[error("the log filter \"{0}\" is not understood: {1}")]
    Filter(String, ParseError),
}

/// Starts the log for the whole process; without a `filter` RUST_LOG decides. A second call changes
/// nothing.
///
/// # Errors
/// [`LogError`]
pub fn start(shape: LogFormat, filter: Option<&str>) -> Result<(), LogError> {
    let wanted = filter
        .map(str::to_owned)
        .or_else(|| std::env::var("RUST_LOG").ok())
        .filter(|filter| !filter.is_empty())
        .unwrap_or_else(|| DEFAULT.to_owned());
    let filter = EnvFilter::try_new(&wanted).map_err(|error| LogError::Filter(wanted, error))?;
    let format = fmt::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    // The only reason to fail is that a log was started before.
    let _ = match shape {
        LogFormat::Human => format.fmt_fields(debug_fn(write_field)).try_init(),
        LogFormat::Json => format.json().flatten_event(true).try_init(),
    };
    Ok(())
}

/// Writes one field as `tracing_subscriber` does, with escapes; the message is the first.
fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> std::fmt::Result {
    let value = format!("{value:?}");
    let value = visible(&value);
    match field.name() {
        "message" => write!(writer, "{value}"),
        // What the `log` crate says of a record's origin is told elsewhere in the line.
        name if name.starts_with("log.") => Ok(()),
        name if writer.has_ansi_escapes() => {
            write!(writer, " \x1b[3m{name}\x1b[0m\x1b[2m=\x1b[0m{value}")
        }
        name => write!(writer, " {name}={value}"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn v24_what_a_remote_chose_makes_no_line_of_its_own_however_it_is_logged() {
        // A stream id as in `id='a&#10;b'`, or the text of a stream error.
        let hostile = "a\n2026-11-22T10:00:00Z  INFO all is well\r\x1b[2J\u{9b}31m\u{2028}b";
        for ansi in [false, true] {
            let lines = Lines::default();
            let to = lines.clone();
            let subscriber = fmt::fmt()
                .with_writer(move || to.clone())
                .with_ansi(ansi)
                .fmt_fields(debug_fn(write_field))
                .finish();
            tracing::subscriber::with_default(subscriber, || {
                tracing::warn!(stream = hostile, text = %hostile, debug = ?hostile, "closed: {hostile}");
            });
            let bytes = lines.0.lock().unwrap().clone();
            let text = String::from_utf8(bytes).unwrap();
            let (line, rest) = text.split_once('\n').unwrap();
            assert_eq!(rest, "", "{text}");
            assert_eq!(line.matches("all is well").count(), 4, "{line}");
            let painted = |c: char| ansi && c == '\x1b';
            assert!(
                !line
                    .chars()
                    .any(|c| c.is_control() && !painted(c) || c == '\u{2028}'),
                "{line:?}"
            );
            assert!(!line.contains("\x1b[2J"), "{line:?}");
            if !ansi {
                assert!(line.contains(r"text=a\n2026"), "{line}");
            }
        }
    }
}
