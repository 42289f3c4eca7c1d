//! What each shadow would have seen of one stanza.
//!
//! In: the stanza before each plugin of the chain, and what stood. Out: one case for each shadow that
//! wants it. Costs nothing where there is no shadow: a stanza's clone shares its tree.

use std::sync::Arc;

use portcullis_xmpp::stanza::{Direction, Stanza};
use portcullis_xmpp::stream::Peer;

use super::{Case, Shadow, Stood};
use crate::judged::Verdict;

pub(crate) struct Seen<'a> {
    shadows: &'a [Shadow],
    direction: Direction,
    seen: Vec<(&'a Shadow, Stanza)>,
}

impl<'a> Seen<'a> {
    pub(crate) fn new(shadows: &'a [Shadow], direction: Direction) -> Self {
        Self {
            shadows,
            direction,
            seen: Vec::new(),
        }
    }

    /// The stanza has come to this place of the chain.
    pub(crate) fn at(&mut self, place: usize, stanza: &Stanza) {
        let here = self.shadows.iter().filter(|shadow| {
            let plugin = shadow.plugin();
            shadow.place() == place && plugin.is_filter() && plugin.wants(stanza, self.direction)
        });
        self.seen
            .extend(here.map(|shadow| (shadow, stanza.clone())));
    }

    /// This became of it: `stanza` is what went on, if it did.
    pub(crate) fn stood(
        self,
        peer: &Arc<Peer>,
        verdict: &Verdict,
        by: Option<&Arc<str>>,
        stanza: &Stanza,
    ) {
        for (shadow, seen) in self.seen {
            shadow.tell(Case::Stanza {
                seen,
                peer: Arc::clone(peer),
                stood: Box::new(Stood {
                    verdict: verdict.clone(),
                    by: by.cloned(),
                    stanza: stanza.clone(),
                }),
            });
        }
    }
}
