//! Whom we believe, and whom a peer's chain proves to us.
//!
//! In: trust anchors and revocation lists, each replaced as a whole; a chain, a domain, the record of
//! the partner whose domain it is. Out: how the chain proves the domain, or why not, and how long
//! that answer can stand by itself.

use std::sync::Arc;

use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::stream::Proof;
use time::OffsetDateTime;

use crate::config::Partner;

use super::chain::named;
use super::known::{Beliefs, Measure};
use super::{PeerChain, Problem, Revocations, Settings, Side, Tls, Trust, Unproven};

impl Tls {
    /// Whether the peer's chain proves that it speaks for `domain`, now, and how.
    ///
    /// A partner is judged by its `record`: by the pins of it alone if it has any, otherwise by its
    /// own anchors, otherwise by those of the side. On the internal side there is no record, and it
    /// is proven that the peer is *some* server the organisation certified for that domain; whether
    /// the configuration knows that domain is the caller's to check.
    ///
    /// # Errors
    /// Why not, in words for the operator and the peer.
    pub fn judge(
        &self,
        side: Side,
        record: Option<&Partner>,
        chain: &PeerChain,
        domain: &Domain,
    ) -> Result<Proof, Unproven> {
        let beliefs = Beliefs {
            trust: self.trust.load_full(),
            revocations: self.revocations.load_full(),
        };
        let trust = &beliefs.trust;
        let anchors = match record {
            Some(record) if !record.pins.is_empty() => {
                return chain.is_pinned(&record.pins).map(|()| Proof::Pinned);
            }
            // Without an entry the record is of a generation that is coming or going just now.
            Some(record) if !record.trust.is_empty() => {
                trust.anchors_of(&record.domain).ok_or_else(|| {
                    Unproven::new("the authorities of this partner are not loaded yet")
                })?
            }
            _ => trust.anchors(side),
        };
        let measure = Measure {
            beliefs: &beliefs,
            anchors,
            side,
        };
        let names = self
            .known
            .names(measure, chain, OffsetDateTime::now_utc())?;
        named(&names, domain)?;
        Ok(Proof::Pkix)
    }

    /// When time alone may turn the judgement of this chain, at the earliest.
    #[must_use]
    pub fn next_doubt(
        &self,
        side: Side,
        chain: &PeerChain,
        now: OffsetDateTime,
    ) -> Option<OffsetDateTime> {
        let lists = self.revocations.load().of(side).next_expiry(now);
        [chain.next_expiry(now), lists].into_iter().flatten().min()
    }

    /// Reads the trust anchors that `settings` names, for a generation that is being built.
    ///
    /// # Errors
    /// Everything that is wrong; nothing has changed in any case.
    pub fn load_trust(settings: &Settings) -> Result<Trust, Vec<Problem>> {
        Trust::load(settings)
    }

    /// Judges with these anchors from now on: call it when the generation that they belong to is
    /// swapped in.
    pub fn set_trust(&self, trust: Trust) {
        self.trust.store(Arc::new(trust));
    }

    /// The anchors in use.
    #[must_use]
    pub fn trust(&self) -> Trust {
        Trust::clone(&self.trust.load())
    }

    /// Reads the revocation lists that `settings` names.
    ///
    /// # Errors
    /// Everything that is wrong; nothing has changed in any case.
    pub fn load_revocations(settings: &Settings) -> Result<Revocations, Vec<Problem>> {
        Revocations::load(settings)
    }

    /// Judges with these lists from now on. Whoever was proven before is to be judged again.
    pub fn set_revocations(&self, revocations: Revocations) {
        self.revocations.store(Arc::new(revocations));
    }

    /// The lists in use.
    #[must_use]
    pub fn revocations(&self) -> Arc<Revocations> {
        self.revocations.load_full()
    }
}
