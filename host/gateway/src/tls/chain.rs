//! The certificates a peer showed, and what they prove.
//!
//! In: the chain of a finished handshake; either the anchors and the revocation lists of one side, a
//! domain and the time, or the pins of a partner. Out: yes, or a reason that an operator understands.
//! What can fail: everything a hostile peer can send; the work is bounded before it begins. What is
//! not guaranteed: revocation that no list of the operator's tells (no OCSP).

use std::collections::HashMap;
use std::sync::Arc;

use portcullis_xmpp::identity::Names;
use portcullis_xmpp::jid::Domain;
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, UnixTime};
use time::{Duration, OffsetDateTime};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath};

use crate::config::Pin;

use super::fingerprint::Fingerprint;
use super::revocation::Lists;
use super::unproven::Unproven;

/// More certificates than any honest chain has (webpki itself follows at most six intermediates);
/// beyond it path building would be the peer's to steer.
const MOST_CERTIFICATES: usize = 10;
/// Intermediates with one and the same name: two happen, by cross-signing. Each more multiplies the
/// paths to search: nine of one name took webpki a second.
const MOST_NAMESAKES: usize = 3;
/// Certificates end by the second.
const LAST_SECOND: Duration = Duration::seconds(1);
/// Honest chains are 2 to 8 KiB; post-quantum ones will be three times that.
const MOST_BYTES: usize = 48 * 1024;

/// The certificates of the other side of one TLS connection, end entity first; may be empty.
/// A clone is cheap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerChain(Arc<[CertificateDer<'static>]>);

impl PeerChain {
    /// The chain as TLS delivered it, end entity first.
    #[must_use]
    pub fn new(certificates: &[CertificateDer<'static>]) -> Self {
        Self(certificates.into())
    }

    /// Whether the peer showed no certificate at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The peer's own certificate, DER.
    #[must_use]
    pub fn end_entity(&self) -> Option<&CertificateDer<'static>> {
        self.0.first()
    }

    /// All certificates, as the peer sent them: not yet bounded in number.
    pub(crate) fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.0
    }

    /// When the peer's own certificate ends, for warnings; `None` if there is none or it is no
    /// certificate.
    #[must_use]
    pub fn not_after(&self) -> Option<OffsetDateTime> {
        let (_, certificate) = x509_parser::parse_x509_certificate(self.end_entity()?).ok()?;
        Some(certificate.validity().not_after.to_datetime())
    }

    /// The next moment at which one of the certificates ends: until then, time alone makes no good
    /// chain a bad one.
    #[must_use]
    pub fn next_expiry(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        self.0
            .iter()
            .take(MOST_CERTIFICATES)
            .filter_map(|certificate| x509_parser::parse_x509_certificate(certificate).ok())
            // Its last second belongs to it (RFC 5280 §4.1.2.5).
            .map(|(_, certificate)| certificate.validity().not_after.to_datetime())
            .map(|not_after| not_after.saturating_add(LAST_SECOND))
            .filter(|end| *end > now)
            .min()
    }

    /// The digest of the peer's own certificate.
    #[must_use]
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.end_entity()
            .map(|certificate| Fingerprint::of_certificate(certificate))
    }

    /// Whether the peer's own certificate, or its public key, is one of `pins`. Nothing else counts:
    /// not who issued it, whom it names or how long it is valid. TLS has shown that the peer holds
    /// the key.
    pub(super) fn is_pinned(&self, pins: &[Pin]) -> Result<(), Unproven> {
        let Some(end_entity) = self.end_entity() else {
            return Err(Unproven::new("no certificate was presented"));
        };
        let certificate = Fingerprint::of_certificate(end_entity);
        let key = Fingerprint::of_key(end_entity);
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
        let Some((end_entity, intermediates)) = self.0.split_first() else {
            return Err(Unproven::new("no certificate was presented"));
        };
        let bytes: usize = self.0.iter().map(|certificate| certificate.len()).sum();
        if self.0.len() > MOST_CERTIFICATES || bytes > MOST_BYTES {
            return Err(Unproven::new(format!(
                "the certificate chain is too long ({} certificates, {bytes} bytes)",
                self.0.len()
            )));
        }
        if namesakes(intermediates) > MOST_NAMESAKES {
            return Err(Unproven::new(
                "the certificate chain has many authorities of one name",
            ));
        }
        let authorities = leads_to(anchors, lists, end_entity, intermediates, now)?;
        let names = Names::of(end_entity)
            .map_err(|error| Unproven::new(format!("the certificate cannot be read: {error}")))?;
        let names = match authorities {
            Authorities::Free => names,
            Authorities::Constrained => names.dns_only(),
        };
        if names.proves(domain) {
            Ok(())
        } else {
            Err(Unproven::new(format!(
                "the certificate is not valid for {domain}: it names {names}"
            )))
        }
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
