//! The wasm engine: one per process, shared by all generations.
//!
//! In: settings. Out: compiled and linked components ([`Engine::prepare`]). The engine owns a thread
//! that advances the epoch once a tick while guests run; it ends with the engine.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use wasmtime::component::{Component, Linker};

use crate::clock::Clock;
use crate::component::{ComponentCache, ComponentError, Digest, Prepared, Workshop};
use crate::instance::{Guest, link};
use crate::shadow;

/// After so many ticks without a call the ticker sleeps, so that an idle gateway stays idle.
const IDLE_TICKS: u32 = 100;

/// How the engine is set up.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// Where compiled components are kept; none: they are compiled at every start. The directory is
    /// made with mode 0700, and must belong to this user alone.
    pub cache_dir: Option<PathBuf>,
    /// How often running guests are interrupted to look at their budget: the resolution of a budget,
    /// and how long a guest holds a runtime thread at most.
    pub tick: Duration,
    /// What the pauses of quarantines are measured by.
    pub clock: Clock,
}

impl Default for EngineSettings {
    /// No cache, a tick of one millisecond, the machine's clock.
    fn default() -> Self {
        Self {
            cache_dir: None,
            tick: Duration::from_millis(1),
            clock: Clock::default(),
        }
    }
}

/// Why there is no engine. The operator's or the machine's fault.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// wasmtime does not run on this machine.
    #[error("the wasm engine cannot start on this machine: {0}")]
    Engine(String),
    /// The thread that enforces budgets could not be started.
    #[error("cannot start the budget thread: {0}")]
    Ticker(#[source] std::io::Error),
}

/// Compiles, links and runs components.
pub struct Engine {
    wasm: wasmtime::Engine,
    linker: Linker<Guest>,
    cache: ComponentCache,
    workshop: Workshop,
    /// What generations that are alive have compiled: a reload that changes only configuration
    /// compiles nothing.
    prepared: Mutex<HashMap<Digest, Weak<Prepared>>>,
    pulse: Arc<Pulse>,
    clock: Clock,
    shadows: shadow::Ledger,
    ticker: Option<JoinHandle<()>>,
}

impl Engine {
    /// Starts the engine.
    ///
    /// # Errors
    /// If wasmtime or the budget thread cannot start. A cache directory that cannot be used is no
    /// error: it is logged, and components are compiled instead.
    pub fn new(settings: EngineSettings) -> Result<Self, EngineError> {
        let wasm = wasmtime::Engine::new(&config())
            .map_err(|error| EngineError::Engine(format!("{error:#}")))?;
        let linker = link(&wasm).map_err(|error| EngineError::Engine(format!("{error:#}")))?;
        let cache = ComponentCache::open(&wasm, settings.cache_dir);
        let pulse = Arc::new(Pulse::default());
        let ticker = {
            let (wasm, pulse) = (wasm.clone(), Arc::clone(&pulse));
            thread::Builder::new()
                .name("policy-ticker".to_owned())
                .spawn(move || pulse.beat(&wasm, settings.tick))
                .map_err(EngineError::Ticker)?
        };
        pulse
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .replace(ticker.thread().clone());
        Ok(Self {
            wasm,
            linker,
            cache,
            workshop: Workshop::default(),
            prepared: Mutex::default(),
            pulse,
            clock: settings.clock,
            shadows: shadow::Ledger::default(),
            ticker: Some(ticker),
        })
    }

    /// What shadow plugins would have decided, in all generations of this engine.
    #[must_use]
    pub fn shadows(&self) -> &shadow::Ledger {
        &self.shadows
    }

    /// Says that stanzas are judged from now on: what is compiled meanwhile must not hold them up.
    pub fn traffic_begins(&self) {
        self.workshop.traffic_begins();
    }

    /// Verifies, compiles and links a component; from memory or cache if it is known. Blocks for as
    /// long as the compiler works.
    pub(crate) fn prepare(&self, bytes: &[u8]) -> Result<Arc<Prepared>, ComponentError> {
        let digest = Digest::of(bytes);
        let known =
            |map: &HashMap<Digest, Weak<Prepared>>| map.get(&digest).and_then(Weak::upgrade);
        if let Some(prepared) = known(&self.prepared.lock().unwrap_or_else(PoisonError::into_inner))
        {
            return Ok(prepared);
        }
        let component = self.compile(bytes, digest)?;
        let prepared = Arc::new(Prepared::link(&self.linker, component, digest)?);
        let mut map = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        map.retain(|_, prepared| prepared.strong_count() > 0);
        map.insert(digest, Arc::downgrade(&prepared));
        Ok(prepared)
    }

    /// Compiles a component, or takes it from the cache.
    pub(crate) fn compile(
        &self,
        bytes: &[u8],
        digest: Digest,
    ) -> Result<Component, ComponentError> {
        (self.workshop).run(|| self.cache.compile(&self.wasm, bytes, digest))
    }

    /// What components are linked against.
    pub(crate) fn linker(&self) -> &Linker<Guest> {
        &self.linker
    }

    /// What pauses are measured by.
    pub(crate) fn clock(&self) -> Clock {
        self.clock.clone()
    }

    /// What instances keep to wake the ticker.
    pub(crate) fn pulse(&self) -> Arc<Pulse> {
        Arc::clone(&self.pulse)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.pulse.stopped.store(true, Ordering::SeqCst);
        if let Some(ticker) = self.ticker.take() {
            ticker.thread().unpark();
            // A ticker that panicked has nothing left to clean up.
            let _ = ticker.join();
        }
    }
}

fn config() -> wasmtime::Config {
    let mut config = wasmtime::Config::new();
    config
        .epoch_interruption(true)
        // Component-model async is not used and costs 2 us a call even when idle.
        .concurrency_support(false)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(8));
    config
}

/// Tells the ticker whether guests run.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    busy: AtomicBool,
    asleep: AtomicBool,
    stopped: AtomicBool,
    thread: Mutex<Option<thread::Thread>>,
}

impl Pulse {
    /// Called when a guest starts to run and at every tick while it runs.
    pub(crate) fn running(&self) {
        if self.busy.load(Ordering::SeqCst) {
            return;
        }
        self.busy.store(true, Ordering::SeqCst);
        if self.asleep.load(Ordering::SeqCst)
            && let Some(thread) = &*self.thread.lock().unwrap_or_else(PoisonError::into_inner)
        {
            thread.unpark();
        }
    }

    fn beat(&self, wasm: &wasmtime::Engine, tick: Duration) {
        let mut idle = 0;
        while !self.stopped.load(Ordering::SeqCst) {
            if self.busy.swap(false, Ordering::SeqCst) {
                idle = 0;
            } else {
                idle += 1;
            }
            if idle < IDLE_TICKS {
                thread::park_timeout(tick);
            } else {
                self.asleep.store(true, Ordering::SeqCst);
                // Whoever set `busy` before it could see `asleep` is seen here.
                if !self.busy.load(Ordering::SeqCst) && !self.stopped.load(Ordering::SeqCst) {
                    thread::park();
                }
                self.asleep.store(false, Ordering::SeqCst);
                idle = 0;
            }
            wasm.increment_epoch();
        }
    }
}
