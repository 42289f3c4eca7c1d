//! Why a certificate proves nothing, in words for the log and for the peer.
//!
//! In: what `webpki` says. Out: an [`Unproven`], which also knows what a stream that relied on the
//! certificate until now has to be told. What a peer wrote into its certificate appears in the text
//! without control characters and cut to the length of a name.

use portcullis_xmpp::error::StreamCondition;
use rustls::pki_types::{CertificateDer, UnixTime};
use time::OffsetDateTime;
use time::macros::format_description;

/// Why a chain does not prove a domain: a text for the log and for the peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Unproven {
    cause: Cause,
    text: String,
}

/// What kind of reason it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// It was good once and is no more: time passed, or its authority took it back.
    Past,
    /// Nobody whom we believe says so.
    Other,
}

impl Unproven {
    /// For any reason but the passing of time.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            cause: Cause::Other,
            text: text.into(),
        }
    }

    fn past(text: impl Into<String>) -> Self {
        Self {
            cause: Cause::Past,
            text: text.into(),
        }
    }

    /// With the reason why another way of proving failed, too. What this one was good for once
    /// still counts.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        Self {
            text: format!("{}; {}", self.text, other.text),
            ..self
        }
    }

    /// The reason, for a stream error's `<text/>`.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.text
    }

    /// How a stream ends that was proven by the certificate until now: `reset` if that expired or
    /// was revoked, so that the peer comes back with another (RFC 6120 §13.7.2.3);
    /// `policy-violation` if it is we who believe it no more.
    #[must_use]
    pub fn condition(&self) -> StreamCondition {
        match self.cause {
            Cause::Past => StreamCondition::Reset,
            Cause::Other => StreamCondition::PolicyViolation,
        }
    }

    /// What path building found.
    pub(super) fn of_path(
        error: &webpki::Error,
        end_entity: &CertificateDer<'static>,
        intermediates: &[CertificateDer<'static>],
    ) -> Self {
        match error {
            webpki::Error::CertExpired { not_after, .. } => Self::past(format!(
                "the certificate, or one of its chain, expired on {}",
                day(*not_after)
            )),
            webpki::Error::CertRevoked => {
                Self::past("the certificate, or one of its chain, was revoked by its authority")
            }
            webpki::Error::CrlExpired { next_update, .. } => Self::past(format!(
                "the revocation list for the certificate, or one of its chain, expired on {}",
                day(*next_update)
            )),
            webpki::Error::UnknownRevocationStatus => Self::new(
                "no revocation list says whether the certificate, or one of its chain, is revoked",
            ),
            webpki::Error::InvalidCrlSignatureForPublicKey => Self::new(
                "the revocation list for the certificate is not signed by the certificate's authority",
            ),
            webpki::Error::IssuerNotCrlSigner => Self::new(
                "the revocation list for the certificate is signed by an authority that may not (key usage)",
            ),
            webpki::Error::CertNotValidYet { not_before, .. } => Self::new(format!(
                "the certificate, or one of its chain, is not valid before {}",
                day(*not_before)
            )),
            webpki::Error::UnknownIssuer => Self::new(unknown_issuer(end_entity, intermediates)),
            webpki::Error::CaUsedAsEndEntity => {
                Self::new("the certificate is an authority's own, not a server's (CA=true)")
            }
            webpki::Error::EndEntityUsedAsCa => {
                Self::new("the chain uses a certificate as an authority that is none (CA=false)")
            }
            webpki::Error::NameConstraintViolation => Self::new(
                "the certificate names what its authority may not sign (name constraints)",
            ),
            webpki::Error::RequiredEkuNotFoundContext(_) => {
                Self::new("the certificate is for neither servers nor clients (extended key usage)")
            }
            webpki::Error::InvalidSignatureForPublicKey => {
                Self::new("a signature in the certificate chain is wrong")
            }
            other => Self::new(format!("the certificate chain is not valid: {other}")),
        }
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
pub(super) fn printable(text: &str) -> String {
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
