//! `portcullis demo`: a gateway at work, with everything around it in one process.
//!
//! Real sockets, real TLS, real DNS queries, real plugins, all on loopback: an internal server
//! (org.test), two partners (alpha.test, beta.test) and a stranger (gamma.test). Nothing outside of
//! one temporary directory is touched. What it tells is what happened: each step waits for its
//! effect at the other end, and a step whose effect does not come ends the demo with an error.

mod dns;
mod files;
mod flow;
mod plugins;
mod server;
mod stage;
mod tour;

use crate::cli::args::{Demo, LogFormat};
use crate::cli::exit::Exit;
use crate::cli::logging;
use crate::cli::signals::{Signal, Signals};
use crate::cli::terminal::{Level, Terminal};

use stage::Stage;

/// Why the demo did not go on. `what` was expected; `why` says what was there instead.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {why}")]
pub(crate) struct Failed {
    what: String,
    why: String,
}

impl Failed {
    fn new(what: impl Into<String>, why: impl ToString) -> Self {
        Self {
            what: what.into(),
            why: why.to_string(),
        }
    }
}

/// Runs the demo.
pub fn demo(arguments: &Demo) -> Exit {
    let terminal = Terminal::new();
    if let Some(filter) = &arguments.filter
        && let Err(error) = logging::start(LogFormat::Human, Some(filter))
    {
        terminal.mark(Level::Problem, &error.to_string(), None);
        return Exit::Usage;
    }
    match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime.block_on(play(arguments, terminal)),
        Err(error) => {
            terminal.mark(Level::Problem, &format!("cannot start: {error}"), None);
            Exit::Problem
        }
    }
}

async fn play(arguments: &Demo, terminal: Terminal) -> Exit {
    match whole(arguments, terminal).await {
        Ok(()) => Exit::Well,
        Err(failed) => {
            terminal.mark(Level::Problem, &failed.to_string(), None);
            Exit::Problem
        }
    }
}

async fn whole(arguments: &Demo, terminal: Terminal) -> Result<(), Failed> {
    let mut signals = Signals::new().map_err(|error| Failed::new("signals", error))?;
    let mut stage = tokio::select! {
        built = Stage::build(terminal) => built?,
        () = signals.end() => return Err(Failed::new("the demo", "interrupted")),
    };
    let toured = tokio::select! {
        toured = tour::tour(&mut stage) => toured,
        () = signals.end() => Err(Failed::new("the demo", "interrupted")),
    };
    if toured.is_ok() && !arguments.once {
        stage.what_to_try_next();
        while let Signal::Reload = signals.next().await {}
    }
    let ended = stage.end().await;
    toured.and(ended)
}
