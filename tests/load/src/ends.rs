//! Both ends: listeners that take what the target delivers, and connections that bring it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use portcullis_test_support::{Client, Duplex, Identity, Mode};
use rustls::pki_types::ServerName;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::arguments::{TargetKind, Tls};
use crate::tally::Tally;
use crate::target::RELAY;
use crate::{negotiation, receiver};

/// Whether ends speak XMPP or only TLS.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    Xmpp,
    Bare,
}

impl Language {
    pub(crate) fn of(target: TargetKind) -> Self {
        match target {
            TargetKind::Gateway
            | TargetKind::Prosody
            | TargetKind::ProsodyPolicy
            | TargetKind::Ejabberd
            | TargetKind::EjabberdPolicy => Self::Xmpp,
            TargetKind::RelayCopy
            | TargetKind::RelayFrameEach
            | TargetKind::RelayAccept
            | TargetKind::Haproxy => Self::Bare,
        }
    }
}

/// Takes streams, and whatever they bring, until the process ends.
pub(crate) async fn listen(
    identity: Identity,
    language: Language,
    tallies: Arc<Vec<Arc<Tally>>>,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                return;
            };
            let (identity, tallies) = (identity.clone(), Arc::clone(&tallies));
            tokio::spawn(async move {
                stream.set_nodelay(true).ok()?;
                let io: Box<dyn Duplex> = match language {
                    Language::Xmpp => negotiation::accept(stream, &identity).await?,
                    Language::Bare => {
                        let acceptor = TlsAcceptor::from(identity.server());
                        Box::new(acceptor.accept(stream).await.ok()?)
                    }
                };
                receiver::run(io, Vec::new(), tallies).await;
                Some(())
            });
        }
    });
    address
}

/// The organisation's server as a component of the target.
///
/// # Panics
/// If the target does not let it in.
pub(crate) async fn component(address: SocketAddr) -> Box<dyn Duplex> {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let joined = negotiation::join(stream).await;
    joined.expect("the component is let in")
}

/// A connection with TLS and nothing more.
pub(crate) async fn connect(
    source: IpAddr,
    address: SocketAddr,
    identity: &Identity,
) -> Box<dyn Duplex> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(source, 0)).unwrap();
    let stream = socket.connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let name = ServerName::try_from(RELAY).unwrap();
    let connector = TlsConnector::from(identity.client());
    Box::new(connector.connect(name, stream).await.unwrap())
}

/// A stream to the target on which stanzas may flow.
///
/// # Panics
/// If the target does not let it in: there is nothing to measure then.
pub(crate) async fn open(
    source: IpAddr,
    address: SocketAddr,
    identity: &Identity,
    [from, to]: [&str; 2],
    tls: Tls,
) -> Box<dyn Duplex> {
    let mode = match tls {
        Tls::Starttls => Mode::StartTls,
        Tls::Direct => Mode::Direct,
    };
    let connected = Client::connect_from(source, address).await;
    let opened = connected.negotiate(identity, from, to, mode).await;
    let client = opened.unwrap_or_else(|seen| panic!("{from} is not let in: {seen:?}"));
    client.into_io()
}
