//! Who is it? How a certificate is found good for a domain, and whether it still is.
//!
//! In: the chain of a TLS session, the domain that it is to prove, where we connected to. Out: the
//! [`Proof`], or a reason in words. A partner whose record has pins is proven by those alone; any
//! other by its own authorities or the gateway's, then by what its record allows beyond that.
//! [`Proofs`] are those that an established stream lives on; [`KeyMemory`] remembers keys between
//! streams.
//!
//! What is not here: dialback, which proves a domain without any certificate.

mod keys;
mod proofs;

use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::stream::Proof;

pub(crate) use self::keys::KeyMemory;
pub(crate) use self::proofs::Proofs;

use crate::app::Gateway;
use crate::connect::Candidate;
use crate::tls::{PeerChain, Side, Unproven};

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
    _candidate: Option<&Candidate>,
) -> Result<Proof, Unproven> {
    let record = match side {
        Side::Federation => gateway.partner(domain),
        Side::Internal => None,
    };
    gateway.tls.judge(side, record.as_ref(), chain, domain)
}
