//! The negotiation of streams between servers: bytes, facts and answers flow in, actions flow out.
//!
//! [`Inbound`] is the receiving entity of RFC 6120 §4, [`Outbound`] the initiating one. [`Terms`] say
//! what they may negotiate: TLS, SASL EXTERNAL, dialback, stanzas both ways, acknowledgements. A
//! driver owns the socket, the TLS session, the clock and the answers to [`Question`]s:
//!
//! 1. call `next` until it says `None`, and do each action before the next call;
//! 2. if a [`Question`] was among them, `answer` it and go to 1: until then `next` says `None`, and
//!    no more should be read from the socket;
//! 3. otherwise read from the socket, give it to `receive` (or call `eof`), and go to 1.
//!
//! A question holds up its stream. A [`Verification`](crate::dialback::Verification) does not, since
//! it needs a stream of its own: the driver tells what has become of it with `verified`, whenever that
//! is, and goes to 1.
//!
//! Reads should be small (16 KiB): what was received is kept until it is parsed. Deadlines go by
//! `phase`; when one has passed, call `close`. Whatever fails ends the stream: whose fault it was is
//! told by [`StreamEnd`] and [`OutboundFailure`].
//!
//! Not guaranteed: that the peer's certificate is worth anything (that is what
//! [`Question::Prove`] asks), nor that a stanza's recipient exists.

mod end;
mod failure;
mod features;
mod first_level;
mod header;
mod inbound;
mod managed;
mod outbound;
mod peer;
mod question;
mod terms;
mod wire;

use std::sync::Arc;

pub use end::{NoTls, StreamEnd};
pub use failure::OutboundFailure;
pub use features::PeerLimits;
pub use inbound::{Inbound, InboundAction, InboundSettings};
pub use outbound::{Outbound, OutboundAction, OutboundSettings, Purpose};
pub use peer::{Initiator, Method, Party, Peer, Proof, TlsFacts, TlsMode};
pub use question::{Answer, Question};
pub use terms::{Need, Terms};

use crate::stanza::Stanza;

/// A stanza whose sender's and recipient's domains are a pair that was authenticated on the stream
/// that it came on. Only a stream makes one.
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
    /// In the clear; the terms say whether STARTTLS has to follow.
    Plain,
    /// Inside a TLS session that stands already (direct TLS).
    Tls(TlsFacts),
}

/// Where a stream stands: for deadlines and logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Headers and features; TLS is not there yet.
    Opening,
    /// The TLS handshake of STARTTLS; nothing may be written by hand.
    Handshake,
    /// TLS stands, or need not; who the peer is, is being found out.
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

#[cfg(test)]
mod tests;
