//! The empty world that Rust's std sees: WASI 0.2 without directories, environment, arguments or
//! input. What it prints goes to the plugin's log; `exit` is a trap.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime::component::{Linker, ResourceTable};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream, WasiCli, WasiCliView};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::{cli, filesystem, random};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};
use wasmtime_wasi::random::WasiRandom;
use wasmtime_wasi::{WasiCtx, WasiView};

use super::failure::LastWords;
use super::log::{LINE_BYTES, Level, PluginLog};

/// Host resources (streams, pollables, peers) that one instance may hold at a time.
const RESOURCES: usize = 1024;

/// More random bytes in one call are refused; a hash map's seed needs 16.
const RANDOM_BYTES: u64 = 64 * 1024;

/// A guest may hand over so much at a time; the log keeps less.
const WRITE_BYTES: usize = 64 * 1024;

/// Links exactly the interfaces of `component::imports::WASI`.
pub(super) fn link<T: WasiView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    // io, clocks, random/random, and the three standard streams.
    wasmtime_wasi::p2::add_to_linker_proxy_interfaces_async(linker)?;
    cli::environment::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::exit::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::terminal_input::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::terminal_output::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::terminal_stdin::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::terminal_stdout::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::terminal_stderr::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    filesystem::preopens::add_to_linker::<T, WasiFilesystem>(linker, T::filesystem)?;
    filesystem::types::add_to_linker::<T, WasiFilesystem>(linker, T::filesystem)?;
    random::insecure::add_to_linker::<T, WasiRandom>(linker, |state| state.ctx().ctx.random())?;
    random::insecure_seed::add_to_linker::<T, WasiRandom>(linker, |state| {
        state.ctx().ctx.random()
    })?;
    Ok(())
}

/// A context with nothing in it.
pub(super) fn context(log: &Arc<PluginLog>, words: &Arc<LastWords>) -> WasiCtx {
    let mut context = WasiCtx::builder();
    context.max_random_size(RANDOM_BYTES);
    context.stdout(Console::new(log, Level::Info, None));
    context.stderr(Console::new(log, Level::Warn, Some(Arc::clone(words))));
    context.build()
}

/// A table that a guest cannot fill without end.
pub(super) fn table() -> ResourceTable {
    let mut table = ResourceTable::new();
    table.set_max_capacity(RESOURCES);
    table
}

struct Console(Arc<Mutex<Lines>>);

impl Console {
    fn new(log: &Arc<PluginLog>, level: Level, words: Option<Arc<LastWords>>) -> Self {
        Self(Arc::new(Mutex::new(Lines {
            log: Arc::clone(log),
            level,
            words,
            line: Vec::new(),
        })))
    }
}

impl IsTerminal for Console {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Console {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        // WASI 0.3 would ask for this one; it is not linked.
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Writer(Arc::clone(&self.0)))
    }
}

/// Cuts what is written into lines. It outlives the guest's handles, since std takes a new one for
/// each write; a line that has not ended is held up to the longest length.
struct Lines {
    log: Arc<PluginLog>,
    level: Level,
    /// Of stderr: what the guest says of its end.
    words: Option<Arc<LastWords>>,
    line: Vec<u8>,
}

impl Lines {
    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ended) = part
                .strip_suffix(b"\n")
                .map_or((part, false), |text| (text, true));
            let room = LINE_BYTES.saturating_sub(self.line.len());
            self.line.extend(text.iter().take(room));
            if ended {
                self.end();
            }
        }
    }

    fn end(&mut self) {
        let line = String::from_utf8_lossy(&self.line);
        if let Some(words) = &self.words {
            words.hear(&line);
        }
        self.log.write(self.level, &line);
        self.line.clear();
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if !self.line.is_empty() {
            self.end();
        }
    }
}

struct Writer(Arc<Mutex<Lines>>);

impl OutputStream for Writer {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Writer {
    async fn ready(&mut self) {}
}
