//! Whether a certificate is the one that a TLSA record means.

use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256, Sha512};

use crate::connect::{Association, Matching, Selector};
use crate::tls::PeerChain;

/// An honest chain is shorter; beyond it, comparing would be the peer's to make long.
const MOST_CERTIFICATES: usize = 10;

/// Whether the selected part of `certificate` is what the record holds.
pub(super) fn matches(association: &Association, certificate: &CertificateDer<'_>) -> bool {
    let selected = match association.selector {
        Selector::Certificate => certificate.as_ref(),
        Selector::PublicKey => match x509_parser::parse_x509_certificate(certificate) {
            Ok((_, parsed)) => parsed.tbs_certificate.subject_pki.raw,
            Err(_) => return false,
        },
    };
    let data = association.data.as_ref();
    match association.matching {
        Matching::Exact => selected == data,
        Matching::Sha256 => Sha256::digest(selected).as_slice() == data,
        Matching::Sha512 => Sha512::digest(selected).as_slice() == data,
    }
}

/// The authority that the record means: one that the peer sent, or the one that the record itself
/// holds as a whole (RFC 7671 §5.2.2).
pub(super) fn authority(
    association: &Association,
    chain: &PeerChain,
) -> Option<CertificateDer<'static>> {
    let sent = (chain.certificates().iter())
        .take(MOST_CERTIFICATES)
        .skip(1)
        .find(|certificate| matches(association, certificate));
    let whole = || match (association.selector, association.matching) {
        (Selector::Certificate, Matching::Exact) => {
            Some(CertificateDer::from(association.data.to_vec()))
        }
        _ => None,
    };
    sent.cloned().or_else(whole)
}
