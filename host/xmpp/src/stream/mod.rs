//! The negotiation of streams between servers: bytes, facts and answers flow in, actions flow out.
//!
//! [`Inbound`] is the receiving entity of RFC 6120 §4, [`Outbound`] the initiating one. Both require
//! TLS and authenticate by SASL EXTERNAL. A driver owns the socket, the TLS session, the clock and
//! the answers to [`Question`]s:
//!
//! 1. call `next` until it says `None`, and do each action before the next call;
//! 2. if a [`Question`] was among them, `answer` it and go to 1: until then `next` says `None`, and
//!    no more should be read from the socket;
//! 3. otherwise read from the socket, give it to `receive` (or call `eof`), and go to 1.
//!
//! Reads should be small (16 KiB): what was received is kept until it is parsed. Deadlines go by
//! `phase`; when one has passed, call `close`. Whatever fails ends the stream: whose fault it was is
//! told by [`StreamEnd`] and [`OutboundFailure`].
//!
//! Not guaranteed: that the peer's certificate is worth anything (that is what
//! [`Question::Prove`] asks), nor that a stanza's recipient exists.

mod failure;
mod features;
mod first_level;
mod header;
mod inbound;
mod outbound;
mod wire;

use std::{fmt, net::SocketAddr, sync::Arc};

pub use failure::OutboundFailure;
pub use inbound::{Inbound, InboundAction, InboundSettings};
pub use outbound::{Outbound, OutboundAction, OutboundSettings};

use crate::{
    error::StreamError,
    jid::Domain,
    stanza::{Direction, Stanza},
};

/// How TLS came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TlsMode {
    /// From the first byte (XEP-0368).
    Direct,
    /// By STARTTLS (RFC 6120 §5).
    StartTls,
}

impl TlsMode {
    /// For logs and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::StartTls => "starttls",
        }
    }
}

/// What is known of a TLS session once its handshake is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFacts {
    /// Such as `TLSv1.3`.
    pub version: &'static str,
    /// Such as `TLS13_AES_256_GCM_SHA384`.
    pub cipher: &'static str,
    /// The name that the client asked for, if it did. A header's `to` that differs closes the stream.
    pub sni: Option<Domain>,
    /// How it came about.
    pub mode: TlsMode,
    /// The peer's own certificate in DER, if it showed one.
    pub certificate: Option<Arc<[u8]>>,
}

/// How a peer has proven its domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// SASL EXTERNAL with the certificate of the TLS session (XEP-0178).
    External,
}

impl Method {
    /// For logs and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::External => "external",
        }
    }
}

/// The other end of a stream, for one pair of domains. An `Arc<Peer>` travels with each stanza.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The peer's domain.
    pub remote: Domain,
    /// The domain at our end that it speaks to: the organisation's own, or on streams with internal
    /// servers the partner's that the gateway stands for.
    pub local: Domain,
    /// Which way the stanzas of this stream go, seen from the organisation. This is not who opened it:
    /// what an internal server opens carries outbound stanzas.
    pub direction: Direction,
    /// Who opened the stream.
    pub initiator: Initiator,
    /// The peer's network address.
    pub address: Option<SocketAddr>,
    /// The stream's id (RFC 6120 §4.7.3). It changes when authentication restarts the stream: the
    /// peer of [`Question::Admit`] on an inbound stream has another one than the established peer.
    pub stream_id: Arc<str>,
    /// How the remote domain was proven; none before that.
    pub method: Option<Method>,
    /// The TLS session; none on a stream without TLS.
    pub tls: Option<TlsFacts>,
}

impl Peer {
    /// The partner's domain: of the two, the one outside of the organisation. (Between two internal
    /// servers, the one that is spoken to.)
    pub fn partner(&self) -> &Domain {
        if self.is_partner() {
            &self.remote
        } else {
            &self.local
        }
    }

    /// The organisation's domain.
    pub fn organisation(&self) -> &Domain {
        if self.is_partner() {
            &self.local
        } else {
            &self.remote
        }
    }

    /// Partners send inbound stanzas and take outbound ones; internal servers the other way round.
    fn is_partner(&self) -> bool {
        matches!(
            (self.initiator, self.direction),
            (Initiator::Peer, Direction::Inbound) | (Initiator::Gateway, Direction::Outbound)
        )
    }
}

/// Who opened a stream: the initiating entity of RFC 6120 §1.4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Initiator {
    /// The other end did.
    Peer,
    /// We did.
    Gateway,
}

/// A stanza whose sender's domain is proven for the stream that it came on, and whose recipient's
/// domain is the one that the stream was opened to. Only a stream makes one.
#[derive(Debug, Clone)]
#[must_use = "a stanza that was received has to be settled"]
pub struct Authenticated {
    stanza: Stanza,
    peer: Arc<Peer>,
}

impl Authenticated {
    /// The stanza.
    pub fn stanza(&self) -> &Stanza {
        &self.stanza
    }

    /// Who sent it.
    pub fn peer(&self) -> &Arc<Peer> {
        &self.peer
    }

    /// Both, for the step that takes the responsibility.
    pub fn into_parts(self) -> (Stanza, Arc<Peer>) {
        (self.stanza, self.peer)
    }
}

/// How a stream begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// In the clear; STARTTLS is required.
    Plain,
    /// Inside a TLS session that stands already (direct TLS).
    Tls(TlsFacts),
}

/// What only the driver can know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// May this stream exist? Asked on inbound streams, before anything is proven: is `to` served
    /// here, is `from` somebody who may knock, and not one of our own domains (ADR-04)? On STARTTLS
    /// it is asked before and after the handshake, unless nothing has changed.
    Open {
        /// Who the peer says it is; may be missing before TLS.
        from: Option<Domain>,
        /// Whom it wants to speak to.
        to: Domain,
    },
    /// Is the certificate of the TLS session good for this domain?
    Prove {
        /// The domain that the peer says it is, or that we wanted to reach.
        domain: Domain,
    },
    /// The peer is proven. Is it welcome? Asked before the peer is told of success.
    Admit(Arc<Peer>),
}

/// The answer to the [`Question`] of the same name. An answer to another question ends the stream; an
/// answer that comes after the stream was closed is ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To [`Question::Open`]. For a `to` that is not served here the error has to be `host-unknown`
    /// or `host-gone`, whatever else is wrong: only then our header does not repeat it (STR-03).
    Open(Result<(), StreamError>),
    /// To [`Question::Prove`]. The text says why not; the peer reads it in a stream error.
    Prove(Result<(), String>),
    /// To [`Question::Admit`]. The peer gets SASL's `not-authorized` (inbound) and the error.
    Admit(Result<(), StreamError>),
}

/// Where a stream stands: for deadlines and logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Headers and features; TLS is not there yet.
    Opening,
    /// The TLS handshake of STARTTLS; nothing may be written by hand.
    Handshake,
    /// TLS stands; who the peer is, is being found out.
    Authenticating,
    /// Stanzas flow.
    Established,
    /// We have said `</stream:stream>`; nothing more may be sent.
    Closing,
    /// Nothing more will happen.
    Closed,
}

impl Phase {
    /// For logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Handshake => "handshake",
            Self::Authenticating => "authenticating",
            Self::Established => "established",
            Self::Closing => "closing",
            Self::Closed => "closed",
        }
    }
}

/// How a stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamEnd {
    /// Both sides said `</stream:stream>`.
    Clean,
    /// We closed it with this error.
    Sent(StreamError),
    /// The peer closed it with this error.
    Received(StreamError),
    /// The connection ended without `</stream:stream>`, or the peer did not answer ours in time.
    Truncated,
    /// TLS was not reached.
    NoTls(NoTls),
    /// We gave up before a word was said in this stream.
    Abandoned,
}

impl StreamEnd {
    /// After our closing tag the peer closes with an error.
    fn or_received(self, error: StreamError) -> Self {
        match self {
            Self::Clean => Self::Received(error),
            end => end,
        }
    }

    /// After our closing tag the peer's did not come.
    fn without_reply(self) -> Self {
        match self {
            Self::Clean => Self::Truncated,
            end => end,
        }
    }
}

/// Why TLS was not reached by STARTTLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoTls {
    /// Bytes in the clear behind `<starttls/>` or `<proceed/>`: somebody tries to smuggle them into
    /// the TLS session.
    Injection,
    /// The handshake failed, for this reason.
    Handshake(String),
}

impl fmt::Display for NoTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Injection => f.write_str("bytes in the clear follow the switch to TLS"),
            Self::Handshake(reason) => write!(f, "the TLS handshake failed: {reason}"),
        }
    }
}

impl fmt::Display for StreamEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clean => f.write_str("closed"),
            Self::Sent(error) => write!(f, "closed by us: {error}"),
            Self::Received(error) => write!(f, "closed by the peer: {error}"),
            Self::Truncated => f.write_str("the connection ended without a closing tag"),
            Self::NoTls(why) => why.fmt(f),
            Self::Abandoned => f.write_str("given up before the stream was open"),
        }
    }
}

#[cfg(test)]
mod tests;
