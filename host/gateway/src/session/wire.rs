//! The bytes of one connection, before and after TLS.
//!
//! In: a socket. Out: reads, and writes that say how far they got. Every write has a deadline, and a
//! connection is closed so that the last bytes arrive: a peer that was refused should read why.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsStream;

use crate::tls::TlsError;

/// How long a peer may take nothing from us before it counts as gone. Longer than any pause of a
/// healthy server, shorter than a user's patience.
const WRITE: Duration = Duration::from_secs(30);
/// How long a closed connection is read on, so that no reset overtakes our last words.
const LINGER: Duration = Duration::from_secs(1);
/// How much is read and thrown away meanwhile.
const LINGER_BYTES: usize = 256 * 1024;
/// One read. Small, since what is read is kept until it is parsed and judged.
const READ: usize = 16 * 1024;

/// See the module.
#[derive(Debug)]
pub(crate) struct Wire {
    io: Io,
    buffer: Box<[u8; READ]>,
}

#[derive(Debug)]
enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// The handshake took the socket and failed.
    Gone,
}

/// A write that failed.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub(crate) struct SendError {
    /// How many bytes were handed over before; some of them may have arrived.
    pub(crate) accepted: usize,
    /// What happened.
    error: io::Error,
}

impl Wire {
    pub(crate) fn plain(stream: TcpStream) -> Self {
        Self {
            io: Io::Plain(stream),
            buffer: Box::new([0; READ]),
        }
    }

    pub(crate) fn tls(stream: TlsStream<TcpStream>) -> Self {
        Self {
            io: Io::Tls(Box::new(stream)),
            buffer: Box::new([0; READ]),
        }
    }

    /// Takes the socket out for a handshake; what was put in by [`secured`](Self::secured) goes on.
    pub(crate) fn take_plain(&mut self) -> Option<TcpStream> {
        match std::mem::replace(&mut self.io, Io::Gone) {
            Io::Plain(stream) => Some(stream),
            other => {
                self.io = other;
                None
            }
        }
    }

    /// The handshake is done.
    pub(crate) fn secured(&mut self, stream: TlsStream<TcpStream>) {
        self.io = Io::Tls(Box::new(stream));
    }

    /// Waits for bytes; none means that the peer has ended its side. May be cancelled.
    pub(crate) async fn read(&mut self) -> io::Result<&[u8]> {
        let read = match &mut self.io {
            Io::Plain(stream) => stream.read(&mut *self.buffer).await?,
            Io::Tls(stream) => stream.read(&mut *self.buffer).await?,
            Io::Gone => 0,
        };
        Ok(self.buffer.get(..read).unwrap_or_default())
    }

    /// Writes and flushes everything.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let written = match &mut self.io {
                Io::Plain(stream) => timeout(WRITE, stream.write(rest)).await,
                Io::Tls(stream) => timeout(WRITE, stream.write(rest)).await,
                Io::Gone => Ok(Err(io::ErrorKind::NotConnected.into())),
            };
            let accepted = bytes.len() - rest.len();
            match written {
                Ok(Ok(0)) => {
                    return Err(SendError {
                        accepted,
                        error: io::ErrorKind::WriteZero.into(),
                    });
                }
                Ok(Ok(written)) => rest = rest.get(written..).unwrap_or_default(),
                Ok(Err(error)) => return Err(SendError { accepted, error }),
                Err(elapsed) => {
                    return Err(SendError {
                        accepted,
                        error: elapsed.into(),
                    });
                }
            }
        }
        let flushed = match &mut self.io {
            Io::Plain(stream) => timeout(WRITE, stream.flush()).await,
            Io::Tls(stream) => timeout(WRITE, stream.flush()).await,
            Io::Gone => Ok(Err(io::ErrorKind::NotConnected.into())),
        };
        flushed
            .unwrap_or_else(|elapsed| Err(elapsed.into()))
            .map_err(|error| SendError {
                accepted: bytes.len(),
                error,
            })
    }

    /// Ends our side (`close_notify`, then FIN) and waits a moment for the peer's end.
    pub(crate) async fn close(mut self) {
        let end = async {
            match &mut self.io {
                Io::Plain(stream) => stream.shutdown().await?,
                Io::Tls(stream) => stream.shutdown().await?,
                Io::Gone => return Ok(()),
            }
            let mut discarded = 0;
            while discarded < LINGER_BYTES {
                match self.read().await?.len() {
                    0 => break,
                    read => discarded += read,
                }
            }
            io::Result::Ok(())
        };
        match timeout(LINGER, end).await {
            Ok(Ok(())) | Err(_) => {}
            Ok(Err(error)) => tracing::trace!(%error, "closing a connection that was gone"),
        }
    }
}

/// Why reading failed, in words that name TLS if TLS is the cause.
pub(super) fn read_failure(error: &io::Error) -> String {
    TlsError::of_stream(error).map_or_else(|| error.to_string(), |tls| tls.to_string())
}
