//! The life of the process: arguments in, one command, an exit code out.

use portcullis::cli::{self, exit::Exit};

fn main() -> Exit {
    cli::main()
}
