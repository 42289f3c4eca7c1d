//! Which stanzas the peer has to acknowledge, and whose they are.
//!
//! In: stanzas as they are written, and the peer's counts. Out: for each pair of domains, how many of its
//! stanzas are acknowledged. [`Sent`] belongs to a stream and moves with it from one connection to the
//! next. What can fail is the peer's fault: it acknowledges more than was sent.

use std::sync::Arc;

use portcullis_xmpp::management::{TooHigh, Unacknowledged};
use tokio::sync::watch;

/// How many stanzas of one pair of domains the peer has acknowledged on this stream.
#[derive(Debug, Default)]
pub(crate) struct Acknowledged(watch::Sender<u64>);

impl Acknowledged {
    /// So many, and news of more.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}

/// What was sent on a stream and is not acknowledged: for each stanza, whose it is.
#[derive(Debug, Default)]
pub(crate) struct Sent(Unacknowledged<Arc<Acknowledged>>);

impl Sent {
    pub(super) fn push(&mut self, stanzas: usize, of: &Arc<Acknowledged>) {
        (0..stanzas).for_each(|_| self.0.push(Arc::clone(of)));
    }

    /// The peer has settled so many in all.
    ///
    /// # Errors
    /// So many were not sent; nothing counts as acknowledged.
    pub(crate) fn acknowledge(&mut self, handled: u32) -> Result<(), TooHigh> {
        tell(self.0.acknowledge(handled)?);
        Ok(())
    }

    /// Whether everything is acknowledged.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Nobody will say more about what was sent.
    pub(super) fn release(self) {
        tell(self.0.into_unsettled());
    }
}

fn tell(settled: impl IntoIterator<Item = Arc<Acknowledged>>) {
    for of in settled {
        of.0.send_modify(|count| *count += 1);
    }
}
