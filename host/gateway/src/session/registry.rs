//! Which streams exist now.
//!
//! In: a [`Peer`] when its stream is established. Out: a guard that takes it off the list when the
//! stream's task ends, however it ends; the list for `status`; the count per partner for its limit;
//! when the certificates of those who are connected end.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::stream::{Method, Peer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::admin::protocol;
use crate::observe::{Metrics, StreamGauge};
use crate::tls::{Fingerprint, Side};

#[derive(Debug)]
struct Entry {
    side: Side,
    peer: Arc<Peer>,
    since: OffsetDateTime,
    /// When the certificate that the peer showed ends.
    not_after: Option<OffsetDateTime>,
}

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    entries: HashMap<u64, Entry>,
    /// Streams with each partner, both ways together.
    partners: HashMap<Domain, usize>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Registry {
    metrics: Arc<Metrics>,
    inner: Arc<Mutex<Inner>>,
}

/// How many connections there may be with one partner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Quota {
    /// The main domain of the partner's record.
    pub(crate) partner: Domain,
    /// Both ways together.
    pub(crate) limit: usize,
}

/// What a pair of domains adds to the counts: several may share one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Adds {
    /// It is the first of its stream.
    Stream(Quota),
    /// It is the first of another partner on a stream that stands.
    Partner(Quota),
    /// The stream counts for its partner already.
    Pair,
}

/// The place on the list of a pair of domains on an established stream.
#[derive(Debug)]
#[must_use]
pub(crate) struct Registered {
    inner: Arc<Mutex<Inner>>,
    key: u64,
    /// The partner that it counts for.
    counted: Option<Domain>,
    _gauge: Option<StreamGauge>,
}

impl Registry {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            metrics,
            inner: Arc::default(),
        }
    }

    /// Puts a pair on the list; none if its partner has as many connections as it may. Streams with
    /// the organisation's own servers have no limit.
    pub(crate) fn register(
        &self,
        side: Side,
        peer: &Arc<Peer>,
        not_after: Option<OffsetDateTime>,
        adds: Adds,
    ) -> Option<Registered> {
        let mut inner = lock(&self.inner);
        let opens = matches!(adds, Adds::Stream(_));
        let counted = match (side, adds) {
            (Side::Federation, Adds::Stream(quota) | Adds::Partner(quota)) => {
                let count = inner.partners.entry(quota.partner.clone()).or_default();
                if *count >= quota.limit {
                    return None;
                }
                *count += 1;
                Some(quota.partner)
            }
            (Side::Federation, Adds::Pair) | (Side::Internal, _) => None,
        };
        let key = inner.next;
        inner.next += 1;
        inner.entries.insert(
            key,
            Entry {
                side,
                peer: Arc::clone(peer),
                since: OffsetDateTime::now_utc(),
                not_after,
            },
        );
        drop(inner);
        let gauge = opens.then(|| self.metrics.stream(peer.direction, side));
        Some(Registered {
            inner: Arc::clone(&self.inner),
            key,
            counted,
            _gauge: gauge,
        })
    }

    /// Whether a partner has fewer streams than it may.
    pub(crate) fn has_room(&self, quota: &Quota) -> bool {
        lock(&self.inner)
            .partners
            .get(&quota.partner)
            .is_none_or(|count| *count < quota.limit)
    }

    /// Whether there is a stream with this partner.
    pub(crate) fn has_partner(&self, partner: &Domain) -> bool {
        lock(&self.inner).partners.contains_key(partner)
    }

    /// How many streams there are.
    pub(crate) fn count(&self) -> usize {
        lock(&self.inner).entries.len()
    }

    /// When the certificate of each connected peer ends, the soonest of its streams.
    pub(crate) fn expiries(&self) -> BTreeMap<Domain, OffsetDateTime> {
        let mut soonest = BTreeMap::new();
        for entry in lock(&self.inner).entries.values() {
            let Some(not_after) = entry.not_after else {
                continue;
            };
            soonest
                .entry(entry.peer.remote.clone())
                .and_modify(|known: &mut OffsetDateTime| *known = not_after.min(*known))
                .or_insert(not_after);
        }
        soonest
    }

    /// All streams, the oldest first.
    pub(crate) fn list(&self) -> Vec<protocol::Stream> {
        let inner = lock(&self.inner);
        let mut keys: Vec<_> = inner.entries.iter().collect();
        keys.sort_by_key(|(key, _)| **key);
        keys.into_iter()
            .map(|(_, entry)| protocol::Stream {
                id: entry.peer.stream_id.to_string(),
                side: entry.side.as_str().to_owned(),
                direction: entry.peer.direction.as_str().to_owned(),
                remote: entry.peer.remote.to_string(),
                local: entry.peer.local.to_string(),
                address: entry.peer.address.map(|address| address.to_string()),
                tls: entry
                    .peer
                    .tls
                    .as_ref()
                    .map(|tls| format!("{} {}", tls.version, tls.cipher)),
                method: entry.peer.method.map(method),
                certificate: (entry.peer.tls.as_ref())
                    .and_then(|tls| tls.certificate.as_deref())
                    .map(|der| Fingerprint::of_certificate(der).to_string()),
                since: entry.since.format(&Rfc3339).unwrap_or_default(),
            })
            .collect()
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut inner = lock(&self.inner);
        inner.entries.remove(&self.key);
        let Some(domain) = &self.counted else { return };
        if let Some(count) = inner.partners.get_mut(domain) {
            *count -= 1;
            if *count == 0 {
                inner.partners.remove(domain);
            }
        }
    }
}

/// As in `external (pkix)`.
fn method(method: Method) -> String {
    match method.proof() {
        Some(proof) => format!("{} ({})", method.as_str(), proof.as_str()),
        None => method.as_str().to_owned(),
    }
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    // The lock's sections only move whole entries.
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}
