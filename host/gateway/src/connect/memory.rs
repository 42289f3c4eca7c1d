//! What the last attempt to reach a domain brought (DNS-06, V16, V20).
//!
//! However many streams want to one domain, one of them tries to connect at a time; when it fails,
//! the others are told so, and for a while nobody tries. So neither a crowd of stanzas nor of
//! dialback requests makes the gateway knock at a door that was just found closed. Bounded: the
//! domain that was wanted longest ago is forgotten first.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lru::LruCache;
use portcullis_xmpp::jid::Domain;
use tokio::sync::OwnedMutexGuard;

use super::backoff::Backoff;
use super::error::ConnectError;

/// More partners than are ever down at once.
const MOST_DOMAINS: NonZeroUsize = NonZeroUsize::new(4096).unwrap();
/// A partner that is back is noticed within half a minute.
const LONGEST_REST: Duration = Duration::from_secs(30);

/// See the module.
pub(super) struct Memory(Mutex<LruCache<Domain, Arc<Known>>>);

#[derive(Debug)]
struct Known {
    turn: Arc<tokio::sync::Mutex<()>>,
    last: Mutex<Last>,
}

#[derive(Debug)]
struct Last {
    backoff: Backoff,
    failure: Option<ConnectError>,
}

/// The right to try now. Until it is dropped or its outcome is told, all others wait.
#[derive(Debug)]
pub(super) struct Turn {
    known: Arc<Known>,
    _turn: OwnedMutexGuard<()>,
}

impl Memory {
    pub(super) fn new() -> Self {
        Self(Mutex::new(LruCache::new(MOST_DOMAINS)))
    }

    /// Waits until nobody else tries; the caller bounds how long. The error is that of the last
    /// attempt, as long as none is due.
    pub(super) async fn turn(&self, domain: &Domain) -> Result<Turn, ConnectError> {
        let known = self.of(domain);
        known.rests()?;
        let turn = Arc::clone(&known.turn).lock_owned().await;
        // It may have failed while we waited.
        known.rests()?;
        Ok(Turn { known, _turn: turn })
    }

    /// Everything may be different: the operator changed something.
    pub(super) fn forget(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    fn of(&self, domain: &Domain) -> Arc<Known> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.get_or_insert(domain.clone(), || {
            Arc::new(Known {
                turn: Arc::default(),
                last: Mutex::new(Last {
                    backoff: Backoff::new(LONGEST_REST),
                    failure: None,
                }),
            })
        });
        Arc::clone(known)
    }
}

impl Known {
    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rests(&self) -> Result<(), ConnectError> {
        let last = self.last();
        match (last.backoff.remaining(Instant::now()), &last.failure) {
            (Some(left), Some(failure)) => Err(ConnectError::Resting {
                failure: Box::new(failure.clone()),
                left,
            }),
            _ => Ok(()),
        }
    }
}

impl Turn {
    /// Somebody answers there.
    pub(super) fn succeeded(self) {
        let mut last = self.known.last();
        last.backoff.succeeded();
        last.failure = None;
    }

    /// Nobody does.
    pub(super) fn failed(self, failure: &ConnectError) {
        // Our own mistake says nothing about the partner.
        if matches!(failure, ConnectError::Source { .. }) {
            return;
        }
        let mut last = self.known.last();
        last.backoff.failed(Instant::now());
        last.failure = Some(failure.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain() -> Domain {
        Domain::parse("alpha.test").unwrap()
    }

    fn down() -> ConnectError {
        ConnectError::Unreachable("no server of alpha.test answers".to_owned())
    }

    #[tokio::test]
    async fn dns_06_v16_who_waits_for_a_failing_attempt_fails_with_it_and_nobody_tries_for_a_while()
    {
        let memory = Arc::new(Memory::new());
        let turn = memory.turn(&domain()).await.unwrap();
        let others: Vec<_> = (0..8)
            .map(|_| {
                let memory = Arc::clone(&memory);
                tokio::spawn(async move { memory.turn(&domain()).await.err() })
            })
            .collect();
        turn.failed(&down());
        for other in others {
            let error = other.await.unwrap().expect("nobody may try");
            assert!(
                matches!(&error, ConnectError::Resting { failure, .. } if **failure == down()),
                "{error:?}"
            );
            assert_eq!(
                error.stanza_error().condition,
                down().stanza_error().condition
            );
        }
        memory.forget();
        memory.turn(&domain()).await.unwrap().succeeded();
        memory.turn(&domain()).await.unwrap();
    }

    #[tokio::test]
    async fn dns_06_one_attempt_at_a_time() {
        let memory = Memory::new();
        let domain = domain();
        let first = memory.turn(&domain).await.unwrap();
        let second = memory.turn(&domain);
        tokio::pin!(second);
        tokio::select! {
            biased;
            _ = &mut second => panic!("two at once"),
            () = std::future::ready(()) => {}
        }
        first.succeeded();
        second.await.unwrap();
    }
}
