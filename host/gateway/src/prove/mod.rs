//! Who is it? How a certificate is found good for a domain, and whether it still is.
//!
//! In: the chain of a TLS session, the domain that it is to prove, where we connected to. Out: the
//! [`Proof`], or a reason in words. A partner whose record has pins is proven by those alone; any
//! other by its own authorities or the gateway's, then by what its record allows beyond that.
//! [`Proofs`] are those that an established stream lives on; [`KeyMemory`] remembers keys between
//! streams.
//!
//! What is not here: dialback, which proves a domain without any certificate.

mod dane;
mod keys;
mod posh;
mod proofs;

use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::stream::Proof;

pub(crate) use self::keys::KeyMemory;
pub(crate) use self::posh::Posh;
pub(crate) use self::proofs::{Evidence, Judged, Proofs};

use self::dane::Dane;
use crate::app::Gateway;
use crate::config::Partner;
use crate::connect::{Candidate, Dialer, Tlsa};
use crate::tls::{PeerChain, Side, Tls, Unproven};

/// Whether the certificate of a TLS session is good for `domain`, now, and how that was found out.
///
/// `candidate` is where we connected to; none on connections that the peer made. May ask DNS and web
/// servers if the partner's record says so: the caller bounds the wait.
///
/// # Errors
/// Why not, in words for the operator and the peer.
pub(crate) async fn certificate(
    gateway: &Gateway,
    side: Side,
    chain: &PeerChain,
    domain: &Domain,
    candidate: Option<&Candidate>,
) -> Result<Proof, Unproven> {
    let directory = gateway.directory();
    let record = match side {
        Side::Federation => directory.partner(domain),
        Side::Internal => None,
    };
    let judge = Judge {
        tls: &gateway.tls,
        dialer: &gateway.dialer,
        posh: &gateway.posh,
    };
    judge
        .certificate(side, record, chain, domain, candidate)
        .await
}

/// Whether the server at `candidate` is one that signed TLSA records promise, if there are any. Asked
/// as soon as TLS stands: what they refuse, dialback must not mend.
///
/// # Errors
/// As [`certificate`].
pub(crate) async fn promised(
    gateway: &Gateway,
    side: Side,
    chain: &PeerChain,
    domain: &Domain,
    candidate: &Candidate,
) -> Result<(), Unproven> {
    match candidate.tlsa {
        Tlsa::Records(_) => {
            let proven = certificate(gateway, side, chain, domain, Some(candidate));
            proven.await.map(drop)
        }
        Tlsa::NotAsked | Tlsa::Absent(_) => Ok(()),
    }
}

/// Whom to ask about a certificate.
#[derive(Clone, Copy)]
pub(crate) struct Judge<'j> {
    pub(crate) tls: &'j Tls,
    pub(crate) dialer: &'j Dialer,
    pub(crate) posh: &'j Posh,
}

impl Judge<'_> {
    /// As the function [`certificate`], for a `record` that the caller has found.
    ///
    /// # Errors
    /// Why not, in words for the operator and the peer.
    pub(crate) async fn certificate(
        self,
        side: Side,
        record: Option<&Partner>,
        chain: &PeerChain,
        domain: &Domain,
        candidate: Option<&Candidate>,
    ) -> Result<Proof, Unproven> {
        let pkix = |name: &Domain| self.tls.judge(side, record, chain, name);
        // Pins are the operator's own word: nothing else is asked.
        let Some(record) = record.filter(|record| record.pins.is_empty()) else {
            return pkix(domain);
        };
        if record.dane {
            let pkix = |name: &Domain| pkix(name).map(drop);
            // Boxed: few records ask for it, and every judgement would carry room for it.
            let judging = Box::pin(dane::judge(self.dialer, chain, domain, candidate, pkix));
            // A refusal is the last word: whom secure DNS names, no other authority replaces (V22).
            match judging.await? {
                Dane::Proven => return Ok(Proof::Dane),
                Dane::Silent(why) => {
                    tracing::debug!(partner = %domain, why = ?why, "DANE has nothing to say");
                }
            }
        }
        let unproven = match pkix(domain) {
            Err(unproven) if record.posh => unproven,
            judged => return judged,
        };
        let client = || self.tls.web_client();
        match Box::pin(self.posh.judge(client, chain, domain)).await {
            Ok(()) => Ok(Proof::Posh),
            Err(other) => Err(unproven.and(&other)),
        }
    }
}

#[cfg(test)]
mod tests;
