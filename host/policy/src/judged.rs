//! Answers that stand.
//!
//! In: the verdicts of a generation's plugins. Out: [`Ruling`] about a stream, [`Judged`] about a
//! stanza. Only [`crate::Generation::judge`] makes a [`Judged`], and only a [`Judged`] can be routed.

use std::sync::Arc;
use std::time::Duration;

use portcullis_xmpp::error::StanzaError;
use portcullis_xmpp::stanza::Stanza;
use portcullis_xmpp::stream::Peer;

use crate::reference::Reference;

/// Whether a stream may exist.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Ruling {
    /// It may.
    Admitted {
        /// The plugin that allowed it, or [`Ruling::RECORD`].
        by: Arc<str>,
    },
    /// It may not.
    Refused {
        /// The plugin that refused it, or [`Ruling::DEFAULT_DENY`].
        by: Arc<str>,
        /// For the peer, at most 512 bytes, without control characters.
        text: String,
    },
}

impl Ruling {
    /// Who admits a domain that a partner record names and that no gatekeeper refuses.
    pub const RECORD: &str = "gateway:partner-record";
    /// Who refuses a domain that nobody names.
    pub const DEFAULT_DENY: &str = "gateway:default-deny";

    /// Whether the stream may exist.
    #[must_use]
    pub fn is_admitted(&self) -> bool {
        matches!(self, Self::Admitted { .. })
    }
}

/// What becomes of a stanza.
#[derive(Clone, Debug)]
#[must_use]
pub enum Verdict {
    /// It goes on.
    Pass,
    /// It goes back. The stanza is one that RFC 6120 §8.3.1 permits to answer.
    Reject {
        /// What the sender is told.
        error: StanzaError,
        /// For the audit record.
        reason: String,
    },
    /// It ends here, without an answer.
    Drop {
        /// For the audit record.
        reason: String,
    },
}

impl Verdict {
    /// As records and metrics name it: `pass`, `reject` or `drop`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Reject { .. } => "reject",
            Self::Drop { .. } => "drop",
        }
    }
}

/// A stanza with the verdict that stands.
#[derive(Debug)]
#[must_use]
pub struct Judged {
    stanza: Stanza,
    arrived: Option<Stanza>,
    peer: Arc<Peer>,
    verdict: Verdict,
    by: Option<Arc<str>>,
    reference: Option<Reference>,
    generation: u64,
    elapsed: Duration,
}

impl Judged {
    pub(crate) fn new(
        stanza: Stanza,
        peer: Arc<Peer>,
        verdict: Verdict,
        by: Option<Arc<str>>,
        generation: u64,
        elapsed: Duration,
    ) -> Self {
        let reference = match verdict {
            Verdict::Pass => None,
            Verdict::Reject { .. } | Verdict::Drop { .. } => Some(Reference::draw()),
        };
        Self {
            stanza,
            arrived: None,
            peer,
            verdict,
            by,
            reference,
            generation,
            elapsed,
        }
    }

    /// With all edits if it passed, as it arrived if it did not.
    #[must_use]
    pub fn stanza(&self) -> &Stanza {
        &self.stanza
    }

    /// The same, made by plugins from this one.
    pub(crate) fn made_from(self, arrived: Option<Stanza>) -> Self {
        Self { arrived, ..self }
    }

    /// As it arrived, if plugins have edited it.
    #[must_use]
    pub fn arrived(&self) -> Option<&Stanza> {
        self.arrived.as_ref()
    }

    /// The authenticated sender of the stream that it came on.
    #[must_use]
    pub fn peer(&self) -> &Arc<Peer> {
        &self.peer
    }

    /// What becomes of it.
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// The plugin whose verdict it is; none if all let it pass.
    #[must_use]
    pub fn by(&self) -> Option<&Arc<str>> {
        self.by.as_ref()
    }

    /// What its refusal is asked about by; none if it passed.
    #[must_use]
    pub fn reference(&self) -> Option<Reference> {
        self.reference
    }

    /// The generation that judged it.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Time that all plugins together took, waiting for a free instance included.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// Stanza, peer and verdict, to act upon.
    pub fn into_parts(self) -> (Stanza, Arc<Peer>, Verdict) {
        (self.stanza, self.peer, self.verdict)
    }
}
