//! What may exist only once: domains, names, listening addresses.

use std::{collections::BTreeMap, fmt::Display, net::SocketAddr, ops::Range};

use super::problem::{Finding, Place, Sink};

/// Who holds what, and where the file says so.
pub(super) struct Claims<K> {
    /// What is claimed, as messages call it.
    what: &'static str,
    held: BTreeMap<K, (Place, String)>,
}

impl<K: Ord + Clone + Display> Claims<K> {
    pub(super) fn new(what: &'static str) -> Self {
        Self {
            what,
            held: BTreeMap::new(),
        }
    }

    /// Takes `key` for `holder`; reports both places if somebody holds it already.
    pub(super) fn claim(&mut self, sink: &Sink<'_>, key: &K, span: Range<usize>, holder: &str) {
        match self.held.get(key) {
            None => {
                let place = sink.place(span);
                self.held.insert(key.clone(), (place, holder.to_owned()));
            }
            Some((first, first_holder)) => {
                let message = if first_holder == holder {
                    format!("the {} `{key}` stands twice in {holder}", self.what)
                } else {
                    format!(
                        "the {} `{key}` of {holder} is already in {first_holder}",
                        self.what
                    )
                };
                let finding = Finding::error(span, message);
                sink.report(finding.also_at(first.clone(), "it stands here"));
            }
        }
    }

    pub(super) fn contains(&self, key: &K) -> bool {
        self.held.contains_key(key)
    }

    pub(super) fn place(&self, key: &K) -> Option<&Place> {
        self.held.get(key).map(|(place, _)| place)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &K> {
        self.held.keys()
    }
}

/// Every address that the gateway will listen on.
#[derive(Default)]
pub(super) struct Listeners(Vec<(SocketAddr, Range<usize>, &'static str)>);

impl Listeners {
    /// Adds an address; reports both places if another listener takes it already.
    pub(super) fn add(
        &mut self,
        sink: &Sink<'_>,
        address: SocketAddr,
        span: Range<usize>,
        holder: &'static str,
    ) {
        let taken = self.0.iter().find(|(other, ..)| overlap(address, *other));
        if let Some((other, first, first_holder)) = taken {
            let message =
                format!("`listen` in {holder}: {address} overlaps {other} in {first_holder}");
            let finding = Finding::error(span.clone(), message)
                .also(first.clone(), "the other listener")
                .help("give each listener an address or a port of its own");
            sink.report(finding);
        }
        self.0.push((address, span, holder));
    }
}

/// Whether two listeners would take the same connections. Linux lets `[::]` take IPv4 as well.
fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let whole = |address: SocketAddr| address.ip().is_unspecified();
    let covers =
        |wide: SocketAddr, narrow: SocketAddr| whole(wide) && (wide.is_ipv6() || narrow.is_ipv4());
    a.port() != 0 && a.port() == b.port() && (a.ip() == b.ip() || covers(a, b) || covers(b, a))
}
