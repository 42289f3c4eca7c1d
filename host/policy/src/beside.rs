//! Work beside the chain: on a thread and a runtime of its own, from when its generation goes live.
//!
//! In: a worker, made with its generation, and what it runs. Out: nothing but what the worker does;
//! if there is no thread or no runtime for it, that is logged, and the worker is gone with its end
//! of every channel. A generation that never goes live takes its workers with it, unbegun.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tokio::runtime::Builder;

/// A worker until it begins.
pub(crate) struct Beside<W> {
    /// What it is, for the log and the thread's name.
    kind: &'static str,
    worker: Mutex<Option<W>>,
}

impl<W: Send + 'static> Beside<W> {
    pub(crate) fn new(kind: &'static str, worker: W) -> Self {
        Self {
            kind,
            worker: Mutex::new(Some(worker)),
        }
    }

    /// Lets the worker of this plugin run; once. `run` and what it holds are dropped on the thread, or
    /// here if there is none.
    pub(crate) fn begin<F: Future>(
        &self,
        plugin: &Arc<str>,
        run: impl FnOnce(W) -> F + Send + 'static,
    ) {
        let Some(worker) = self
            .worker
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        else {
            return;
        };
        let (kind, name) = (self.kind, Arc::clone(plugin));
        let spawned = thread::Builder::new()
            .name(format!("{kind}-{plugin}"))
            .spawn(
                move || match Builder::new_current_thread().enable_time().build() {
                    Ok(runtime) => drop(runtime.block_on(run(worker))),
                    Err(error) => tracing::error!(plugin = %name, %error, "the {kind} cannot run"),
                },
            );
        if let Err(error) = spawned {
            tracing::error!(%plugin, %error, "the {kind}'s thread cannot start");
        }
    }
}
