//! The socket under a line: who holds it writes.
//!
//! In: bytes. Out: how many of them the socket took. Every write has a deadline, which moves on as long
//! as the peer takes something; after a failed one nothing is written any more.

use std::io;

use tokio::io::AsyncWriteExt;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};

use crate::session::socket::Writer;
use crate::session::wire::WRITE;

#[derive(Debug)]
pub(super) struct End {
    /// None: the connection was gone before.
    pub(super) io: Option<Writer>,
    /// What has to be written before anything else.
    pub(super) rest: Vec<u8>,
    /// Whether something was written that is not flushed.
    pub(super) dirty: bool,
    /// When the peer last took something, or was given something to take.
    pub(super) progress: Instant,
    /// A write failed: what follows would begin in the middle of something.
    pub(super) broken: bool,
}

impl End {
    /// Has these words written after what is left.
    pub(super) fn note(&mut self, words: Vec<u8>) {
        match self.rest.is_empty() {
            true => self.rest = words,
            false => self.rest.extend_from_slice(&words),
        }
    }

    /// Writes what is left. May be cancelled: a write that was not ready has taken nothing.
    pub(super) async fn write_rest(&mut self) -> io::Result<()> {
        while !self.rest.is_empty() {
            if self.broken {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            let Self {
                io, rest, progress, ..
            } = self;
            let written = timeout_at(*progress + WRITE, write(io, rest)).await;
            let written = self.noted(written)?;
            self.rest.drain(..written);
        }
        // Nothing is kept for words that may be long in coming.
        self.rest = Vec::new();
        Ok(())
    }

    /// Writes what is left and ends our side: in one piece, as far as TLS can hold that. Nothing is
    /// written afterwards.
    pub(super) async fn close(&mut self) -> io::Result<()> {
        if let (Some(io), false) = (&mut self.io, self.broken) {
            let held = io.hold(&self.rest)?;
            self.rest.drain(..held);
        }
        self.write_rest().await?;
        self.broken = true;
        match &mut self.io {
            Some(io) => io.shutdown().await,
            None => Ok(()),
        }
    }

    /// Writes some of these bytes.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.broken {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let written = timeout_at(self.progress + WRITE, write(&mut self.io, bytes)).await;
        self.noted(written)
    }

    pub(super) async fn flush(&mut self) -> io::Result<()> {
        let Some(io) = &mut self.io else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let flushed = timeout_at(self.progress + WRITE, io.flush()).await;
        let flushed = flushed.unwrap_or_else(|elapsed| Err(elapsed.into()));
        self.broken |= flushed.is_err();
        self.dirty = false;
        flushed
    }

    fn noted(&mut self, written: Result<io::Result<usize>, Elapsed>) -> io::Result<usize> {
        let written = match written {
            Ok(Ok(0)) => Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => written,
            Err(elapsed) => Err(elapsed.into()),
        };
        match written {
            Ok(_) => {
                self.dirty = true;
                self.progress = Instant::now();
            }
            Err(_) => self.broken = true,
        }
        written
    }
}

async fn write(io: &mut Option<Writer>, bytes: &[u8]) -> io::Result<usize> {
    match io {
        Some(io) => io.write(bytes).await,
        None => Err(io::ErrorKind::NotConnected.into()),
    }
}
