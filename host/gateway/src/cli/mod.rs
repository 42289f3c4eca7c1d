//! The command line: arguments in, a command done, an exit code out.
//!
//! Only here and below is anything written for people; the rest of the gateway logs. Running the
//! gateway itself is `main`'s.

pub mod args;
mod ask;
mod audit;
mod ca;
mod check;
pub mod exit;
pub mod problems;
mod terminal;

use clap::Parser;

use self::{
    args::{Arguments, Command},
    exit::Exit,
};

/// Reads the arguments and does what they say.
pub fn main() -> Exit {
    match Arguments::parse().command {
        Command::Check(arguments) => check::check(&arguments),
        Command::Ca(arguments) => ca::ca(&arguments),
        Command::Audit(arguments) => audit::audit(&arguments),
        Command::Reload(arguments) => ask::reload(&arguments),
        Command::Status(arguments) => ask::status(&arguments),
    }
}
