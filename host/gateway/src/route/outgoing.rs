//! A stanza that may leave. Only this module's parent can make one: from a [`Judged`] stanza that
//! passed, or as the gateway's own.

use std::sync::Arc;

use portcullis_policy::Judged;
use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::stanza::Stanza;
use portcullis_xmpp::stream::Peer;

use tokio::time::Instant;

use crate::observe::{GatewayStanza, Receipt};

/// What a queue charges for a stanza beside its bytes: the parsed tree's overhead, roughly.
const OVERHEAD: usize = 256;

/// A stanza on its way to a socket.
#[derive(Debug)]
#[must_use]
pub(crate) struct Outgoing {
    pub(super) stanza: Stanza,
    pub(super) origin: Origin,
    /// Since when it waits.
    pub(super) since: Instant,
    /// Whether it was taken back once from a stream that died; there is no third try.
    pub(super) retried: bool,
}

/// Where an [`Outgoing`] comes from, and so who must hear of its end.
#[derive(Debug)]
pub(super) enum Origin {
    /// Somebody sent it and the chain let it pass.
    Judged {
        /// The stream that it came on.
        peer: Arc<Peer>,
        /// The generation that judged it.
        generation: u64,
        receipt: Receipt,
    },
    /// The gateway made it. Its failure is counted and told to nobody.
    Gateway(GatewayStanza),
}

impl Outgoing {
    /// A stanza that passed the chain.
    pub(super) fn passed(judged: Judged, receipt: Receipt) -> Self {
        let generation = judged.generation();
        let (stanza, peer, _) = judged.into_parts();
        Self {
            stanza,
            origin: Origin::Judged {
                peer,
                generation,
                receipt,
            },
            since: Instant::now(),
            retried: false,
        }
    }

    /// A stanza of the gateway's own.
    pub(super) fn own(stanza: Stanza, why: GatewayStanza) -> Self {
        Self {
            stanza,
            origin: Origin::Gateway(why),
            since: Instant::now(),
            retried: false,
        }
    }

    /// Sender's domain: the name in which it is sent.
    pub(super) fn from(&self) -> &Domain {
        self.stanza.from().domain()
    }

    /// Recipient's domain: where it goes.
    pub(super) fn to(&self) -> &Domain {
        self.stanza.to().domain()
    }

    pub(super) fn is_own(&self) -> bool {
        matches!(self.origin, Origin::Gateway(_))
    }

    /// What it costs in a queue, in bytes.
    pub(super) fn size(&self) -> usize {
        self.stanza.wire_size().saturating_add(OVERHEAD)
    }
}
