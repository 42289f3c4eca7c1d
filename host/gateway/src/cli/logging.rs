//! The log: standard error, one event per line, for people or as JSON.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, filter::ParseError, fmt};

use super::args::LogFormat;

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
    let format = fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    // The only reason to fail is that a log was started before.
    let _ = match shape {
        LogFormat::Human => format.try_init(),
        LogFormat::Json => format.json().flatten_event(true).try_init(),
    };
    Ok(())
}
