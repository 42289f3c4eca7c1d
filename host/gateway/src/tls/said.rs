//! What the certificates of a chain say of themselves, read once.
//!
//! In: DER, as the peer sent it. Out: from when to when each is valid, and the key of the first. Nothing
//! fails: what cannot be read says nothing. Nothing of it is proven; that is for
//! [`super::Tls::judge`].

use rustls::pki_types::CertificateDer;
use time::{Duration, OffsetDateTime};
use x509_parser::certificate::X509Certificate;

use super::fingerprint::Fingerprint;

/// Certificates end by the second, and the last one belongs to them (RFC 5280 §4.1.2.5).
const LAST_SECOND: Duration = Duration::seconds(1);

/// See the module.
#[derive(Debug)]
pub(super) struct Said {
    /// The public key of the first.
    key: Option<Fingerprint>,
    /// Of each; none of what is no certificate.
    spans: Vec<Option<Span>>,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    not_before: OffsetDateTime,
    not_after: OffsetDateTime,
}

impl Said {
    /// Of certificates, end entity first. The caller bounds how many.
    pub(super) fn of<'c>(certificates: impl Iterator<Item = &'c CertificateDer<'static>>) -> Self {
        let mut key = None;
        let read = |(nth, certificate): (usize, &'c CertificateDer<'static>)| {
            let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
            if nth == 0 {
                key = Some(Fingerprint::of_certificate(parsed.public_key().raw));
            }
            Some(Span::of(&parsed))
        };
        let spans = certificates.enumerate().map(read).collect();
        Self { key, spans }
    }

    pub(super) fn key(&self) -> Option<Fingerprint> {
        self.key
    }

    /// When the first ends.
    pub(super) fn not_after(&self) -> Option<OffsetDateTime> {
        let own = (*self.spans.first()?)?;
        Some(own.not_after)
    }

    /// The next moment at which one ends.
    pub(super) fn next_expiry(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        let ends = self.spans.iter().flatten().map(|span| span.end());
        ends.filter(|end| *end > now).min()
    }

    /// The next moment at which one ends or begins to be valid; none if none does, or if there is one
    /// that does not say.
    pub(super) fn next_turn(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        let spans: Option<Vec<Span>> = self.spans.iter().copied().collect();
        let turns = spans?
            .into_iter()
            .flat_map(|span| [span.not_before, span.end()]);
        turns.filter(|turn| *turn > now).min()
    }
}

impl Span {
    fn of(certificate: &X509Certificate<'_>) -> Self {
        let validity = certificate.validity();
        Self {
            not_before: validity.not_before.to_datetime(),
            not_after: validity.not_after.to_datetime(),
        }
    }

    /// The first moment after it.
    fn end(&self) -> OffsetDateTime {
        self.not_after.saturating_add(LAST_SECOND)
    }
}
