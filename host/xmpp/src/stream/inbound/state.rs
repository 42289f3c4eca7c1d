//! What an inbound stream knows in each of its states, and nothing more.

use std::sync::Arc;

use super::{
    InboundSettings,
    dialback::{Pairs, Request},
};
use crate::{
    dialback::Verification,
    jid::Domain,
    sasl,
    stream::{
        Peer, PeerLimits, Phase, Proof, StreamEnd, Terms, TlsFacts,
        header::{Claim, Speech},
        managed::Managed,
    },
};

/// What our header shows.
pub(super) struct Face {
    /// The domain that the peer wants to speak to, once it may; a fallback before.
    pub(super) own: Option<Domain>,
    /// Whom the peer says it is.
    pub(super) peer: Option<Domain>,
    /// The id in our header, if it was sent.
    pub(super) id: Option<Arc<str>>,
    pub(super) speech: Speech,
}

pub(super) enum State {
    Reading(Reading),
    Asked(Asked),
    /// The driver does the TLS handshake.
    Handshake(Agreed),
    /// Closed after XML that cannot be read on; we wait for the connection to end.
    Deaf(StreamEnd),
    Over,
}

pub(super) enum Reading {
    Header(Security),
    /// STARTTLS is offered, and is required or not.
    StartTls(Ground),
    /// SASL EXTERNAL is offered.
    Authenticating(Ground, Proof, sasl::Acceptor),
    /// No pair is authenticated yet, and dialback is what is left.
    Dialback(Ground),
    /// Authenticated by SASL and admitted; the restarted stream's header is awaited.
    Restart(Ground, Arc<Peer>),
    /// At least one pair is authenticated.
    Established(Ground),
    /// We have said `</stream:stream>`; the peer has not.
    Closing {
        end: StreamEnd,
        senders: Vec<Arc<Peer>>,
    },
}

pub(super) enum Asked {
    Open(Security, Claim, Speech),
    /// About the header's `from`.
    Prove(Ground, Domain),
    /// After SASL.
    Admit(Ground, Arc<Peer>),
    Key(Box<Reading>, Verification),
    Pair(Ground, Request),
    ProvePair(Ground, Request, Terms),
    AdmitPair(Ground, Arc<Peer>),
}

pub(super) enum Security {
    Plain,
    /// With what was agreed on before STARTTLS.
    Tls(TlsFacts, Option<Agreed>),
}

/// A stream that may exist.
pub(super) struct Agreed {
    pub(super) claim: Claim,
    pub(super) terms: Terms,
}

/// What a stream stands on once its header is accepted.
pub(super) struct Ground {
    pub(super) agreed: Agreed,
    pub(super) tls: Option<TlsFacts>,
    /// What the peer takes, if it wants stanzas to flow both ways.
    pub(super) bidi: Option<PeerLimits>,
    pub(super) pairs: Pairs,
    pub(super) managed: Managed,
}

impl Face {
    pub(super) fn new(settings: &InboundSettings) -> Self {
        Self {
            own: settings.fallback.clone(),
            peer: None,
            id: None,
            speech: Speech::Modern,
        }
    }
}

impl Ground {
    pub(super) fn new(agreed: Agreed, tls: Option<TlsFacts>) -> Self {
        Self {
            agreed,
            tls,
            bidi: None,
            pairs: Pairs::default(),
            managed: Managed::Off,
        }
    }

    /// Where a stream without SASL goes on.
    pub(super) fn reading(self) -> Reading {
        if self.pairs.any_proven() {
            Reading::Established(self)
        } else {
            Reading::Dialback(self)
        }
    }
}

impl Reading {
    pub(super) fn end(self) -> StreamEnd {
        match self {
            Self::Closing { end, .. } => end,
            _ => StreamEnd::Truncated,
        }
    }

    pub(super) fn phase(&self) -> Phase {
        match self {
            Self::Header(Security::Plain) | Self::StartTls(_) => Phase::Opening,
            Self::Header(Security::Tls(..))
            | Self::Authenticating(..)
            | Self::Dialback(_)
            | Self::Restart(..) => Phase::Authenticating,
            Self::Established(_) => Phase::Established,
            Self::Closing { .. } => Phase::Closing,
        }
    }
}
