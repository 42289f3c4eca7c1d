//! A socket, with or without TLS, and its two halves: one for who reads, one for who writes.
//!
//! In: bytes. Out: bytes, and last words that leave together with the end of our side. What fails is the
//! connection.

use std::io::{self, Write};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

/// See the module.
#[derive(Debug)]
pub(super) enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// The half of who reads.
#[derive(Debug)]
pub(super) struct Reader(Arc<Mutex<Io>>);

/// The half of who writes.
#[derive(Debug)]
pub(super) struct Writer(Arc<Mutex<Io>>);

impl Io {
    pub(super) fn split(self) -> (Reader, Writer) {
        let shared = Arc::new(Mutex::new(self));
        (Reader(Arc::clone(&shared)), Writer(shared))
    }

    fn hold(&mut self, words: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(_) => Ok(0),
            Self::Tls(stream) => match &mut **stream {
                TlsStream::Server(stream) => stream.get_mut().1.writer().write(words),
                TlsStream::Client(stream) => stream.get_mut().1.writer().write(words),
            },
        }
    }
}

impl Writer {
    /// Takes as many of these words as can be held back until something else is written; with TLS they
    /// leave together with `close_notify` then. Returns how many bytes; without TLS none.
    pub(super) fn hold(&mut self, words: &[u8]) -> io::Result<usize> {
        lock(&self.0).hold(words)
    }
}

/// No section of the lock panics but by a bug in TLS, and whoever is left gets its errors.
fn lock(shared: &Mutex<Io>) -> MutexGuard<'_, Io> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl AsyncRead for Reader {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *lock(&self.0)).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Writer {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *lock(&self.0)).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *lock(&self.0)).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *lock(&self.0)).poll_shutdown(cx)
    }
}

impl AsyncRead for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
