//! The two listening ports.
//!
//! In: TCP connections. Out: one [`session`](crate::session) task per connection that sent a
//! promising first byte. Each port keeps three promises:
//! 1. `0x16` begins a direct TLS handshake, `<` a stream that must use STARTTLS; anything else is
//!    closed without an answer.
//! 2. A connection that does not get to an authenticated stream within `timeouts.establish` of its
//!    acceptance is closed, however busily it talks.
//! 3. The sides do not share connection slots: a flood from outside leaves the inside its places.

mod slots;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout_at};

pub(crate) use self::slots::{Slot, Slots};
use crate::app::Gateway;
use crate::session;
use crate::tls::Side;

/// How long accepting rests when the system refuses (no file descriptors, no memory): connections
/// wait in the backlog meanwhile instead of a loop burning the processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the first byte of a connection said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FirstByte {
    /// A TLS record of type handshake.
    Tls,
    /// The start of XML.
    Xml,
}

/// An accepted connection, before anything was read from it.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) side: Side,
    pub(crate) stream: TcpStream,
    pub(crate) address: SocketAddr,
    pub(crate) first: FirstByte,
    /// When the stream must be authenticated.
    pub(crate) deadline: Instant,
    pub(crate) slot: Slot,
}

/// Accepts until the gateway stops listening.
pub(crate) async fn serve(
    gateway: Arc<Gateway>,
    side: Side,
    listener: TcpListener,
    slots: Arc<Slots>,
) {
    let stop = gateway.phases.listening.clone();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                let Some(slot) = slots.take(address.ip()) else {
                    gateway.metrics.turned_away(side);
                    tracing::debug!(%side, %address, "too many connections, one closed");
                    continue;
                };
                let sessions = gateway.sessions.clone();
                let gateway = Arc::clone(&gateway);
                sessions
                    .spawn(async move { connection(&gateway, side, stream, address, slot).await });
            }
            // The peer was gone before it was accepted.
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
                ) => {}
            Err(error) => {
                tracing::error!(%side, %error, "cannot accept connections");
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = sleep(ACCEPT_PAUSE) => {}
                }
            }
        }
    }
}

async fn connection(
    gateway: &Arc<Gateway>,
    side: Side,
    stream: TcpStream,
    address: SocketAddr,
    slot: Slot,
) {
    let _open = gateway.metrics.connection(side);
    let deadline = Instant::now() + gateway.config().timeouts.establish;
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%side, %address, %error, "gone before the first byte");
        return;
    }
    let first = tokio::select! {
        () = gateway.phases.draining.cancelled() => return,
        first = timeout_at(deadline, first_byte(&stream)) => first,
    };
    let first = match first {
        Ok(Ok(Some(first))) => first,
        Ok(Ok(None)) => {
            tracing::debug!(%side, %address, "closed: neither TLS nor XMPP");
            return;
        }
        Ok(Err(error)) => {
            tracing::debug!(%side, %address, %error, "gone before the first byte");
            return;
        }
        Err(_) => {
            tracing::debug!(%side, %address, "closed: silent for too long");
            return;
        }
    };
    session::accept(
        gateway,
        Accepted {
            side,
            stream,
            address,
            first,
            deadline,
            slot,
        },
    )
    .await;
}

/// Looks at the first byte and leaves it where it is.
async fn first_byte(stream: &TcpStream) -> io::Result<Option<FirstByte>> {
    let mut byte = [0];
    let seen = stream.peek(&mut byte).await?;
    Ok(match (seen, byte) {
        (1, [0x16]) => Some(FirstByte::Tls),
        (1, [b'<']) => Some(FirstByte::Xml),
        _ => None,
    })
}
