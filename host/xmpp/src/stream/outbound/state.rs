//! What an outbound stream knows in each of its states, and nothing more.

use std::sync::Arc;

use crate::{
    dialback::Verification,
    frame::StreamHeader,
    sasl,
    stream::{Peer, Proof, StreamEnd, TlsFacts, features::Features, managed::Managed},
};

pub(super) enum State {
    Reading(Reading),
    Asked(Asked),
    /// The driver does the TLS handshake.
    Handshake,
    /// Closed after XML that cannot be read on; we wait for the connection to end.
    Deaf(StreamEnd),
    Over,
}

pub(super) enum Reading {
    /// Our header was sent; the peer's is awaited.
    Header(Stage),
    Features(Stage, StreamHeader),
    /// `<starttls/>` was sent.
    Proceed(Offered),
    /// `<auth/>` was sent.
    Authenticating(Ground),
    /// `<db:result/>` was sent; perhaps after SASL had been refused.
    Dialback(Ground, Option<sasl::Failure>),
    /// `<db:verify/>` was sent.
    Verifying(Verification),
    Established(Flow),
    /// We have said `</stream:stream>`; the peer has not.
    Closing {
        end: StreamEnd,
        senders: Vec<Arc<Peer>>,
    },
}

pub(super) enum Asked {
    Prove(Ground),
    Admit(Flow),
    Key(Flow, Verification),
}

pub(super) enum Stage {
    Plain,
    Tls(TlsFacts),
    /// What stood before the stream was restarted.
    Authenticated(Ground),
}

/// What a stream stands on once the peer's header and features are here.
pub(super) struct Ground {
    pub(super) tls: Option<TlsFacts>,
    /// How the peer's certificate was found good for its domain, if it was.
    pub(super) proof: Option<Proof>,
    pub(super) header: StreamHeader,
    pub(super) features: Features,
    /// Whether we have asked for stanzas to flow both ways.
    pub(super) bidi: bool,
}

/// What goes on once a stream is established.
pub(super) struct Flow {
    pub(super) peer: Arc<Peer>,
    /// Who sends stanzas on a stream that goes both ways; nobody on one that does not.
    pub(super) senders: Vec<Arc<Peer>>,
    pub(super) features: Features,
    pub(super) managed: Managed,
}

/// Whether the peer had offered what we then asked for.
pub(super) enum Offered {
    Yes,
    No,
}
