//! The streams that peers have opened and may take up again.
//!
//! In: a [`Grant`] for each stream that was promised to a peer; what remains of it when its connection
//! is lost. Out: the [`Remains`], once, to whoever names the id and is the same pair of domains, proven
//! by the same method. To everybody else there is no such stream. A stream whose connection still
//! seems to live is handed over by its session, which ends.
//!
//! Bounded: the streams that wait, in all and per partner, the oldest going first; the bytes of what waits
//! unacknowledged, ours and theirs together. The table holds no stanza itself: what goes lets the pair
//! of domains that waits for it know by dropping its end.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::stream::{Method, Peer};
use subtle::ConstantTimeEq;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::session::handled::Handled;
use crate::session::ids::stream_id;
use crate::session::line::Sent;
use crate::session::output::Output;
use crate::tls::Side;

/// Streams that wait for their peers, in all. Each costs about a kilobyte, beside its stanzas.
const STREAMS: usize = 1024;
/// Streams that wait for one partner: its connections, when all of them break at once.
const PER_PARTNER: usize = 20;
/// What may wait unacknowledged for streams that are lost, in all.
const BYTES: usize = 64 * 1024 * 1024;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Table {
    inner: Arc<Mutex<Inner>>,
    held: Arc<AtomicUsize>,
}

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    /// How many wait.
    waiting: usize,
    entries: HashMap<Key, Vec<Entry>>,
}

/// Whose stream it is: nobody else's ids are even looked at.
type Key = (Side, Domain, Domain);

#[derive(Debug)]
struct Entry {
    number: u64,
    id: String,
    method: Option<Method>,
    bidi: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Its connection lives, as far as we know; its session can be asked for it.
    Live(mpsc::Sender<Request>),
    /// For one partner, since the entry of a number.
    Waiting {
        partner: Domain,
        since: u64,
        remains: Box<Remains>,
        /// Dropped with the entry.
        _taken: oneshot::Sender<()>,
    },
}

/// Somebody takes the stream up.
pub(in crate::session) type Request = oneshot::Sender<Box<Remains>>;

/// What is left of a stream.
#[derive(Debug)]
pub(in crate::session) struct Remains {
    /// What came on it.
    pub(in crate::session) handled: Handled,
    /// What the peer has not acknowledged.
    pub(in crate::session) sent: Sent,
    /// To the pair of domains that has it, and waits for another stream.
    pub(in crate::session) heir: oneshot::Sender<Output>,
    /// How long it is kept, each time.
    pub(in crate::session) lasts: Duration,
}

/// The promise that a stream can be taken up. When it is dropped, it cannot any more.
#[derive(Debug)]
pub(in crate::session) struct Grant {
    inner: Arc<Mutex<Inner>>,
    key: Key,
    number: u64,
    id: String,
    requests: mpsc::Receiver<Request>,
}

/// A stream that waits for its peer.
#[derive(Debug)]
pub(in crate::session) struct Detached {
    number: u64,
    /// Ends when the stream is not in the table any more; nothing is ever sent.
    pub(super) taken: oneshot::Receiver<()>,
    pub(super) waiting: Waiting,
}

/// For whom a stream waits.
#[derive(Debug)]
pub(in crate::session) struct Waiting {
    pub(in crate::session) side: Side,
    /// Who opened it.
    pub(in crate::session) peer: Arc<Peer>,
    /// Until when.
    pub(in crate::session) until: Instant,
    /// None of them may refuse the peer.
    pub(in crate::session) generations: watch::Receiver<u64>,
}

/// Where somebody's stream is.
pub(in crate::session) enum Found {
    Remains(Box<Remains>),
    /// Its session was asked to hand it over.
    Asked(oneshot::Receiver<Box<Remains>>),
}

/// The right to let bytes wait.
#[derive(Debug)]
#[must_use]
pub(crate) struct Held {
    of: Arc<AtomicUsize>,
    bytes: usize,
}

impl Table {
    /// Promises a peer that it can take up its stream. Streams that it has lost before and does not take
    /// up are forgotten: it begins anew.
    pub(in crate::session) fn promise(&self, side: Side, peer: &Peer) -> Grant {
        let mut inner = lock(&self.inner);
        inner.retain(&key(side, peer), |entry| {
            matches!(entry.state, State::Live(_)) || entry.method != peer.method
        });
        inner.add(&self.inner, side, peer, stream_id())
    }

    /// Promises it once more, for a stream that was taken up: it keeps its id.
    pub(in crate::session) fn promise_again(&self, side: Side, peer: &Peer, id: &str) -> Grant {
        lock(&self.inner).add(&self.inner, side, peer, id.to_owned())
    }

    /// The stream of this peer that has this id, if there is one.
    pub(in crate::session) fn find(&self, side: Side, peer: &Peer, id: &str) -> Option<Found> {
        let mut inner = lock(&self.inner);
        let key = key(side, peer);
        let entries = inner.entries.get_mut(&key)?;
        let mut found = None;
        for (at, entry) in entries.iter().enumerate() {
            // All are compared, and each to its end.
            let named = bool::from(entry.id.as_bytes().ct_eq(id.as_bytes()));
            if named && entry.method == peer.method && entry.bidi == peer.bidi {
                found = Some(at);
            }
        }
        let at = found?;
        if let State::Live(session) = &entries.get(at)?.state {
            let (request, answer) = oneshot::channel();
            // One at a time.
            session.try_send(request).ok()?;
            return Some(Found::Asked(answer));
        }
        let entry = entries.swap_remove(at);
        inner.tidy(&key);
        match entry.state {
            State::Waiting { remains, .. } => {
                inner.waiting -= 1;
                Some(Found::Remains(remains))
            }
            State::Live(_) => None,
        }
    }

    /// A stream waits no longer.
    pub(super) fn forget(&self, detached: &Detached) {
        let key = key(detached.waiting.side, &detached.waiting.peer);
        lock(&self.inner).retain(&key, |entry| entry.number != detached.number);
    }

    /// Lets so many bytes wait for a stream that is lost, if there is room.
    pub(crate) fn hold(&self, bytes: usize) -> Option<Held> {
        self.held
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |held| {
                held.checked_add(bytes).filter(|held| *held <= BYTES)
            })
            .ok()?;
        Some(Held {
            of: Arc::clone(&self.held),
            bytes,
        })
    }
}

impl Inner {
    fn add(&mut self, shared: &Arc<Mutex<Self>>, side: Side, peer: &Peer, id: String) -> Grant {
        let number = self.next;
        self.next += 1;
        let (session, requests) = mpsc::channel(1);
        let key = key(side, peer);
        self.entries.entry(key.clone()).or_default().push(Entry {
            number,
            id: id.clone(),
            method: peer.method,
            bidi: peer.bidi,
            state: State::Live(session),
        });
        Grant {
            inner: Arc::clone(shared),
            key,
            number,
            id,
            requests,
        }
    }

    /// Makes room for one more stream of this partner.
    fn make_room(&mut self, partner: &Domain) {
        let mut of_partner = 0;
        let (mut oldest, mut oldest_of_partner) = (None, None);
        let older = |known: &Option<(u64, Key, u64)>, since: u64| {
            known.as_ref().is_none_or(|(first, ..)| since < *first)
        };
        for (key, entries) in &self.entries {
            for entry in entries {
                let State::Waiting {
                    partner: of, since, ..
                } = &entry.state
                else {
                    continue;
                };
                if older(&oldest, *since) {
                    oldest = Some((*since, key.clone(), entry.number));
                }
                if of == partner {
                    of_partner += 1;
                    if older(&oldest_of_partner, *since) {
                        oldest_of_partner = Some((*since, key.clone(), entry.number));
                    }
                }
            }
        }
        let goes = if of_partner >= PER_PARTNER {
            oldest_of_partner
        } else {
            oldest.filter(|_| self.waiting >= STREAMS)
        };
        if let Some((_, key, number)) = goes {
            self.retain(&key, |entry| entry.number != number);
        }
    }

    fn retain(&mut self, key: &Key, keep: impl Fn(&Entry) -> bool) {
        let Some(entries) = self.entries.get_mut(key) else {
            return;
        };
        let mut gone = 0;
        entries.retain(|entry| {
            let keep = keep(entry);
            gone += usize::from(!keep && matches!(entry.state, State::Waiting { .. }));
            keep
        });
        self.waiting -= gone;
        self.tidy(key);
    }

    fn tidy(&mut self, key: &Key) {
        if self.entries.get(key).is_some_and(Vec::is_empty) {
            self.entries.remove(key);
        }
    }
}

impl Grant {
    /// How the peer is to call the stream.
    pub(in crate::session) fn id(&self) -> &str {
        &self.id
    }

    /// Waits until somebody takes the stream up elsewhere. May be cancelled.
    pub(in crate::session) async fn requested(&mut self) -> Request {
        loop {
            match self.requests.recv().await {
                // Who has given up gets nothing.
                Some(request) if request.is_closed() => {}
                Some(request) => return request,
                // The table has a sender as long as there is a grant.
                None => std::future::pending().await,
            }
        }
    }

    /// The connection is lost: the stream waits for its peer, and counts for this partner. None if
    /// somebody has taken it up already.
    pub(in crate::session) fn detach(
        mut self,
        waiting: Waiting,
        partner: Domain,
        remains: Remains,
    ) -> Option<Detached> {
        let mut inner = lock(&self.inner);
        if let Ok(request) = self.requests.try_recv() {
            // If nobody waits for it any more, the stream is lost with its connection.
            let _ = request.send(Box::new(remains));
            return None;
        }
        inner.make_room(&partner);
        let since = inner.next;
        inner.next += 1;
        let (sender, taken) = oneshot::channel();
        let entries = inner.entries.get_mut(&self.key)?;
        let entry = entries
            .iter_mut()
            .find(|entry| entry.number == self.number)?;
        entry.state = State::Waiting {
            partner,
            since,
            remains: Box::new(remains),
            _taken: sender,
        };
        inner.waiting += 1;
        Some(Detached {
            number: self.number,
            taken,
            waiting,
        })
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        // What waits has left its grant behind.
        lock(&self.inner).retain(&self.key, |entry| {
            entry.number != self.number || matches!(entry.state, State::Waiting { .. })
        });
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.of.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

fn key(side: Side, peer: &Peer) -> Key {
    (side, peer.remote.clone(), peer.local.clone())
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    // The lock's sections call nothing that can fail half way.
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
