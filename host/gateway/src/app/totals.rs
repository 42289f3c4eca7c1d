//! What plugins have done in generations that judge no more, so that counters neither fall nor miss
//! anything.
//!
//! In: a generation that takes over, and the one before it, which goes on for a while: stanzas are still
//! judged in it, and its observers have batches to take. Out: the one that judges, and the sum of all before
//! it, of the same moment.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use portcullis_policy::{Chain, Generation, PluginCounts, Tally};

/// See the module.
#[derive(Default)]
pub(crate) struct Totals(Mutex<Before>);

#[derive(Default)]
struct Before {
    /// Of plugins that are gone.
    gone: HashMap<String, PluginCounts>,
    /// Of plugins that may still do something.
    going: Vec<Tally>,
}

impl Totals {
    /// Makes `next` judge, and returns the generation that did.
    pub(super) fn swap(&self, chain: &Chain, next: Generation) -> Arc<Generation> {
        let mut sum = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = chain.swap(next);
        sum.settle();
        sum.going.extend(before.tallies());
        before
    }

    /// The generation that judges, and the counts of all before it by the plugins' names.
    pub(super) fn with(&self, chain: &Chain) -> (Arc<Generation>, HashMap<String, PluginCounts>) {
        let mut sum = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sum.settle();
        let mut all = sum.gone.clone();
        sum.going.iter().for_each(|tally| add(&mut all, tally));
        (chain.enter(), all)
    }
}

impl Before {
    /// Lets go of what will not change any more.
    fn settle(&mut self) {
        let gone = &mut self.gone;
        self.going.retain_mut(|tally| {
            let is_final = tally.is_final();
            if is_final {
                add(gone, tally);
            }
            !is_final
        });
    }
}

fn add(counts: &mut HashMap<String, PluginCounts>, tally: &Tally) {
    let of = counts.entry(tally.name().to_owned()).or_default();
    of.add(&tally.counts());
}
