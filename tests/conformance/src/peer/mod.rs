//! One end of a stream, that says what it is told to say and asserts what it hears.
//!
//! In: bytes to send, expectations. Out: what was heard, element by element. Everything has a deadline
//! of [`PATIENCE`]; what is not as expected fails the test and shows the whole conversation.

mod listen;
mod tls;
mod xml;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, CommonState, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector};

pub use self::listen::Listener;
pub use self::tls::Show;
pub use self::xml::Node;
use self::xml::{Read, Reader};
use crate::{PATIENCE, ns};

trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// A part of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// The header.
    Open(Node),
    /// A first-level element.
    Element(Node),
    /// `</stream:stream>`
    Close,
    /// The connection has ended.
    End(End),
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// FIN; inside TLS after `close_notify`.
    Clean,
    /// FIN inside TLS without `close_notify`.
    Truncated,
    /// RST, or a TLS alert.
    Broken,
}

/// See the module.
pub struct Peer {
    io: Box<dyn Duplex>,
    secure: bool,
    reader: Reader,
    opened: bool,
    /// The protocol version, once TLS stands.
    pub version: Option<rustls::ProtocolVersion>,
    /// Whether the handshake was a whole one.
    pub handshake: Option<rustls::HandshakeKind>,
    /// What the gateway showed, once TLS stands.
    pub certificate: Option<rustls::pki_types::CertificateDer<'static>>,
    /// The id that we gave our stream, as a server.
    id: String,
    /// Everything that was said by both sides, for messages.
    log: String,
    heard: Vec<u8>,
}

impl Peer {
    /// A connection on which nothing was said.
    pub async fn connect(address: SocketAddr) -> Self {
        Self::connect_from("127.0.0.1", address).await
    }

    /// A connection from this address of ours.
    pub async fn connect_from(source: &str, address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        let source = SocketAddr::new(source.parse().unwrap(), 0);
        socket.bind(source).unwrap();
        Self::on(socket.connect(address).await.unwrap())
    }

    /// A connection that stands.
    pub fn on(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self {
            io: Box::new(stream),
            secure: false,
            reader: Reader::new(),
            opened: false,
            version: None,
            handshake: None,
            certificate: None,
            id: String::new(),
            log: String::new(),
            heard: Vec::new(),
        }
    }

    /// Sends text, whole.
    #[track_caller]
    pub fn send(&mut self, text: &str) -> impl Future<Output = ()> {
        self.send_bytes(text.as_bytes())
    }

    /// Sends bytes, whole. That the other side is gone is for the next reading to tell.
    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        let _gone = self.try_send(bytes).await;
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// The connection is gone, or the other side takes no more.
    pub async fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.note("we", bytes);
        timeout(PATIENCE, async {
            self.io.write_all(bytes).await?;
            self.io.flush().await
        })
        .await?
    }

    /// Sends a header, and expects a new stream in return.
    pub async fn open(&mut self, from: &str, to: &str) {
        self.open_with(&format!("from='{from}' to='{to}' version='1.0'"))
            .await;
    }

    /// Sends a header with these attributes.
    pub async fn open_with(&mut self, attributes: &str) {
        self.restart();
        self.send(&format!(
            "<?xml version='1.0'?><stream:stream xmlns='jabber:server' \
             xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='jabber:server:dialback' {attributes}>"
        ))
        .await;
    }

    /// What comes now is a new stream.
    pub fn restart(&mut self) {
        self.reader.restart();
        self.opened = false;
    }

    /// TLS as a client. The certificate of the other side is looked at, not judged.
    ///
    /// # Errors
    /// Why the handshake failed.
    pub async fn secure(
        &mut self,
        config: Arc<ClientConfig>,
        name: &str,
    ) -> Result<(), std::io::Error> {
        let io = std::mem::replace(&mut self.io, Box::new(tokio::io::empty()));
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let handshake = TlsConnector::from(config).connect(name, io);
        let stream = timeout(PATIENCE, handshake)
            .await
            .expect("a handshake in time")?;
        self.secured(stream.get_ref().1);
        self.io = Box::new(stream);
        Ok(())
    }

    /// TLS as a server.
    ///
    /// # Errors
    /// Why the handshake failed.
    pub async fn accept_tls(&mut self, config: Arc<ServerConfig>) -> Result<(), std::io::Error> {
        let io = std::mem::replace(&mut self.io, Box::new(tokio::io::empty()));
        let handshake = TlsAcceptor::from(config).accept(io);
        let stream = timeout(PATIENCE, handshake)
            .await
            .expect("a handshake in time")?;
        self.secured(stream.get_ref().1);
        self.io = Box::new(stream);
        Ok(())
    }

    fn secured(&mut self, session: &CommonState) {
        self.version = session.protocol_version();
        self.handshake = session.handshake_kind();
        self.certificate = session
            .peer_certificates()
            .and_then(|chain| chain.first())
            .map(|first| first.clone().into_owned());
        self.secure = true;
        self.opened = false;
        self.reader = Reader::new();
        self.log.push_str("\n-- TLS --");
    }

    /// The next part of the stream; whitespace between elements is passed over.
    pub async fn next(&mut self) -> Part {
        loop {
            match self.reader.next() {
                Ok(Some(Read::Open(header))) => {
                    self.opened = true;
                    return Part::Open(header);
                }
                Ok(Some(Read::Element(element))) => return Part::Element(element),
                Ok(Some(Read::Close)) => return Part::Close,
                Ok(Some(Read::Whitespace)) => {}
                Ok(None) => match self.read().await {
                    Ok(bytes) if bytes.is_empty() => return Part::End(End::Clean),
                    Ok(bytes) => self.reader.push(&bytes),
                    Err(error) => return Part::End(self.how(&error)),
                },
                Err(error) => panic!("the gateway's XML: {error}{}", self.log),
            }
        }
    }

    /// The next bytes, unparsed; none at the end.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn read(&mut self) -> std::io::Result<Vec<u8>> {
        let mut buffer = [0; 16 * 1024];
        let Ok(read) = timeout(PATIENCE, self.io.read(&mut buffer)).await else {
            panic!("the gateway says nothing{}", self.log);
        };
        let bytes = buffer[..read?].to_vec();
        self.heard.extend_from_slice(&bytes);
        self.note("gateway", &bytes);
        Ok(bytes)
    }

    /// Whether nothing at all is said for so long. Only where silence is the promise.
    pub async fn is_silent_for(&mut self, time: Duration) -> bool {
        let mut buffer = [0; 1024];
        match timeout(time, self.io.read(&mut buffer)).await {
            Err(_) => true,
            Ok(Ok(read)) => {
                self.note("gateway", &buffer[..read]);
                self.reader.push(&buffer[..read]);
                false
            }
            Ok(Err(_)) => false,
        }
    }

    fn how(&self, error: &std::io::Error) -> End {
        match error.kind() {
            std::io::ErrorKind::UnexpectedEof if self.secure => End::Truncated,
            _ => End::Broken,
        }
    }

    /// The header of the gateway.
    pub async fn header(&mut self) -> Node {
        match self.next().await {
            Part::Open(header) => {
                assert!(header.is(ns::STREAM, "stream"), "{header:?}");
                header
            }
            other => panic!("no header but {other:?}{}", self.log),
        }
    }

    /// The next element.
    pub async fn element(&mut self) -> Node {
        match self.next().await {
            Part::Element(element) => element,
            other => panic!("no element but {other:?}{}", self.log),
        }
    }

    /// The next element, which has to be this one.
    pub async fn expect(&mut self, ns: &str, name: &str) -> Node {
        let element = self.element().await;
        assert!(
            element.is(ns, name),
            "not {name} but {element:?}{}",
            self.log
        );
        element
    }

    /// The header and the features.
    pub async fn features(&mut self) -> (Node, Node) {
        let header = self.header().await;
        let features = self.expect(ns::STREAM, "features").await;
        (header, features)
    }

    /// The gateway ends the stream with this error: a header if there was none yet, the error, the
    /// closing tag, then the connection in order. Returns the error.
    pub async fn refused(&mut self, condition: &str) -> Node {
        let error = self.error(condition).await;
        assert_eq!(self.next().await, Part::Close, "{}", self.log);
        self.send("</stream:stream>").await;
        // After what is no XML the gateway reads no closing tag any more, and waits for this.
        self.finish().await;
        self.ended().await;
        error
    }

    /// As [`refused`](Self::refused), with what follows the error left to the caller.
    pub async fn error(&mut self, condition: &str) -> Node {
        if !self.opened {
            self.header().await;
        }
        let error = self.expect(ns::STREAM, "error").await;
        assert_eq!(error.condition(), Some(condition), "{}", self.log);
        error
    }

    /// The connection ends in order, and nothing is said before.
    pub async fn ended(&mut self) {
        let part = self.next().await;
        assert_eq!(part, Part::End(End::Clean), "{}", self.log);
    }

    /// The connection ends somehow; returns everything that is said before. A closing tag is
    /// answered.
    pub async fn rest(&mut self) -> Vec<Part> {
        let mut parts = Vec::new();
        loop {
            let part = self.next().await;
            if part == Part::Close {
                self.send("</stream:stream>").await;
                self.finish().await;
            }
            let end = matches!(part, Part::End(_));
            parts.push(part);
            if end {
                return parts;
            }
        }
    }

    /// Says goodbye, expects the answer and the end.
    pub async fn close(mut self) {
        self.send("</stream:stream>").await;
        assert_eq!(self.next().await, Part::Close, "{}", self.log);
        self.ended().await;
    }

    /// Ends our direction of the connection: `close_notify` and FIN.
    pub async fn finish(&mut self) {
        let _gone = self.io.shutdown().await;
    }

    /// All bytes that were heard.
    pub fn heard(&self) -> String {
        String::from_utf8_lossy(&self.heard).into_owned()
    }

    /// What was said by both sides, for a message of the test's own.
    pub fn conversation(&self) -> &str {
        &self.log
    }

    fn note(&mut self, who: &str, bytes: &[u8]) {
        let shown = &bytes[..bytes.len().min(600)];
        let more = if shown.len() < bytes.len() {
            " ..."
        } else {
            ""
        };
        self.log.push_str(&format!(
            "\n{who:>8}: {}{more}",
            String::from_utf8_lossy(shown)
        ));
    }
}
