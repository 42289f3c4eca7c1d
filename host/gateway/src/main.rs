//! The life of the process: arguments in, one command, an exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    portcullis::cli::main()
}
