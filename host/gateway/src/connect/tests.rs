//! The dialer against a DNS server of our own and listeners on loopback addresses.

mod dnssec;
mod reach;
mod servers;
pub(crate) mod signed;
mod trying;
mod zone;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_resolver::proto::rr::RecordType;
use portcullis_xmpp::error::{ErrorType, StanzaCondition};
use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::stream::TlsMode;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::time::timeout;

use zone::Zone;

use super::{Candidates, ConnectError, Dialer, Search, Settings};
use crate::config::{Host, HostPort, Server, ServerTls};

fn domain(name: &str) -> Domain {
    Domain::parse(name).unwrap()
}

fn ip(address: &str) -> IpAddr {
    address.parse().unwrap()
}

async fn listener(address: &str) -> (TcpListener, u16) {
    let listener = TcpListener::bind((address, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// A port on which nobody listens.
async fn closed_port() -> u16 {
    listener("127.0.0.1").await.1
}

async fn partner(dialer: &Dialer, name: &str) -> Result<Candidates, ConnectError> {
    dialer.partner(&domain(name), Search::default()).await
}

/// The error with which finding `name` ends.
async fn failure(dialer: &Dialer, name: &str) -> ConnectError {
    match partner(dialer, name).await {
        Err(error) => error,
        Ok(mut candidates) => candidates.next().await.unwrap_err(),
    }
}
