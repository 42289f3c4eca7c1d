//! An authority and what it signs.

use portcullis_xmpp::jid::Domain;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, SanType,
};
use time::{Duration, OffsetDateTime};

use super::CaError;
use crate::tls::mint::random_serial;

/// Authorities outlive several generations of servers.
const AUTHORITY_LIFETIME: Duration = Duration::days(3650);
/// The longest that common TLS stacks accept for a server (CA/Browser Forum, until 2026: 825 days).
const SERVER_LIFETIME: Duration = Duration::days(825);
/// Clocks may be this slow on the day of installation.
const BACKDATED: Duration = Duration::hours(1);

/// A certificate authority with its key: what `ca init`, the demo and tests sign with.
pub struct Authority {
    certificate: String,
    key: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, both PEM.
#[derive(Clone)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// The private key, PKCS #8.
    pub key: String,
}

impl Authority {
    /// The authority of the inside: it can sign the organisation's names and no others.
    ///
    /// # Errors
    /// [`CaError::Making`].
    pub fn for_inside(domains: &[Domain]) -> Result<Self, CaError> {
        let permitted = domains.iter().map(subtree).collect();
        Self::new(
            "Portcullis internal CA",
            NameConstraints {
                permitted_subtrees: permitted,
                excluded_subtrees: Vec::new(),
            },
        )
    }

    /// The mint's authority: it can sign any DNS name but the organisation's.
    ///
    /// # Errors
    /// [`CaError::Making`].
    pub fn for_mint(domains: &[Domain]) -> Result<Self, CaError> {
        let excluded = domains.iter().map(subtree).collect();
        Self::new(
            "Portcullis mint CA",
            NameConstraints {
                permitted_subtrees: Vec::new(),
                excluded_subtrees: excluded,
            },
        )
    }

    /// An authority without constraints: a stand-in for a public one, in demo and tests.
    ///
    /// # Errors
    /// [`CaError::Making`].
    pub fn unconstrained(name: &str) -> Result<Self, CaError> {
        Self::new(
            name,
            NameConstraints {
                permitted_subtrees: Vec::new(),
                excluded_subtrees: Vec::new(),
            },
        )
    }

    fn new(name: &str, constraints: NameConstraints) -> Result<Self, CaError> {
        let key = KeyPair::generate().map_err(making)?;
        let mut params = dated(AUTHORITY_LIFETIME)?;
        params.distinguished_name.push(DnType::CommonName, name);
        // Signs end entities only.
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let unlimited =
            constraints.permitted_subtrees.is_empty() && constraints.excluded_subtrees.is_empty();
        params.name_constraints = (!unlimited).then_some(constraints);
        let certificate = params.self_signed(&key).map_err(making)?.pem();
        Ok(Self {
            certificate,
            key: key.serialize_pem(),
            issuer: Issuer::new(params, key),
        })
    }

    pub(super) fn of_files(certificate: String, key: String) -> Result<Self, String> {
        let pair = KeyPair::from_pem(&key).map_err(|error| error.to_string())?;
        let issuer =
            Issuer::from_ca_cert_pem(&certificate, pair).map_err(|error| error.to_string())?;
        Ok(Self {
            certificate,
            key,
            issuer,
        })
    }

    /// The authority's certificate, PEM.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// The authority's private key, PEM.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// A certificate for `names`, good for servers and for clients.
    ///
    /// # Errors
    /// [`CaError::Making`].
    pub fn issue(&self, names: &[Domain]) -> Result<Pair, CaError> {
        let key = KeyPair::generate().map_err(making)?;
        let mut params = dated(SERVER_LIFETIME)?;
        for name in names {
            let name = name.as_str().try_into().map_err(making)?;
            params.subject_alt_names.push(SanType::DnsName(name));
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.use_authority_key_identifier_extension = true;
        params.is_ca = IsCa::ExplicitNoCa;
        let certificate = params.signed_by(&key, &self.issuer).map_err(making)?.pem();
        Ok(Pair {
            certificate,
            key: key.serialize_pem(),
        })
    }
}

fn dated(lifetime: Duration) -> Result<CertificateParams, CaError> {
    let now = OffsetDateTime::now_utc();
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.not_before = now - BACKDATED;
    params.not_after = now + lifetime;
    params.serial_number = Some(random_serial().map_err(making)?);
    Ok(params)
}

fn subtree(domain: &Domain) -> GeneralSubtree {
    GeneralSubtree::DnsName(domain.as_str().to_owned())
}

fn making(error: impl std::fmt::Display) -> CaError {
    CaError::Making(error.to_string())
}
