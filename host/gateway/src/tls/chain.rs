//! The certificates a peer showed, and what they prove.
//!
//! In: the chain of a finished handshake; either the anchors and the revocation lists of one side, a
//! domain and the time, or the pins of a partner. Out: yes, or a reason that an operator understands.
//! What can fail: everything a hostile peer can send; the work is bounded before it begins. What is
//! not guaranteed: revocation that no list of the operator's tells (no OCSP).

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use portcullis_xmpp::identity::Names;
use portcullis_xmpp::jid::Domain;
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, UnixTime};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use webpki::{EndEntityCert, KeyUsage, VerifiedPath};

use crate::config::Pin;

use super::fingerprint::Fingerprint;
use super::revocation::Lists;
use super::said::Said;
use super::unproven::Unproven;

/// More certificates than any honest chain has (webpki itself follows at most six intermediates);
/// beyond it path building would be the peer's to steer.
const MOST_CERTIFICATES: usize = 10;
/// Intermediates with one and the same name: two happen, by cross-signing. Each more multiplies the
/// paths to search: nine of one name took webpki a second.
const MOST_NAMESAKES: usize = 3;
/// Honest chains are 2 to 8 KiB; post-quantum ones will be three times that.
const MOST_BYTES: usize = 48 * 1024;

/// The certificates of the other side of one TLS connection, end entity first; may be empty.
/// A clone is cheap, and what the certificates say of themselves is read once for all of them.
#[derive(Clone, Debug, Default)]
pub struct PeerChain(Arc<Shown>);

#[derive(Debug, Default)]
struct Shown {
    certificates: Vec<CertificateDer<'static>>,
    /// Empty until somebody asks.
    said: OnceLock<Arc<Said>>,
}

impl PartialEq for PeerChain {
    fn eq(&self, other: &Self) -> bool {
        self.0.certificates == other.0.certificates
    }
}

impl Eq for PeerChain {}

impl PeerChain {
    /// The chain as TLS delivered it, end entity first.
    #[must_use]
    pub fn new(certificates: &[CertificateDer<'static>]) -> Self {
        Self(Arc::new(Shown {
            certificates: certificates.to_vec(),
            said: OnceLock::new(),
        }))
    }

    /// Whether the peer showed no certificate at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.certificates.is_empty()
    }

    /// The peer's own certificate, DER.
    #[must_use]
    pub fn end_entity(&self) -> Option<&CertificateDer<'static>> {
        self.0.certificates.first()
    }

    /// All certificates, as the peer sent them: not yet bounded in number.
    pub(crate) fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.0.certificates
    }

    /// When the peer's own certificate ends, for warnings; `None` if there is none or it is no
    /// certificate.
    #[must_use]
    pub fn not_after(&self) -> Option<OffsetDateTime> {
        self.said().not_after()
    }

    /// The next moment at which one of the certificates ends: until then, time alone makes no good
    /// chain a bad one.
    #[must_use]
    pub fn next_expiry(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        self.said().next_expiry(now)
    }

    /// The digest of the peer's own certificate.
    #[must_use]
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.end_entity()
            .map(|certificate| Fingerprint::of_certificate(certificate))
    }

    /// The digest of the public key of the peer's own certificate (SubjectPublicKeyInfo): the same for
    /// as long as the key is. None if there is no certificate, or nothing that is one.
    #[must_use]
    pub fn key(&self) -> Option<Fingerprint> {
        self.said().key()
    }

    /// What the certificates say of themselves, as many as an honest chain has.
    pub(super) fn said(&self) -> &Arc<Said> {
        (self.0.said).get_or_init(|| {
            let certificates = self.0.certificates.iter().take(MOST_CERTIFICATES);
            Arc::new(Said::of(certificates))
        })
    }

    /// Takes over what was read from a chain of the same [digest](Self::digest).
    pub(super) fn reuse(&self, said: &Arc<Said>) {
        // If it was read meanwhile, that says the same.
        let _ = self.0.said.set(Arc::clone(said));
    }

    /// A digest of all certificates and their order; none of a chain that is too long to be judged.
    pub(super) fn digest(&self) -> Option<[u8; 32]> {
        self.bounded().ok()?;
        let mut digest = Sha256::new();
        for certificate in &self.0.certificates {
            // Where one ends and the next begins is part of it.
            digest.update(certificate.len().to_be_bytes());
            digest.update(certificate);
        }
        Some(digest.finalize().into())
    }

    /// Whether the peer's own certificate, or its public key, is one of `pins`. Nothing else counts:
    /// not who issued it, whom it names or how long it is valid. TLS has shown that the peer holds
    /// the key.
    pub(super) fn is_pinned(&self, pins: &[Pin]) -> Result<(), Unproven> {
        let Some(end_entity) = self.end_entity() else {
            return Err(Unproven::new("no certificate was presented"));
        };
        let certificate = Fingerprint::of_certificate(end_entity);
        let key = self.key();
        let pinned = |pin: &Pin| pin.0 == certificate.0 || Some(pin.0) == key.map(|key| key.0);
        if pins.iter().any(pinned) {
            Ok(())
        } else {
            Err(Unproven::new(format!(
                "the certificate is none of those that are pinned for this partner: it is {certificate}"
            )))
        }
    }

    /// Whether this chain leads to `authority`, whoever that is, and its end entity speaks for
    /// `domain`: for DANE, where secure DNS names the authority. No revocation list is asked.
    pub(crate) fn proves_below(
        &self,
        authority: &CertificateDer<'static>,
        domain: &Domain,
        now: UnixTime,
    ) -> Result<(), Unproven> {
        let mut anchors = RootCertStore::empty();
        anchors.add(authority.clone()).map_err(|error| {
            Unproven::new(format!("the certificate cannot be an authority's: {error}"))
        })?;
        self.proves(&anchors, &Lists::default(), domain, now)
    }

    /// Whether this chain leads to one of `anchors` past all `lists`, and its end entity speaks for
    /// `domain`.
    pub(super) fn proves(
        &self,
        anchors: &RootCertStore,
        lists: &Lists,
        domain: &Domain,
        now: UnixTime,
    ) -> Result<(), Unproven> {
        named(&self.names(anchors, lists, now)?, domain)
    }

    /// For whom the end entity speaks, if this chain leads to one of `anchors` past all `lists`.
    pub(super) fn names(
        &self,
        anchors: &RootCertStore,
        lists: &Lists,
        now: UnixTime,
    ) -> Result<Names, Unproven> {
        let Some((end_entity, intermediates)) = self.0.certificates.split_first() else {
            return Err(Unproven::new("no certificate was presented"));
        };
        self.bounded()?;
        if namesakes(intermediates) > MOST_NAMESAKES {
            return Err(Unproven::new(
                "the certificate chain has many authorities of one name",
            ));
        }
        let authorities = leads_to(anchors, lists, end_entity, intermediates, now)?;
        let names = Names::of(end_entity)
            .map_err(|error| Unproven::new(format!("the certificate cannot be read: {error}")))?;
        Ok(match authorities {
            Authorities::Free => names,
            Authorities::Constrained => names.dns_only(),
        })
    }

    fn bounded(&self) -> Result<(), Unproven> {
        let number = self.0.certificates.len();
        let bytes = self
            .0
            .certificates
            .iter()
            .map(|certificate| certificate.len());
        let bytes: usize = bytes.sum();
        if number > MOST_CERTIFICATES || bytes > MOST_BYTES {
            return Err(Unproven::new(format!(
                "the certificate chain is too long ({number} certificates, {bytes} bytes)"
            )));
        }
        Ok(())
    }
}

/// Whether the names of a certificate that leads to somebody whom we believe prove `domain`.
pub(super) fn named(names: &Names, domain: &Domain) -> Result<(), Unproven> {
    if names.proves(domain) {
        Ok(())
    } else {
        Err(Unproven::new(format!(
            "the certificate is not valid for {domain}: it names {names}"
        )))
    }
}

/// How many of the certificates share one subject. What cannot be read is left to webpki to refuse.
fn namesakes(certificates: &[CertificateDer<'static>]) -> usize {
    let mut counts = HashMap::new();
    for certificate in certificates {
        if let Ok((_, parsed)) = x509_parser::parse_x509_certificate(certificate) {
            *counts
                .entry(parsed.subject().as_raw().to_vec())
                .or_insert(0) += 1;
        }
    }
    counts.into_values().max().unwrap_or_default()
}

/// Whether some authority of a path may sign certain names only.
enum Authorities {
    Free,
    Constrained,
}

impl Authorities {
    fn of(path: &VerifiedPath<'_>) -> Self {
        let constrained = |authority: CertificateDer<'_>| {
            let parsed = x509_parser::parse_x509_certificate(&authority);
            !parsed.is_ok_and(|(_, parsed)| matches!(parsed.name_constraints(), Ok(None)))
        };
        let mut intermediates = path.intermediate_certificates();
        if path.anchor().name_constraints.is_some()
            || intermediates.any(|authority| constrained(authority.der()))
        {
            Self::Constrained
        } else {
            Self::Free
        }
    }
}

/// Chain building, good for a server *or* for a client: public authorities issue no client
/// certificates any more, so a partner's server certificate must do in both roles. Each usage is
/// tried for the whole path, so a path never mixes the two.
fn leads_to(
    anchors: &RootCertStore,
    lists: &Lists,
    end_entity: &CertificateDer<'static>,
    intermediates: &[CertificateDer<'static>],
    now: UnixTime,
) -> Result<Authorities, Unproven> {
    let certificate = EndEntityCert::try_from(end_entity)
        .map_err(|error| Unproven::new(format!("the certificate cannot be read: {error}")))?;
    let build = |usage: KeyUsage| {
        lists.apply(|revocation| {
            certificate
                .verify_for_usage(
                    webpki::ALL_VERIFICATION_ALGS,
                    &anchors.roots,
                    intermediates,
                    now,
                    usage,
                    revocation,
                    None,
                )
                .map(|path| Authorities::of(&path))
        })
    };
    match build(KeyUsage::server_auth()) {
        Err(webpki::Error::RequiredEkuNotFoundContext(_)) => build(KeyUsage::client_auth()),
        other => other,
    }
    .map_err(|error| Unproven::of_path(&error, end_entity, intermediates))
}
