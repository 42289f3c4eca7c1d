//! `capture`: whole stanzas to a file, by the running gateway.

use super::{
    args::{Capture, Format},
    ask::{asked, moment, unexpected},
    exit::Exit,
    terminal::{Level, Terminal},
};
use crate::admin::protocol::{Request, Response};

/// Begins or ends a capture.
pub(crate) fn capture(arguments: &Capture) -> Exit {
    let terminal = Terminal::new();
    let request = match &arguments.output {
        Some(output) => match std::path::absolute(output) {
            Ok(output) => Request::Capture {
                output,
                seconds: arguments.seconds,
                bytes: arguments.bytes,
                partner: arguments.partner.clone(),
            },
            Err(error) => {
                terminal.mark(
                    Level::Problem,
                    &format!("{}: {error}", output.display()),
                    None,
                );
                return Exit::Problem;
            }
        },
        None => Request::StopCapture,
    };
    match asked(&arguments.ask, &request) {
        Err(exit) => exit,
        Ok(Response::Capture(capturing)) => {
            if arguments.ask.output.format() == Format::Json {
                terminal.json(&capturing);
                return Exit::Well;
            }
            let output = capturing.output.display();
            let (text, help) = match request {
                Request::StopCapture => {
                    let (stanzas, missed) = (capturing.stanzas, capturing.missed);
                    let text = format!("{stanzas} stanzas are in {output}, {missed} were missed");
                    (
                        text,
                        "`portcullis replay` judges them by another configuration",
                    )
                }
                _ => {
                    let until = moment(&capturing.until);
                    let text = format!("whole stanzas are written to {output} until {until}");
                    (text, "`portcullis capture --stop` ends it before")
                }
            };
            terminal.mark(Level::Ok, &text, Some(help));
            Exit::Well
        }
        Ok(other) => unexpected(terminal, other),
    }
}

/// A length of time with its unit, in seconds.
pub(super) fn seconds(text: &str) -> Result<u64, String> {
    let units = [("s", 1), ("m", 60), ("h", 3600)];
    measured(text, &units).ok_or_else(|| "is no time such as 30s, 10m or 2h".to_owned())
}

/// A size with its unit, in bytes.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    measured(text, &units).ok_or_else(|| "is no size such as 100MiB".to_owned())
}

fn measured(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (number, factor) =
        (units.iter()).find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_need_their_unit() {
        assert_eq!((seconds("10m"), seconds("2h")), (Ok(600), Ok(7200)));
        assert_eq!(bytes("100MiB"), Ok(100 << 20));
        for text in ["", "10", "m", "-1s", "99999999999999999999h"] {
            assert!(seconds(text).is_err() && bytes(text).is_err(), "{text}");
        }
    }
}
