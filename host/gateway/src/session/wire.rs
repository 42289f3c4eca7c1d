//! The bytes of one connection, before and after TLS.
//!
//! In: a socket. Out: reads, and writes that say how far they got. Every write has a deadline, and a
//! connection is closed so that the last bytes arrive: a peer that was refused should read why. Once
//! the stream is established its writing end is a [`Line`], which others share.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsStream;

use super::line::Line;
use super::socket::{Io, Reader};
use crate::tls::TlsError;

/// How long a peer may take nothing from us before it counts as gone. Longer than any pause of a
/// healthy server, shorter than a user's patience.
pub(super) const WRITE: Duration = Duration::from_secs(30);
/// How long a closed connection is read on, so that no reset overtakes our last words.
const LINGER: Duration = Duration::from_secs(1);
/// How much is read and thrown away meanwhile.
const LINGER_BYTES: usize = 256 * 1024;
/// One read, and the longest before the stream is established: what is read is kept until it is parsed
/// and judged.
const READ: usize = 16 * 1024;
/// After so much no more is read at once of an established stream, though more may have come. What one
/// turn of its session costs is shared by the stanzas that came meanwhile, and they leave in one write.
const TURN: usize = 64 * 1024;

thread_local! {
    /// Where reads land until their bytes are taken, which is before anything else runs on the thread:
    /// so streams that wait need no memory for it.
    static LANDING: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ].into());
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Wire {
    state: State,
    /// What broke the connection after bytes that were still taken.
    broken: Option<io::Error>,
}

#[derive(Debug)]
enum State {
    /// Read and written by one.
    Whole(Io),
    /// Established: written by several.
    Shared(Reader, Arc<Line>),
    /// The handshake took the socket and failed.
    Gone,
}

/// A write that failed.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub(crate) struct SendError {
    /// How many bytes were handed over before; some of them may have arrived.
    pub(crate) accepted: usize,
    /// Whether the stanzas count as sent on a stream whose peer acknowledges them.
    pub(crate) counted: Counted,
    /// What happened.
    error: io::Error,
}

/// Whether stanzas have their place among those that the peer is to acknowledge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counted {
    Yes,
    No,
}

impl SendError {
    pub(super) fn new(accepted: usize, error: io::Error) -> Self {
        Self {
            accepted,
            counted: Counted::No,
            error,
        }
    }

    /// The same, with what is known of the stanzas.
    pub(super) fn of(self, counted: Counted) -> Self {
        Self { counted, ..self }
    }
}

impl Wire {
    pub(crate) fn plain(stream: TcpStream) -> Self {
        Self::of(Io::Plain(stream))
    }

    pub(crate) fn tls(stream: TlsStream<TcpStream>) -> Self {
        Self::of(Io::Tls(Box::new(stream)))
    }

    fn of(io: Io) -> Self {
        Self {
            state: State::Whole(io),
            broken: None,
        }
    }

    /// Takes the socket out for a handshake; what was put in by [`secured`](Self::secured) goes on.
    pub(crate) fn take_plain(&mut self) -> Option<TcpStream> {
        match std::mem::replace(&mut self.state, State::Gone) {
            State::Whole(Io::Plain(stream)) => Some(stream),
            other => {
                self.state = other;
                None
            }
        }
    }

    /// Whether TLS stands, as long as the wire is not shared.
    pub(super) fn is_secured(&self) -> bool {
        matches!(self.state, State::Whole(Io::Tls(_)))
    }

    /// The handshake is done.
    pub(crate) fn secured(&mut self, stream: TlsStream<TcpStream>) {
        self.state = State::Whole(Io::Tls(Box::new(stream)));
    }

    /// The stream is established: others write on it too.
    pub(super) fn share(&mut self) -> Arc<Line> {
        let (state, line) = match std::mem::replace(&mut self.state, State::Gone) {
            State::Whole(io) => {
                let (reader, writer) = io.split();
                let line = Arc::new(Line::new(Some(writer)));
                (State::Shared(reader, Arc::clone(&line)), line)
            }
            State::Shared(reader, line) => (State::Shared(reader, Arc::clone(&line)), line),
            State::Gone => (State::Gone, Arc::new(Line::new(None))),
        };
        self.state = state;
        line
    }

    /// The writing end, once it is shared.
    pub(super) fn line(&self) -> Option<Arc<Line>> {
        match &self.state {
            State::Shared(_, line) => Some(Arc::clone(line)),
            State::Whole(_) | State::Gone => None,
        }
    }

    /// Waits for bytes, gives them to `take` and tells how many they were; none means that the peer has
    /// ended its side. May be cancelled.
    pub(crate) async fn read(&mut self, mut take: impl FnMut(&[u8])) -> io::Result<usize> {
        poll_fn(|cx| self.poll_read(cx, &mut take)).await
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        take: &mut impl FnMut(&[u8]),
    ) -> Poll<io::Result<usize>> {
        if let Some(error) = self.broken.take() {
            return Poll::Ready(Err(error));
        }
        LANDING.with_borrow_mut(|landing| {
            let mut taken = 0;
            while taken < TURN {
                let mut buffer = ReadBuf::new(landing);
                let polled = match &mut self.state {
                    State::Whole(io) => Pin::new(io).poll_read(cx, &mut buffer),
                    State::Shared(io, _) => Pin::new(io).poll_read(cx, &mut buffer),
                    State::Gone => Poll::Ready(Ok(())),
                };
                match polled {
                    Poll::Pending if taken == 0 => return Poll::Pending,
                    Poll::Ready(Err(error)) if taken == 0 => return Poll::Ready(Err(error)),
                    Poll::Pending => break,
                    Poll::Ready(Err(error)) => {
                        self.broken = Some(error);
                        break;
                    }
                    // The end of the stream says so again when it is read again.
                    Poll::Ready(Ok(())) if buffer.filled().is_empty() => break,
                    Poll::Ready(Ok(())) => {}
                }
                take(buffer.filled());
                taken += buffer.filled().len();
                if !matches!(self.state, State::Shared(..)) {
                    break;
                }
            }
            Poll::Ready(Ok(taken))
        })
    }

    /// Says something. While there is only one who writes, this writes and flushes everything; later
    /// the words are noted, and [`flush`](Self::flush) writes them.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        let io = match &mut self.state {
            State::Whole(io) => io,
            State::Shared(_, line) => {
                return line.say(bytes).map_err(|error| SendError::new(0, error));
            }
            State::Gone => return Err(SendError::new(0, io::ErrorKind::NotConnected.into())),
        };
        let mut rest = bytes;
        while !rest.is_empty() {
            let accepted = bytes.len() - rest.len();
            match timeout(WRITE, io.write(rest)).await {
                Ok(Ok(0)) => {
                    return Err(SendError::new(accepted, io::ErrorKind::WriteZero.into()));
                }
                Ok(Ok(written)) => rest = rest.get(written..).unwrap_or_default(),
                Ok(Err(error)) => return Err(SendError::new(accepted, error)),
                Err(elapsed) => return Err(SendError::new(accepted, elapsed.into())),
            }
        }
        timeout(WRITE, io.flush())
            .await
            .unwrap_or_else(|elapsed| Err(elapsed.into()))
            .map_err(|error| SendError::new(bytes.len(), error))
    }

    /// Ends our side (`close_notify`, then FIN) and waits a moment for the peer's end.
    pub(crate) async fn close(mut self) {
        let end = async {
            match &mut self.state {
                State::Whole(io) => io.shutdown().await?,
                State::Shared(_, line) => line.close().await?,
                State::Gone => return Ok(()),
            }
            let mut discarded = 0;
            while discarded < LINGER_BYTES {
                match self.read(|_| {}).await? {
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

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// A wire, and how much of what its peer sent has come, which is all of it.
    async fn with_unread(bytes: usize) -> (Wire, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (peer, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (mut peer, (stream, _)) = (peer.unwrap(), accepted.unwrap());
        peer.write_all(&vec![b' '; bytes]).await.unwrap();
        let mut seen = vec![0; bytes];
        while stream.peek(&mut seen).await.unwrap() < bytes {}
        (Wire::plain(stream), peer)
    }

    #[tokio::test]
    async fn what_has_come_on_an_established_stream_is_taken_in_one_turn() {
        let (mut wire, _peer) = with_unread(3 * READ).await;
        let mut heard = 0;
        assert_eq!(wire.read(|bytes| heard += bytes.len()).await.unwrap(), READ);
        drop(wire.share());
        let rest = wire.read(|bytes| heard += bytes.len()).await.unwrap();
        assert_eq!((rest, heard), (2 * READ, 3 * READ));
    }

    #[tokio::test]
    async fn a_broken_connection_is_told_after_the_bytes_that_came_before() {
        let (mut wire, peer) = with_unread(3).await;
        drop(wire.share());
        peer.set_zero_linger().unwrap();
        drop(peer);
        assert_eq!(wire.read(|_| {}).await.unwrap(), 3);
        wire.read(|_| {}).await.unwrap_err();
    }
}
