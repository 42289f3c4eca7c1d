//! The command line: arguments in, a command done, an exit code out.
//!
//! Only here and below is anything written for people; the rest of the gateway logs. Running the
//! gateway itself is `main`'s.

pub mod args;
mod ask;
mod audit;
mod ca;
mod capture;
mod change;
mod check;
pub mod exit;
mod explain;
mod figures;
pub mod logging;
mod plugin;
pub mod problems;
mod replay;
mod shadow;
pub mod signals;
pub(crate) mod terminal;

use self::{args::Errand, exit::Exit, terminal::Terminal};

/// One line for whoever started the process, on standard output.
pub fn say(text: &str) {
    Terminal::new().line(text);
}

/// Does what the arguments say.
pub fn carry_out(errand: Errand) -> Exit {
    match errand {
        Errand::Check(arguments) => check::check(&arguments),
        Errand::Ca(arguments) => ca::ca(&arguments),
        Errand::Plugin(arguments) => plugin::plugin(&arguments),
        Errand::Audit(arguments) => audit::audit(&arguments),
        Errand::Reload(arguments) => change::reload(&arguments),
        Errand::Rollback(arguments) => change::rollback(&arguments),
        Errand::Generations(arguments) => change::generations(&arguments),
        Errand::Status(arguments) => ask::status(&arguments),
        Errand::Shadow(arguments) => shadow::shadow(&arguments),
        Errand::Capture(arguments) => capture::capture(&arguments),
        Errand::Replay(arguments) => replay::replay(&arguments),
        Errand::Explain(arguments) => explain::explain(&arguments),
    }
}
