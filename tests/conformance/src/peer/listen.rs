//! Where the gateway connects to: the same [`Peer`], on the other side.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::timeout;

use super::{Peer, Show};
use crate::{PATIENCE, ns};

/// A port on which a test plays the partner, or the organisation's server.
pub struct Listener {
    listener: TcpListener,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Listener {
    /// On a free port of 127.0.0.1.
    pub async fn bind() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self { listener, address }
    }

    /// The gateway's next connection.
    pub async fn accept(&self) -> Peer {
        let accepted = timeout(PATIENCE, self.listener.accept()).await;
        let (stream, _) = accepted.expect("the gateway does not connect").unwrap();
        Peer::on(stream)
    }

    /// Whether the gateway makes no connection for so long. Only where that is the promise.
    pub async fn is_left_alone_for(&self, time: Duration) -> bool {
        timeout(time, self.listener.accept()).await.is_err()
    }

    /// The gateway's next connection, led to the features after TLS by STARTTLS. The header that the
    /// gateway sent inside TLS was read and not answered.
    pub async fn accept_secure(&self, show: &Show<'_>) -> Peer {
        let mut peer = self.accept().await;
        let header = peer.header().await;
        let (from, to) = (header.attribute("to"), header.attribute("from"));
        let (from, to) = (from.unwrap().to_owned(), to.unwrap().to_owned());
        peer.respond(&from, &to, Peer::STARTTLS).await;
        peer.expect(ns::TLS, "starttls").await;
        peer.send("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
            .await;
        peer.accept_tls(show.server()).await.unwrap();
        peer
    }

    /// The gateway's next connection, led to the established stream by SASL EXTERNAL.
    pub async fn accept_established(&self, show: &Show<'_>) -> Peer {
        self.accept_established_with(show, "").await
    }

    /// The same, with these features after authentication.
    pub async fn accept_established_with(&self, show: &Show<'_>, features: &str) -> Peer {
        let mut peer = self.accept_secure(show).await;
        let header = peer.header().await;
        let (from, to) = (header.attribute("to"), header.attribute("from"));
        let (from, to) = (from.unwrap().to_owned(), to.unwrap().to_owned());
        peer.respond(&from, &to, Peer::EXTERNAL).await;
        peer.expect(ns::SASL, "auth").await;
        peer.send("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
            .await;
        peer.restart();
        peer.header().await;
        peer.respond(&from, &to, features).await;
        peer
    }
}

impl Peer {
    /// The feature of a server that wants TLS.
    pub const STARTTLS: &str =
        "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>";
    /// The feature of a server that wants a certificate.
    pub const EXTERNAL: &str = "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms>";

    /// The id that the last header of ours had.
    pub fn sent_id(&self) -> String {
        self.id.clone()
    }

    /// Answers a header, with an id of its own and these features.
    pub async fn respond(&mut self, from: &str, to: &str, features: &str) {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static IDS: AtomicUsize = AtomicUsize::new(0);
        let id = format!("stream-{}", IDS.fetch_add(1, Ordering::Relaxed));
        let attributes = format!("from='{from}' to='{to}' id='{id}' version='1.0'");
        self.id = id;
        self.send(&format!(
            "<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' \
             xmlns:db='jabber:server:dialback' {attributes}><stream:features>{features}</stream:features>"
        ))
        .await;
    }
}
