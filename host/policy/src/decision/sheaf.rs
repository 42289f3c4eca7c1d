//! Records that an observer hears together.
//!
//! In: records, one by one, each with the stream that it is about. Out: the same, by their places. All of
//! them stand in one text, so that a record costs no memory of its own.

use std::sync::Arc;

use portcullis_xmpp::stream::Peer;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Sheaf {
    text: String,
    /// Where each of them ends in the text.
    ends: Vec<usize>,
    /// Where those of a stream begin that stand one behind the other.
    peers: Vec<(usize, Arc<Peer>)>,
}

impl Sheaf {
    /// Adds the record that `write` appends to the text.
    pub(super) fn add(&mut self, peer: &Arc<Peer>, write: impl FnOnce(&mut String)) {
        write(&mut self.text);
        if !(self.peers.last()).is_some_and(|(_, last)| Arc::ptr_eq(last, peer)) {
            self.peers.push((self.ends.len(), Arc::clone(peer)));
        }
        self.ends.push(self.text.len());
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes of all of them.
    pub(crate) fn bytes(&self) -> usize {
        self.text.len()
    }

    /// The record at this place.
    pub(crate) fn record(&self, at: usize) -> Option<&str> {
        let begin = match at.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        self.text.get(begin..*self.ends.get(at)?)
    }

    /// Whom it is about.
    pub(crate) fn peer(&self, at: usize) -> Option<&Arc<Peer>> {
        self.ends.get(at)?;
        let behind = self.peers.partition_point(|(begin, _)| *begin <= at);
        let (_, peer) = self.peers.get(behind.checked_sub(1)?)?;
        Some(peer)
    }

    /// Forgets all of them; their room is kept.
    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
        self.peers.clear();
    }
}
