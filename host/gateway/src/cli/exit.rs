//! What an exit code means. `--help` prints the same list.

use std::process::{ExitCode, Termination};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Exit {
    /// All is well.
    Well,
    /// A problem was found, or what was asked for could not be done.
    Problem,
    /// The arguments are wrong (clap's own code for it).
    Usage,
    /// No running gateway answers (`EX_UNAVAILABLE` of sysexits.h).
    NoGateway,
    /// The configuration is refused (`EX_CONFIG` of sysexits.h).
    Config,
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Well => 0,
            Self::Problem => 1,
            Self::Usage => 2,
            Self::NoGateway => 69,
            Self::Config => 78,
        })
    }
}
