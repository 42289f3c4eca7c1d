//! The two listening ports.
//!
//! In: TCP connections. Out: one [`session`](crate::session) task per connection that sent a
//! promising first byte. Each port keeps four promises:
//! 1. `0x16` begins a direct TLS handshake, `<` a stream that may use STARTTLS; anything else is
//!    closed without an answer.
//! 2. A connection that does not get to an authenticated stream within `timeouts.establish` of its
//!    acceptance is closed, however busily it talks; and so is one that is late for a
//!    [phase](Deadlines) on the way.
//! 3. The sides do not share connection slots: a flood from outside leaves the inside its places.
//! 4. Only an address that the configuration names may say for whom it connects, and it must.

mod attempts;
mod deadlines;
mod proxy;
mod slots;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout_at};

pub(crate) use self::deadlines::{Deadlines, Pace};
use self::proxy::Client;
pub(crate) use self::slots::{Slot, Slots, TurnedAway};
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
    /// When the stream must have got where.
    pub(crate) deadlines: Deadlines,
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
    let proxies = match side {
        Side::Federation => gateway.config().federation.proxy_protocol.clone(),
        Side::Internal => gateway.config().internal.proxy_protocol.clone(),
    };
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                let proxied = names(&proxies, address.ip());
                let counted = slots.take().and_then(|mut slot| {
                    if !proxied {
                        slots.count(&mut slot, address.ip())?;
                    }
                    Ok(slot)
                });
                let slot = match counted {
                    Ok(slot) => slot,
                    Err(why) => {
                        turn_away(&gateway, side, address, why);
                        continue;
                    }
                };
                let sessions = gateway.sessions.clone();
                let gateway = Arc::clone(&gateway);
                let slots = proxied.then(|| Arc::clone(&slots));
                sessions.spawn(async move {
                    connection(&gateway, side, stream, address, slot, slots).await;
                });
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

/// Drives one connection; `behind_proxy` has the slots to count it in once its address is known.
async fn connection(
    gateway: &Arc<Gateway>,
    side: Side,
    mut stream: TcpStream,
    address: SocketAddr,
    mut slot: Slot,
    behind_proxy: Option<Arc<Slots>>,
) {
    let _open = gateway.metrics.connection(side);
    let deadlines = Deadlines::new(Instant::now(), gateway.config().timeouts.establish);
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%side, %address, %error, "gone before the first byte");
        return;
    }
    let mut client = address;
    if let Some(slots) = behind_proxy {
        let header = tokio::select! {
            () = gateway.phases.draining.cancelled() => return,
            header = proxy::header(&mut stream, proxy::PATIENCE) => header,
        };
        match header {
            Ok(Client::Remote(remote)) => client = remote,
            Ok(Client::Itself) => {}
            Err(error) => {
                tracing::warn!(%side, %address, %error, "no PROXY header from an address in proxy_protocol");
                return turn_away(gateway, side, address, TurnedAway::Proxy);
            }
        }
        if let Err(why) = slots.count(&mut slot, client.ip()) {
            return turn_away(gateway, side, client, why);
        }
    }
    let address = client;
    let first = tokio::select! {
        () = gateway.phases.draining.cancelled() => return,
        first = timeout_at(deadlines.header, first_byte(&stream)) => first,
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
            deadlines,
            slot,
        },
    )
    .await;
}

/// Whether an address is one of the load balancers.
fn names(proxies: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    proxies.iter().any(|proxy| proxy.contains(&address))
}

fn turn_away(gateway: &Gateway, side: Side, address: SocketAddr, why: TurnedAway) {
    gateway.metrics.turned_away(side, why);
    tracing::debug!(%side, %address, why = why.as_str(), "closed at once");
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
