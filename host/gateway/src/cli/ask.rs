//! One question to the running gateway over its admin socket, and `status`.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    args::{Ask, Format},
    change::{show_reload, show_rollback},
    exit::Exit,
    figures, problems,
    terminal::{Level, Terminal},
};
use crate::{
    admin::protocol::{MAX_LINE, Reload, Request, Response, Status},
    config::Config,
};

/// A reload compiles and tries every plugin; a gateway that is silent for longer is stuck.
const PATIENCE: Duration = Duration::from_secs(120);

/// Why no answer came. The operator's to mend.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// Nobody listens.
    #[error("no gateway answers on {0}: {1}")]
    NoGateway(PathBuf, io::Error),
    /// Somebody listens, but says what we do not understand.
    #[error("the gateway's answer on {0} is not understood: {1}")]
    Answer(PathBuf, serde_json::Error),
}

/// Asks the gateway whose `data_dir` this is.
///
/// # Errors
/// [`AskError`]
pub(crate) fn ask(data_dir: &Path, request: &Request) -> Result<Response, AskError> {
    let socket = data_dir.join("admin.sock");
    let line =
        exchange(&socket, request).map_err(|error| AskError::NoGateway(socket.clone(), error))?;
    serde_json::from_str(&line).map_err(|error| AskError::Answer(socket, error))
}

fn exchange(socket: &Path, request: &Request) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_string(request).map_err(io::Error::other)?;
    line.push('\n');
    stream.write_all(line.as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream.take(MAX_LINE as u64)).read_line(&mut answer)?;
    if answer.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(answer)
}

/// `portcullis status`
pub(crate) fn status(arguments: &Ask) -> Exit {
    let terminal = Terminal::new();
    match asked(arguments, &Request::Status) {
        Err(exit) => exit,
        Ok(Response::Status(status)) => {
            match arguments.output.format() {
                Format::Json => terminal.json(&status),
                Format::Human => show_status(terminal, &status),
            }
            Exit::Well
        }
        Ok(other) => unexpected(terminal, other),
    }
}

pub(super) fn asked(arguments: &Ask, request: &Request) -> Result<Response, Exit> {
    // The gateway may run well while its file is half-edited: only data_dir is needed from it.
    let data_dir = Config::data_dir(&arguments.config.file)
        .map_err(|rejected| problems::refused(&rejected, arguments.output.format()))?;
    ask(&data_dir, request).map_err(|error| {
        eprintln!("portcullis: {error}");
        match error {
            AskError::NoGateway(..) => Exit::NoGateway,
            AskError::Answer(..) => Exit::Problem,
        }
    })
}

pub(super) fn unexpected(terminal: Terminal, response: Response) -> Exit {
    let message = match response {
        Response::Error { message } => message,
        _ => String::from("the gateway answered another question"),
    };
    terminal.mark(Level::Problem, &message, None);
    Exit::Problem
}

fn show_status(terminal: Terminal, status: &Status) {
    terminal.line(&format!(
        "portcullis {}, process {}, {} since {}",
        status.version,
        status.pid,
        status.phase,
        moment(&status.started)
    ));
    for listener in &status.listeners {
        terminal.line(&format!("  {:<10} {}", listener.name, listener.address));
    }
    terminal.heading("Policy");
    terminal.line(&format!(
        "  generation {} judges, {} alive",
        status.generation, status.generations_alive
    ));
    if let Some(reload) = &status.last_reload {
        terminal.line(&format!("  last reload, {}:", moment(&reload.time)));
        show_reload(terminal, reload);
    }
    let hidden = |refused: &&Reload| Some(*refused) != status.last_reload.as_ref();
    if let Some(refused) = status.last_refused.as_ref().filter(hidden) {
        terminal.line(&format!("  last refused, {}:", moment(&refused.time)));
        show_reload(terminal, refused);
    }
    if let Some(rolled_back) = &status.rolled_back {
        show_rollback(terminal, rolled_back);
    }
    figures::show(terminal, &status.plugins);
    if let Some(capture) = &status.capture {
        terminal.heading("Capture");
        let text = format!(
            "whole stanzas are written to {} until {}: {} so far, {} missed",
            capture.output.display(),
            moment(&capture.until),
            capture.stanzas,
            capture.missed
        );
        terminal.mark(
            Level::Warning,
            &text,
            Some("`portcullis capture --stop` ends it"),
        );
    }
    if !status.streams.is_empty() {
        terminal.heading("Streams");
        let rows: Vec<_> = status
            .streams
            .iter()
            .map(|stream| {
                [
                    stream.side.clone(),
                    stream.direction.clone(),
                    stream.remote.clone(),
                    stream.local.clone(),
                    stream.address.clone().unwrap_or_default(),
                    stream.tls.clone().unwrap_or_default(),
                    stream.method.clone().unwrap_or_default(),
                    stream.certificate.clone().unwrap_or_default(),
                    moment(&stream.since),
                ]
            })
            .collect();
        let headings = [
            "side",
            "direction",
            "remote",
            "local",
            "address",
            "TLS",
            "method",
            "certificate",
            "since",
        ];
        terminal.table(headings, &rows);
    }
    if !status.queues.is_empty() {
        terminal.heading("Queues");
        let rows: Vec<_> = status
            .queues
            .iter()
            .map(|queue| {
                [
                    queue.from.clone(),
                    queue.to.clone(),
                    queue.state.clone(),
                    queue.stanzas.to_string(),
                    queue.bytes.to_string(),
                    queue.last_failure.clone().unwrap_or_default(),
                ]
            })
            .collect();
        let headings = ["from", "to", "state", "stanzas", "bytes", "last failure"];
        terminal.table(headings, &rows);
    }
    if !status.certificates.is_empty() {
        terminal.heading("Certificates");
        for certificate in &status.certificates {
            let days = certificate.expires_in / 86_400;
            let level = match days {
                ..0 => Level::Problem,
                0..30 => Level::Warning,
                _ => Level::Ok,
            };
            let text = format!("{}, until {}", certificate.file, certificate.not_after);
            terminal.mark(level, &text, None);
        }
    }
}

/// A time for people: without fractions of a second.
pub(super) fn moment(time: &str) -> String {
    match time.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => time.to_owned(),
    }
}
