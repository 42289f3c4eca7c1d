//! Somebody who opens a stream to the gateway: a partner on 5269, or an internal server on 23456.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::{Identity, Item, PATIENCE, Splitter};

/// How TLS begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// With the first byte.
    Direct,
    /// After `<starttls/>`, without SNI's help: the stream's `to` says whom we want.
    StartTls,
}

/// Bytes both ways, encrypted or not.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// An open stream.
pub struct Client {
    io: Box<dyn Duplex>,
    splitter: Splitter,
    /// Every part of the stream that was read, for messages.
    pub seen: Vec<Item>,
}

impl Client {
    /// A connection on which nothing was said.
    pub async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap())
    }

    /// A connection from this address, on which nothing was said.
    pub async fn connect_from(source: IpAddr, address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(source, 0)).unwrap();
        Self::over(socket.connect(address).await.unwrap())
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self {
            io: Box::new(stream),
            splitter: Splitter::default(),
            seen: Vec::new(),
        }
    }

    /// Opens a stream up to the point where stanzas flow.
    ///
    /// # Errors
    /// The first part of the stream that was not expected: a stream error, the end, ...
    pub async fn open(
        address: SocketAddr,
        identity: &Identity,
        from: &str,
        to: &str,
        mode: Mode,
    ) -> Result<Self, Vec<Item>> {
        let client = Self::connect(address).await;
        client.negotiate(identity, from, to, mode).await
    }

    /// Opens a stream on this connection.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn negotiate(
        mut self,
        identity: &Identity,
        from: &str,
        to: &str,
        mode: Mode,
    ) -> Result<Self, Vec<Item>> {
        if mode == Mode::StartTls {
            self.header(from, to).await;
            self.features().await?;
            self.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
                .await;
            self.element("<proceed").await?;
        }
        self.secure(identity.client(), to).await;
        self.header(from, to).await;
        self.features().await?;
        self.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>")
            .await;
        self.element("<success").await?;
        self.header(from, to).await;
        self.features().await?;
        Ok(self)
    }

    /// Opens a stream on which stanzas flow both ways (XEP-0288), after STARTTLS.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn both_ways(
        address: SocketAddr,
        identity: &Identity,
        from: &str,
        to: &str,
    ) -> Result<Self, Vec<Item>> {
        let mut client = Self::unproven(address, identity, from, to).await?;
        client
            .send(
                "<bidi xmlns='urn:xmpp:bidi'/>\
                 <auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>",
            )
            .await;
        client.element("<success").await?;
        client.header(from, to).await;
        client.features().await?;
        Ok(client)
    }

    /// Opens a stream up to the point where dialback may begin: TLS stands, nobody has authenticated.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn unproven(
        address: SocketAddr,
        identity: &Identity,
        from: &str,
        to: &str,
    ) -> Result<Self, Vec<Item>> {
        let mut client = Self::connect(address).await;
        client.header(from, to).await;
        client.features().await?;
        client
            .send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
            .await;
        client.element("<proceed").await?;
        client.secure(identity.client(), to).await;
        client.header(from, to).await;
        client.features().await?;
        Ok(client)
    }

    /// The TLS handshake, with the server's certificate checked for `to`.
    pub async fn secure(&mut self, config: Arc<ClientConfig>, to: &str) {
        let io = std::mem::replace(&mut self.io, Box::new(tokio::io::empty()));
        let name = ServerName::try_from(to.to_owned()).unwrap();
        let stream = TlsConnector::from(config).connect(name, io).await.unwrap();
        self.io = Box::new(stream);
    }

    /// Sends a stream header.
    pub async fn header(&mut self, from: &str, to: &str) {
        self.send(&header(from, to)).await;
    }

    /// Sends a stream header to somebody who may have closed the connection already.
    pub async fn try_header(&mut self, from: &str, to: &str) {
        let _ = self.io.write_all(header(from, to).as_bytes()).await;
    }

    /// Sends bytes.
    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        self.io.write_all(bytes).await.unwrap();
    }

    /// Reads the header and the features.
    pub async fn features(&mut self) -> Result<String, Vec<Item>> {
        match self.next().await {
            Item::Open(_) => self.element("<stream:features").await,
            _ => Err(self.rest().await),
        }
    }

    /// Reads one element that must begin like this.
    pub async fn element(&mut self, start: &str) -> Result<String, Vec<Item>> {
        match self.next().await {
            Item::Element(element) if element.starts_with(start) => Ok(element),
            _ => Err(self.rest().await),
        }
    }

    /// Sends text, whole.
    pub async fn send(&mut self, text: &str) {
        self.io.write_all(text.as_bytes()).await.unwrap();
        self.io.flush().await.unwrap();
    }

    /// The next part of the stream.
    pub async fn next(&mut self) -> Item {
        let item = loop {
            if let Some(item) = self.splitter.take() {
                break item;
            }
            let mut buffer = [0; 4096];
            match timeout(PATIENCE, self.io.read(&mut buffer))
                .await
                .expect("the gateway says nothing")
            {
                Ok(0) | Err(_) => break Item::End,
                Ok(read) => self.splitter.push(&buffer[..read]),
            }
        };
        self.seen.push(item.clone());
        item
    }

    /// Everything up to the end, with what was read before.
    pub async fn rest(&mut self) -> Vec<Item> {
        while self.seen.last() != Some(&Item::End) {
            self.next().await;
        }
        self.seen.clone()
    }

    /// The connection itself, for somebody who wants nothing read for him. What was read already and is
    /// no whole part of the stream is lost: after [`open`](Self::open) there is nothing such.
    pub fn into_io(self) -> Box<dyn Duplex> {
        self.io
    }

    /// Says goodbye and waits for the answer.
    pub async fn close(mut self) {
        self.send("</stream:stream>").await;
        self.rest().await;
    }
}

fn header(from: &str, to: &str) -> String {
    format!(
        "<?xml version='1.0'?><stream:stream xmlns='jabber:server' \
         xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='jabber:server:dialback' \
         from='{from}' to='{to}' version='1.0' xml:lang='en'>"
    )
}
