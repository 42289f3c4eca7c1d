//! A batch, as an observer hears it.
//!
//! Whole decisions keep their stanzas alive until the observer has heard them. An observer that never looks
//! at a stanza (WIT, `hearing.records-only`) hears records, which were made when the decisions fell.

use std::sync::Arc;

use portcullis_xmpp::stanza::Stanza;
use portcullis_xmpp::stream::Peer;

use super::{Decision, Scribe, Sheaf};

/// Which of both an observer hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hears {
    Decisions,
    Records,
}

/// See the module. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) enum Heard {
    Decisions(Arc<[Arc<Decision>]>),
    Records(Arc<Sheaf>),
}

impl Heard {
    /// One decision.
    pub(crate) fn one(decision: Decision, hears: Hears) -> Self {
        match hears {
            Hears::Decisions => Self::Decisions(Arc::from([Arc::new(decision)])),
            Hears::Records => {
                let mut sheaf = Sheaf::default();
                Scribe::default().add(&decision, &mut sheaf);
                Self::Records(Arc::new(sheaf))
            }
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Decisions(decisions) => decisions.len(),
            Self::Records(sheaf) => sheaf.len(),
        }
    }

    /// The record of one of them.
    pub(crate) fn record(&self, at: usize) -> Option<String> {
        match self {
            Self::Decisions(decisions) => Some(decisions.get(at)?.json()),
            Self::Records(sheaf) => sheaf.record(at).map(str::to_owned),
        }
    }

    /// Whom it is about.
    pub(crate) fn peer(&self, at: usize) -> Option<&Peer> {
        match self {
            Self::Decisions(decisions) => Some(&decisions.get(at)?.peer),
            Self::Records(sheaf) => sheaf.peer(at).map(|peer| &**peer),
        }
    }

    /// The stanza that it is about, if there is one and it was kept; none at all for a place that the
    /// batch does not have.
    pub(crate) fn stanza(&self, at: usize) -> Option<Option<&Stanza>> {
        match self {
            Self::Decisions(decisions) => Some(decisions.get(at)?.stanza.as_ref()),
            Self::Records(sheaf) => (at < sheaf.len()).then_some(None),
        }
    }
}
