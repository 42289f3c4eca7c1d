//! The certificates a peer showed, and what they prove.
//!
//! In: the chain of a finished handshake, the anchors of one side, a domain, the time. Out: yes, or
//! a reason that an operator understands. What can fail: everything a hostile peer can send; the
//! work is bounded before it begins. What is not guaranteed: revocation (no CRL, no OCSP).

use std::collections::HashMap;
use std::sync::Arc;

use portcullis_xmpp::identity::Names;
use portcullis_xmpp::jid::Domain;
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, UnixTime};
use time::OffsetDateTime;
use time::macros::format_description;
use webpki::{EndEntityCert, KeyUsage};

/// More certificates than any honest chain has (webpki itself follows at most six intermediates);
/// beyond it path building would be the peer's to steer.
const MOST_CERTIFICATES: usize = 10;
/// Intermediates with one and the same name: two happen, by cross-signing. Each more multiplies the
/// paths to search: nine of one name took webpki a second.
const MOST_NAMESAKES: usize = 3;
/// Honest chains are 2 to 8 KiB; post-quantum ones will be three times that.
const MOST_BYTES: usize = 48 * 1024;

/// The certificates of the other side of one TLS connection, end entity first; may be empty.
/// A clone is cheap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerChain(Arc<[CertificateDer<'static>]>);

/// Why a chain does not prove a domain: a text for the log and for the peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unproven(String);

impl Unproven {
    /// The reason, for a stream error's `<text/>`.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.0
    }
}

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

    /// When the peer's own certificate ends, for warnings; `None` if there is none or it is no
    /// certificate.
    #[must_use]
    pub fn not_after(&self) -> Option<OffsetDateTime> {
        let (_, certificate) = x509_parser::parse_x509_certificate(self.end_entity()?).ok()?;
        Some(certificate.validity().not_after.to_datetime())
    }

    /// Whether this chain leads to one of `anchors` and its end entity speaks for `domain`.
    pub(super) fn proves(
        &self,
        anchors: &RootCertStore,
        domain: &Domain,
        now: UnixTime,
    ) -> Result<(), Unproven> {
        let Some((end_entity, intermediates)) = self.0.split_first() else {
            return Err(Unproven("no certificate was presented".to_owned()));
        };
        let bytes: usize = self.0.iter().map(|certificate| certificate.len()).sum();
        if self.0.len() > MOST_CERTIFICATES || bytes > MOST_BYTES {
            return Err(Unproven(format!(
                "the certificate chain is too long ({} certificates, {bytes} bytes)",
                self.0.len()
            )));
        }
        if namesakes(intermediates) > MOST_NAMESAKES {
            return Err(Unproven(
                "the certificate chain has many authorities of one name".to_owned(),
            ));
        }
        leads_to(anchors, end_entity, intermediates, now)?;
        let names = Names::of(end_entity)
            .map_err(|error| Unproven(format!("the certificate cannot be read: {error}")))?;
        if names.proves(domain) {
            Ok(())
        } else {
            Err(Unproven(format!(
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

/// Chain building, good for a server *or* for a client: public authorities issue no client
/// certificates any more, so a partner's server certificate must do in both roles. Each usage is
/// tried for the whole path, so a path never mixes the two.
fn leads_to(
    anchors: &RootCertStore,
    end_entity: &CertificateDer<'static>,
    intermediates: &[CertificateDer<'static>],
    now: UnixTime,
) -> Result<(), Unproven> {
    let certificate = EndEntityCert::try_from(end_entity)
        .map_err(|error| Unproven(format!("the certificate cannot be read: {error}")))?;
    let build = |usage: KeyUsage| {
        certificate
            .verify_for_usage(
                webpki::ALL_VERIFICATION_ALGS,
                &anchors.roots,
                intermediates,
                now,
                usage,
                None,
                None,
            )
            .map(drop)
    };
    match build(KeyUsage::server_auth()) {
        Err(webpki::Error::RequiredEkuNotFoundContext(_)) => build(KeyUsage::client_auth()),
        other => other,
    }
    .map_err(|error| Unproven(text_of(&error, end_entity, intermediates)))
}

fn text_of(
    error: &webpki::Error,
    end_entity: &CertificateDer<'static>,
    intermediates: &[CertificateDer<'static>],
) -> String {
    match error {
        webpki::Error::CertExpired { not_after, .. } => {
            format!(
                "the certificate, or one of its chain, expired on {}",
                day(*not_after)
            )
        }
        webpki::Error::CertNotValidYet { not_before, .. } => {
            format!(
                "the certificate, or one of its chain, is not valid before {}",
                day(*not_before)
            )
        }
        webpki::Error::UnknownIssuer => unknown_issuer(end_entity, intermediates),
        webpki::Error::CaUsedAsEndEntity => {
            "the certificate is an authority's own, not a server's (CA=true)".to_owned()
        }
        webpki::Error::EndEntityUsedAsCa => {
            "the chain uses a certificate as an authority that is none (CA=false)".to_owned()
        }
        webpki::Error::NameConstraintViolation => {
            "the certificate names what its authority may not sign (name constraints)".to_owned()
        }
        webpki::Error::RequiredEkuNotFoundContext(_) => {
            "the certificate is for neither servers nor clients (extended key usage)".to_owned()
        }
        webpki::Error::InvalidSignatureForPublicKey => {
            "a signature in the certificate chain is wrong".to_owned()
        }
        other => format!("the certificate chain is not valid: {other}"),
    }
}

/// "Unknown CA" with its name, and the two mistakes behind nearly all cases told apart.
fn unknown_issuer(
    end_entity: &CertificateDer<'static>,
    intermediates: &[CertificateDer<'static>],
) -> String {
    let Ok((_, certificate)) = x509_parser::parse_x509_certificate(end_entity) else {
        return "the certificate's authority is unknown".to_owned();
    };
    let issuer = printable(&certificate.issuer().to_string());
    if certificate.issuer() == certificate.subject() {
        return "the certificate is self-signed and not trusted here".to_owned();
    }
    if intermediates.is_empty() {
        return format!(
            "the certificate's authority is unknown here: {issuer} (no intermediate certificate was sent)"
        );
    }
    format!("the certificate's authority is unknown here: {issuer}")
}

/// What a peer wrote into its certificate, fit for a log line and an XML text.
fn printable(text: &str) -> String {
    /// The longest domain name; anything longer in a certificate is no name that helps.
    const LONGEST: usize = 253;
    text.chars()
        .take(LONGEST)
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

fn day(time: UnixTime) -> String {
    i64::try_from(time.as_secs())
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .and_then(|time| {
            time.format(format_description!(
                "[year]-[month]-[day] [hour]:[minute] UTC"
            ))
            .ok()
        })
        .unwrap_or_else(|| "an impossible date".to_owned())
}
