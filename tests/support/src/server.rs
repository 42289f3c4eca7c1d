//! Somebody to whom the gateway opens streams: a partner, or an internal server's 5269.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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
    /// Sends everybody to another place, after TLS.
    Elsewhere(SocketAddr),
    /// Sends everybody to another place, in the clear.
    ElsewhereInTheClear(SocketAddr),
    /// Knows nothing of the domain that it is asked for.
    HostUnknown,
    /// As it should, and takes no stanza of more than 10000 bytes and no stream that is idle for two
    /// seconds (XEP-0478).
    Limited,
    /// As it should, but reads nothing once the stream is established.
    Deaf,
    /// Accepts the connection and says nothing.
    Mute,
    /// As it should, after STARTTLS; stanzas flow both ways, and each that comes is sent back.
    Echo,
    /// As it should, after STARTTLS; it acknowledges stanzas when it is asked (XEP-0198).
    Managed,
    /// It promises to acknowledge stanzas and does not.
    Forgetful,
    /// After STARTTLS it knows dialback only. It takes every key, and as the authoritative server it
    /// says that the key `good` is its own.
    Dialback,
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
    /// A dialback key that the gateway sent, on the stream of this id.
    Key {
        /// The id in the server's header.
        id: String,
        /// The element.
        result: String,
    },
    /// A question of the gateway whether a dialback key is the server's own.
    Asked(String),
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
const FEATURES_DIALBACK: &str = "<stream:features><dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback></stream:features>";
const FEATURES_BIDI: &str = "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
     <mechanism>EXTERNAL</mechanism></mechanisms><bidi xmlns='urn:xmpp:features:bidi'/></stream:features>";
const FEATURES_LIMITED: &str = "<stream:features><limits xmlns='urn:xmpp:stream-limits:0'>\
     <max-bytes>10000</max-bytes><idle-seconds>2</idle-seconds></limits></stream:features>";
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
                let elsewhere;
                let features = match self.behaviour {
                    Behaviour::NoTls => "<stream:features/>",
                    Behaviour::ElsewhereInTheClear(place) => {
                        elsewhere = see_other_host(place);
                        &elsewhere
                    }
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
        if let Behaviour::Elsewhere(place) = self.behaviour {
            stream.answer(&to, &from, &see_other_host(place)).await?;
            while stream.next().await != Item::End {}
            return Ok(());
        }
        if self.behaviour == Behaviour::Dialback {
            return self.dialback(stream, &from, &to).await;
        }
        if self.behaviour == Behaviour::Echo {
            stream.answer(&to, &from, FEATURES_BIDI).await?;
            let asked = stream.next().await;
            if !matches!(&asked, Item::Element(element) if element.starts_with("<bidi xmlns='urn:xmpp:bidi'"))
            {
                self.tell(Incoming::Closed);
                return Ok(());
            }
        } else {
            stream.answer(&to, &from, FEATURES_SASL).await?;
        }
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
        let managed = matches!(self.behaviour, Behaviour::Managed | Behaviour::Forgetful);
        let features = match self.behaviour {
            _ if managed => "<stream:features><sm xmlns='urn:xmpp:sm:3'/></stream:features>",
            Behaviour::Limited => FEATURES_LIMITED,
            _ => "<stream:features/>",
        };
        stream.answer(&to, &from, features).await?;
        self.tell(Incoming::Opened { from, to });
        let mut handled = 0;
        if self.behaviour == Behaviour::Deaf {
            std::future::pending::<()>().await;
        }
        loop {
            match stream.next().await {
                Item::Element(element) if managed && element.contains("'urn:xmpp:sm:3'") => {
                    if element.starts_with("<enable") {
                        handled = 0;
                        stream.say("<enabled xmlns='urn:xmpp:sm:3'/>").await?;
                    } else if self.behaviour == Behaviour::Managed {
                        let answer = format!("<a xmlns='urn:xmpp:sm:3' h='{handled}'/>");
                        stream.say(&answer).await?;
                    }
                }
                Item::Element(element) => {
                    handled += 1;
                    if self.behaviour == Behaviour::Echo {
                        let (from, to) = (attribute(&element, "from"), attribute(&element, "to"));
                        let echo = format!(
                            "<message from='{}' to='{}'><body>echo</body></message>",
                            to.unwrap_or_default(),
                            from.unwrap_or_default()
                        );
                        stream.say(&echo).await?;
                    }
                    self.tell(Incoming::Stanza(element));
                }
                Item::Open(_) => {}
                Item::Close => stream.say("</stream:stream>").await?,
                Item::End => {
                    self.tell(Incoming::Closed);
                    return Ok(());
                }
            }
        }
    }

    async fn dialback<IO: AsyncRead + AsyncWrite + Unpin>(
        &self,
        mut stream: Talk<IO>,
        from: &str,
        to: &str,
    ) -> std::io::Result<()> {
        let id = stream.answer(to, from, FEATURES_DIALBACK).await?;
        loop {
            let element = match stream.next().await {
                Item::Element(element) => element,
                Item::Open(_) => continue,
                Item::Close => {
                    stream.say("</stream:stream>").await?;
                    continue;
                }
                Item::End => {
                    self.tell(Incoming::Closed);
                    return Ok(());
                }
            };
            if element.starts_with("<db:verify") {
                let asked = attribute(&element, "id").unwrap_or_default();
                let verdict = if element.contains(">good<") {
                    "valid"
                } else {
                    "invalid"
                };
                let answer =
                    format!("<db:verify from='{to}' to='{from}' id='{asked}' type='{verdict}'/>");
                self.tell(Incoming::Asked(element.clone()));
                stream.say(&answer).await?;
            } else if element.starts_with("<db:result") {
                self.tell(Incoming::Key {
                    id: id.clone(),
                    result: element.clone(),
                });
                let answer = format!("<db:result from='{to}' to='{from}' type='valid'/>");
                stream.say(&answer).await?;
                self.tell(Incoming::Opened {
                    from: from.to_owned(),
                    to: to.to_owned(),
                });
            } else {
                self.tell(Incoming::Stanza(element));
            }
        }
    }

    fn tell(&self, event: Incoming) {
        // The test may have ended.
        let _ = self.events.send(event);
    }
}

fn see_other_host(place: SocketAddr) -> String {
    format!(
        "<stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>{place}\
         </see-other-host></stream:error></stream:stream>"
    )
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

    /// Says a header and features; gives back the stream's id.
    async fn answer(&mut self, from: &str, to: &str, features: &str) -> std::io::Result<String> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = format!("stream{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let header = format!(
            "<?xml version='1.0'?><stream:stream xmlns='jabber:server' \
             xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='jabber:server:dialback' \
             from='{from}' to='{to}' id='{id}' version='1.0'>{features}"
        );
        self.say(&header).await?;
        Ok(id)
    }

    async fn say(&mut self, text: &str) -> std::io::Result<()> {
        self.io.write_all(text.as_bytes()).await?;
        self.io.flush().await
    }
}
