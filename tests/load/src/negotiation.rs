//! The receiving side of a stream, as far as the first stanza.
//!
//! In: a connection of the target, or one to it as its component (XEP-0114). Out: the same, ready for
//! stanzas, and encrypted but for the component. Whoever says something else than he should is hung up on.

use std::fmt::Write as _;

use aws_lc_rs::digest;
use portcullis_test_support::{Duplex, Identity, Item, Splitter, attribute};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::target::{OWN, SECRET};

const STARTTLS: &str = "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>";
const EXTERNAL: &str = "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms></stream:features>";

/// Accepts a stream: STARTTLS, EXTERNAL, nothing beyond.
pub(crate) async fn accept(stream: TcpStream, identity: &Identity) -> Option<Box<dyn Duplex>> {
    let mut clear = Talk::new(Box::new(stream));
    clear.header(STARTTLS).await?;
    clear.element().await?;
    clear
        .say("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        .await?;
    let tls = TlsAcceptor::from(identity.server())
        .accept(clear.io)
        .await
        .ok()?;
    let mut secured = Talk::new(Box::new(tls));
    secured.header(EXTERNAL).await?;
    secured.element().await?;
    secured
        .say("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
        .await?;
    secured.header("<stream:features/>").await?;
    Some(secured.io)
}

/// Joins as the component that the organisation's domain is.
pub(crate) async fn join(stream: TcpStream) -> Option<Box<dyn Duplex>> {
    let mut clear = Talk::new(Box::new(stream));
    let header = format!(
        "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' \
         xmlns:stream='http://etherx.jabber.org/streams' to='{OWN}'>"
    );
    clear.say(&header).await?;
    let Item::Open(header) = clear.next().await? else {
        return None;
    };
    let text = format!("{}{SECRET}", attribute(&header, "id")?);
    // XEP-0114 asks for this digest; nothing here rests on it.
    let proof = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    let proof = proof.as_ref().iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    });
    let handshake = format!("<handshake>{proof}</handshake>");
    clear.say(&handshake).await?;
    let answer = clear.element().await?;
    answer.starts_with("<handshake").then_some(clear.io)
}

/// A conversation in whole parts. Nobody sends a stanza before the last features, so nothing is read
/// ahead of it.
struct Talk {
    io: Box<dyn Duplex>,
    splitter: Splitter,
}

impl Talk {
    fn new(io: Box<dyn Duplex>) -> Self {
        Self {
            io,
            splitter: Splitter::default(),
        }
    }

    /// Reads the peer's header and answers with ours and these features.
    async fn header(&mut self, features: &str) -> Option<()> {
        let Item::Open(header) = self.next().await? else {
            return None;
        };
        let (from, to) = (attribute(&header, "to")?, attribute(&header, "from")?);
        let answer = format!(
            "<?xml version='1.0'?><stream:stream xmlns='jabber:server' \
             xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='jabber:server:dialback' \
             from='{from}' to='{to}' id='load' version='1.0'>{features}"
        );
        self.say(&answer).await
    }

    async fn element(&mut self) -> Option<String> {
        match self.next().await? {
            Item::Element(element) => Some(element),
            _ => None,
        }
    }

    async fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.splitter.take() {
                return Some(item);
            }
            let mut buffer = [0; 4096];
            let read = self
                .io
                .read(&mut buffer)
                .await
                .ok()
                .filter(|read| *read > 0)?;
            self.splitter.push(&buffer[..read]);
        }
    }

    async fn say(&mut self, text: &str) -> Option<()> {
        self.io.write_all(text.as_bytes()).await.ok()?;
        self.io.flush().await.ok()
    }
}
