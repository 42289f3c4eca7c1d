//! POSH: a certificate is good because the domain's web server says so (RFC 7711; RFC 7712 §5.2
//! for XMPP).
//!
//! In: a chain and the domain that it is to prove. Out: a proof, or why there is none; then other
//! proofs are as good as ever. What can fail: everything about the web server, and a document that
//! may not be used. Bounded: the size of documents, one delegation to another URL, the time for all
//! of it, and how many domains are remembered. Documents are remembered for as long as they say, a
//! failure for a minute, and each is fetched by one task at a time: who claims to be a partner makes
//! us ask once.

mod document;
mod fetch;

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lru::LruCache;
use portcullis_xmpp::jid::Domain;
use rustls::ClientConfig;
use tokio::time::timeout;

use crate::connect::Dialer;
use crate::tls::{PeerChain, Unproven};
use document::{Document, Fingerprint, Place};

/// For both documents together. An honest server needs a second.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a failure is taken as read.
const FAILED: Duration = Duration::from_secs(60);
/// Only partners whose record wants POSH get here.
const MOST_DOMAINS: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

/// What the web servers of partners said. Shared by reference.
pub(crate) struct Posh {
    dialer: Dialer,
    /// Where web servers are, for tests; none: where URLs say.
    port: Option<u16>,
    known: Mutex<LruCache<Domain, Arc<Slot>>>,
}

/// One domain; whoever fetches holds the lock.
#[derive(Default)]
struct Slot(tokio::sync::Mutex<Option<Known>>);

struct Known {
    until: Instant,
    outcome: Result<Arc<[Fingerprint]>, String>,
}

impl Posh {
    /// Asks over connections of `dialer`.
    pub(crate) fn new(dialer: Dialer) -> Self {
        Self {
            dialer,
            port: None,
            known: Mutex::new(LruCache::new(MOST_DOMAINS)),
        }
    }

    /// Whether the domain's web server names the certificate at the start of `chain`. `client` is
    /// asked for, if a web server has to be, and knows whom to believe about it.
    ///
    /// # Errors
    /// Why not.
    pub(crate) async fn judge(
        &self,
        client: impl FnOnce() -> Result<Arc<ClientConfig>, rustls::Error> + Send,
        chain: &PeerChain,
        domain: &Domain,
    ) -> Result<(), Unproven> {
        let Some(end_entity) = chain.end_entity() else {
            return Err(Unproven::new("no certificate was presented"));
        };
        let fingerprints = self
            .fingerprints(client, domain)
            .await
            .map_err(|reason| Unproven::new(format!("POSH of {domain} is of no use: {reason}")))?;
        if fingerprints.iter().any(|one| one.matches(end_entity)) {
            Ok(())
        } else {
            Err(Unproven::new(format!(
                "the certificate is none of those that {domain} names by POSH ({})",
                fingerprints.len()
            )))
        }
    }

    /// How many certificates the domain's web server names: for `check partner`.
    ///
    /// # Errors
    /// Why none.
    pub(crate) async fn count(
        &self,
        client: impl FnOnce() -> Result<Arc<ClientConfig>, rustls::Error> + Send,
        domain: &Domain,
    ) -> Result<usize, String> {
        let fingerprints = self.fingerprints(client, domain).await?;
        Ok(fingerprints.len())
    }

    /// Forgets all documents: the operator changed something, perhaps whom to believe.
    pub(crate) fn forget(&self) {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    async fn fingerprints(
        &self,
        client: impl FnOnce() -> Result<Arc<ClientConfig>, rustls::Error> + Send,
        domain: &Domain,
    ) -> Result<Arc<[Fingerprint]>, String> {
        let slot = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(known.get_or_insert(domain.clone(), Arc::default))
        };
        let silent = || "the web server does not answer in time".to_owned();
        let mut known = timeout(PATIENCE * 2, slot.0.lock())
            .await
            .map_err(|_| silent())?;
        if let Some(known) = known.as_ref().filter(|known| known.until > Instant::now()) {
            return known.outcome.clone();
        }
        let outcome = match client() {
            Ok(client) => timeout(PATIENCE, self.ask(&client, domain))
                .await
                .unwrap_or_else(|_| Err(silent())),
            Err(error) => Err(error.to_string()),
        };
        let (outcome, lifetime) = match outcome {
            Ok((fingerprints, lifetime)) => (Ok(fingerprints.into()), lifetime),
            Err(reason) => (Err(reason), FAILED),
        };
        *known = Some(Known {
            until: Instant::now() + lifetime,
            outcome: outcome.clone(),
        });
        outcome
    }

    /// The fingerprints, and for how long they are good: as long as each document on the way.
    async fn ask(
        &self,
        client: &Arc<ClientConfig>,
        domain: &Domain,
    ) -> Result<(Vec<Fingerprint>, Duration), String> {
        let first = self.document(client, &Place::of(domain)).await?;
        let (place, lifetime) = match first {
            Document::Fingerprints(all, lifetime) => return Ok((all, lifetime)),
            Document::Elsewhere(place, lifetime) => (place, lifetime),
        };
        match self.document(client, &place).await? {
            Document::Fingerprints(all, other) => Ok((all, lifetime.min(other))),
            Document::Elsewhere(..) => Err("its document delegates twice".to_owned()),
        }
    }

    async fn document(
        &self,
        client: &Arc<ClientConfig>,
        place: &Place,
    ) -> Result<Document, String> {
        let bytes = fetch::fetch(&self.dialer, client, place, self.port).await?;
        Document::parse(&bytes)
    }
}

#[cfg(test)]
pub(super) mod tests;
