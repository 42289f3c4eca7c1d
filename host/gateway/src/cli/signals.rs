//! What the system asks of the running gateway.

use std::io;

use tokio::signal::unix::{self, SignalKind, signal};

/// Signals that arrived since [`Signals::new`] are remembered, one of each kind.
#[derive(Debug)]
pub struct Signals {
    reload: unix::Signal,
    terminate: unix::Signal,
    interrupt: unix::Signal,
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Signal {
    /// SIGHUP: read configuration and plugins again.
    Reload,
    /// SIGTERM or SIGINT: drain and end.
    End,
}

impl Signals {
    /// Takes the signals over from their defaults.
    ///
    /// # Errors
    /// What the system says.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            reload: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The next one.
    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::End,
            _ = self.interrupt.recv() => Signal::End,
            _ = self.reload.recv() => Signal::Reload,
        }
    }

    /// Waits for the end, while a reload is under way.
    pub async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
