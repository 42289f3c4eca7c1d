//! The life of the process: arguments, log, configuration, start, signals, drain, exit code.

use clap::Parser;
use portcullis::{
    app::{self, Trigger},
    cli::{
        self,
        args::{Arguments, Command, Format, Run},
        exit::Exit,
        logging, problems,
        signals::{Signal, Signals},
    },
    config::Config,
    demo,
    service::{self, Change},
};

fn main() -> Exit {
    match Arguments::parse().command {
        Command::Run(arguments) => run(&arguments),
        Command::Demo(arguments) => demo::demo(&arguments),
        Command::Errand(errand) => cli::carry_out(errand),
    }
}

/// `portcullis run`: the gateway, from its configuration to its last stanza.
fn run(arguments: &Run) -> Exit {
    if let Err(error) = logging::start(arguments.log.log_format, arguments.log.filter.as_deref()) {
        eprintln!("portcullis: {error}");
        return Exit::Usage;
    }
    // All of the configuration, before anything is opened.
    let config = match Config::load(&arguments.config.file) {
        Ok(config) => config,
        Err(rejected) => return problems::refused(&rejected, Format::Human),
    };
    match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime.block_on(serve(config)),
        Err(error) => {
            tracing::error!(%error, "cannot start");
            Exit::Problem
        }
    }
}

async fn serve(config: Config) -> Exit {
    // Before the start, so that a signal while it lasts is not lost.
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => {
            tracing::error!(%error, "cannot listen for signals");
            return Exit::Problem;
        }
    };
    let gateway = match app::start(config).await {
        Ok(gateway) => gateway,
        Err(error) => {
            tracing::error!("cannot start: {error}");
            return Exit::Problem;
        }
    };
    cli::say(&gateway.to_string());
    service::tell(Change::Ready);

    while let Signal::Reload = signals.next().await {
        tokio::select! {
            // What became of it is told by the log and by `status`.
            _ = gateway.reload(Trigger::Signal) => {}
            () = signals.end() => break,
        }
    }

    service::tell(Change::Stopping);
    let drained = gateway.shutdown().await;
    match drained.is_clean() {
        true => Exit::Well,
        false => Exit::Problem,
    }
}
