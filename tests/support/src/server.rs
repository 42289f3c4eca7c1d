//! Somebody to whom the gateway opens streams: a partner, or an internal server's 5269.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::{Identity, Item, PATIENCE, Splitter, attribute};

/// How a server treats who connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// As it should, after STARTTLS.
    StartTls,
    /// As it should, with direct TLS.
    Direct,
    /// Offers no STARTTLS and refuses it.
    NoTls,
    /// Refuses to authenticate anybody.
    NotAuthorized,
    /// Knows nothing of the domain that it is asked for.
    HostUnknown,
    /// As it should, but reads nothing once the stream is established.
    Deaf,
    /// Accepts the connection and says nothing.
    Mute,
}

/// What reached a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// A stream for this pair of domains.
    Opened {
        /// Whose name the gateway speaks in.
        from: String,
        /// Whom it wants to reach.
        to: String,
    },
    /// One element on an established stream: a stanza, or a stream error.
    Stanza(String),
    /// A stream that was established has ended.
    Closed,
}

/// See the module.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    incoming: mpsc::UnboundedReceiver<Incoming>,
    connections: watch::Receiver<usize>,
    kill: watch::Sender<u64>,
    task: JoinHandle<()>,
}

impl Server {
    /// Listens on a free port of 127.0.0.1.
    pub async fn start(identity: &Identity, behaviour: Behaviour) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), identity, behaviour).await
    }

    /// Listens on this address.
    pub async fn at(address: SocketAddr, identity: &Identity, behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (events, incoming) = mpsc::unbounded_channel();
        let (count, connections) = watch::channel(0);
        let (kill, killed) = watch::channel(0);
        let tls = identity.server();
        let task = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    return;
                };
                count.send_modify(|count| *count += 1);
                let connection = Connection {
                    events: events.clone(),
                    behaviour,
                    tls: Arc::clone(&tls),
                };
                let mut killed = killed.clone();
                killed.mark_unchanged();
                tokio::spawn(async move {
                    tokio::select! {
                        _ = connection.run(stream) => {}
                        _ = killed.changed() => {}
                    }
                });
            }
        });
        Self {
            address,
            incoming,
            connections,
            kill,
            task,
        }
    }

    /// The next event.
    pub async fn next(&mut self) -> Incoming {
        timeout(PATIENCE, self.incoming.recv())
            .await
            .expect("nothing reaches the server")
            .unwrap()
    }

    /// The next stanza, whatever streams are opened or closed before it.
    pub async fn stanza(&mut self) -> String {
        loop {
            if let Incoming::Stanza(stanza) = self.next().await {
                return stanza;
            }
        }
    }

    /// An event if there is one already.
    pub fn try_next(&mut self) -> Option<Incoming> {
        self.incoming.try_recv().ok()
    }

    /// How many connections were made to it.
    pub fn connections(&self) -> usize {
        *self.connections.borrow()
    }

    /// Breaks all connections without a word.
    pub fn break_connections(&self) {
        self.kill.send_modify(|n| *n += 1);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Connection {
    events: mpsc::UnboundedSender<Incoming>,
    behaviour: Behaviour,
    tls: Arc<ServerConfig>,
}

const FEATURES_TLS: &str = "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>";
const FEATURES_SASL: &str = "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
     <mechanism>EXTERNAL</mechanism></mechanisms></stream:features>";

impl Connection {
    async fn run(self, stream: TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        match self.behaviour {
            Behaviour::Mute => {
                std::future::pending::<()>().await;
                Ok(())
            }
            Behaviour::Direct => {
                self.secured(
                    TlsAcceptor::from(Arc::clone(&self.tls))
                        .accept(stream)
                        .await?,
                )
                .await
            }
            _ => {
                let mut stream = Talk::new(stream);
                let Some((from, to)) = stream.header().await else {
                    return Ok(());
                };
                let features = match self.behaviour {
                    Behaviour::NoTls => "<stream:features/>",
                    Behaviour::HostUnknown => {
                        "<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
                         </stream:error></stream:stream>"
                    }
                    _ => FEATURES_TLS,
                };
                stream.answer(&to, &from, features).await?;
                if self.behaviour == Behaviour::HostUnknown {
                    return Ok(());
                }
                stream.next().await;
                if self.behaviour == Behaviour::NoTls {
                    let failure =
                        "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>";
                    return stream.say(failure).await;
                }
                stream
                    .say("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
                    .await?;
                self.secured(
                    TlsAcceptor::from(Arc::clone(&self.tls))
                        .accept(stream.io)
                        .await?,
                )
                .await
            }
        }
    }

    async fn secured<IO: AsyncRead + AsyncWrite + Unpin>(&self, io: IO) -> std::io::Result<()> {
        let mut stream = Talk::new(io);
        let Some((from, to)) = stream.header().await else {
            return Ok(());
        };
        stream.answer(&to, &from, FEATURES_SASL).await?;
        stream.next().await;
        if self.behaviour == Behaviour::NotAuthorized {
            let failure =
                "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>";
            stream.say(failure).await?;
            while stream.next().await != Item::End {}
            return Ok(());
        }
        stream
            .say("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
            .await?;
        let Some((from, to)) = stream.header().await else {
            return Ok(());
        };
        stream.answer(&to, &from, "<stream:features/>").await?;
        self.tell(Incoming::Opened { from, to });
        if self.behaviour == Behaviour::Deaf {
            std::future::pending::<()>().await;
        }
        loop {
            match stream.next().await {
                Item::Element(element) => self.tell(Incoming::Stanza(element)),
                Item::Open(_) => {}
                Item::Close => stream.say("</stream:stream>").await?,
                Item::End => {
                    self.tell(Incoming::Closed);
                    return Ok(());
                }
            }
        }
    }

    fn tell(&self, event: Incoming) {
        // The test may have ended.
        let _ = self.events.send(event);
    }
}

struct Talk<IO> {
    io: IO,
    splitter: Splitter,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Talk<IO> {
    fn new(io: IO) -> Self {
        Self {
            io,
            splitter: Splitter::default(),
        }
    }

    async fn next(&mut self) -> Item {
        loop {
            if let Some(item) = self.splitter.take() {
                return item;
            }
            let mut buffer = [0; 16 * 1024];
            match self.io.read(&mut buffer).await {
                Ok(0) | Err(_) => return Item::End,
                Ok(read) => self.splitter.push(&buffer[..read]),
            }
        }
    }

    /// Reads a header: from, to.
    async fn header(&mut self) -> Option<(String, String)> {
        match self.next().await {
            Item::Open(tag) => Some((
                attribute(&tag, "from")?.to_owned(),
                attribute(&tag, "to")?.to_owned(),
            )),
            _ => None,
        }
    }

    async fn answer(&mut self, from: &str, to: &str, features: &str) -> std::io::Result<()> {
        let header = format!(
            "<?xml version='1.0'?><stream:stream xmlns='jabber:server' \
             xmlns:stream='http://etherx.jabber.org/streams' from='{from}' to='{to}' id='{}' version='1.0'>{features}",
            rustls::pki_types::UnixTime::now().as_secs()
        );
        self.say(&header).await
    }

    async fn say(&mut self, text: &str) -> std::io::Result<()> {
        self.io.write_all(text.as_bytes()).await?;
        self.io.flush().await
    }
}
