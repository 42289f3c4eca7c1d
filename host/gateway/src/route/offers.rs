//! Streams that partners and internal servers have opened and that go both ways (XEP-0288): each is
//! offered to the pairs of domains in the other direction.
//!
//! In: an [`Output`] per pair, when its stream is established. Out: the same, to the pair's task, which
//! uses one output at a time (ORD-01) and prefers one that is offered to opening its own (BI-04).
//! Bounded by the streams that there are: what has ended is thrown away with its session.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use portcullis_xmpp::jid::Domain;

use crate::session::Output;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Offers(Mutex<HashMap<(Domain, Domain), Vec<Output>>>);

impl Offers {
    /// Offers a stream for stanzas of `from` to `to`.
    pub(super) fn add(&self, from: &Domain, to: &Domain, output: Output) {
        let mut offers = self.lock();
        let outputs = offers.entry((from.clone(), to.clone())).or_default();
        outputs.retain(Output::is_open);
        outputs.push(output);
    }

    /// Takes a stream that is open; the one that was established last, since the peer used it last.
    pub(super) fn take(&self, from: &Domain, to: &Domain) -> Option<Output> {
        let mut offers = self.lock();
        let key = (from.clone(), to.clone());
        let outputs = offers.get_mut(&key)?;
        outputs.retain(Output::is_open);
        let output = outputs.pop();
        if outputs.is_empty() {
            offers.remove(&key);
        }
        output
    }

    /// Throws away what has ended.
    pub(super) fn sweep(&self, from: &Domain, to: &Domain) {
        let mut offers = self.lock();
        let key = (from.clone(), to.clone());
        if let Some(outputs) = offers.get_mut(&key) {
            outputs.retain(Output::is_open);
            if outputs.is_empty() {
                offers.remove(&key);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(Domain, Domain), Vec<Output>>> {
        // The lock's sections only move whole entries.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
