//! One TCP connection.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// Two lost SYNs and their retransmissions (1 s, 2 s, 4 s); later answers come from hosts in trouble.
pub(super) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// Why there is none.
pub(super) enum Failure {
    Connect(io::Error),
    Silence,
    Source(io::Error),
    Myself,
}

pub(super) async fn connect(
    address: SocketAddr,
    source: Option<IpAddr>,
    listeners: &[SocketAddr],
) -> Result<TcpStream, Failure> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    };
    let socket = socket.map_err(Failure::Connect)?;
    if let Some(source) = source {
        socket
            .bind(SocketAddr::new(source, 0))
            .map_err(Failure::Source)?;
    }
    let stream = timeout(ATTEMPT_TIMEOUT, socket.connect(address))
        .await
        .map_err(|_| Failure::Silence)?
        .map_err(Failure::Connect)?;
    stream.set_nodelay(true).map_err(Failure::Connect)?;
    if is_myself(&stream, address, listeners) {
        return Err(Failure::Myself);
    }
    Ok(stream)
}

/// A listener on all addresses is not in the list of addresses; but who reaches it from here talks
/// to itself, and then both ends have the same address.
fn is_myself(stream: &TcpStream, address: SocketAddr, listeners: &[SocketAddr]) -> bool {
    let on_all =
        |listener: &SocketAddr| listener.ip().is_unspecified() && listener.port() == address.port();
    listeners.iter().any(on_all)
        && stream
            .local_addr()
            .is_ok_and(|local| local.ip() == address.ip())
}
