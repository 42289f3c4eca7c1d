//! Certificates: one authority for the outside, one for the inside, one that the gateway mints with.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    NameConstraints, RevokedCertParams, SerialNumber,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};

/// The authorities of a test, in a directory.
pub struct Pki {
    dir: PathBuf,
    /// Signs partners and what the gateway shows to partners.
    pub public: Authority,
    /// Signs internal servers and the gateway's own certificate inside.
    pub internal: Authority,
    /// Signs what the gateway mints; excludes the organisation's domains.
    pub mint: Authority,
}

/// A certification authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    /// Its certificate, PEM.
    pub file: PathBuf,
    /// Its key, PEM.
    pub key_file: PathBuf,
}

/// A server's certificate and whom that server believes.
#[derive(Clone)]
pub struct Identity {
    /// The certificate, PEM.
    pub file: PathBuf,
    /// Its key, PEM.
    pub key_file: PathBuf,
    /// Its serial number, for revocation lists.
    pub serial: u64,
    certificate: CertificateDer<'static>,
    key: Arc<PrivateKeyDer<'static>>,
    roots: Arc<RootCertStore>,
}

impl Pki {
    /// Makes the authorities; `own` are the organisation's domains.
    pub fn new(dir: &Path, own: &[&str]) -> Self {
        Self {
            dir: dir.to_owned(),
            public: Authority::new(dir, "public-ca", &[]),
            internal: Authority::new(dir, "internal-ca", &[]),
            mint: Authority::new(dir, "mint-ca", own),
        }
    }

    /// A partner's: signed by the public authority, believing it.
    pub fn partner(&self, names: &[&str]) -> Identity {
        self.issue(&self.public, names, &[&self.public], Duration::days(30))
    }

    /// An internal server's: signed by the internal authority, believing that and the minted names.
    pub fn internal_server(&self, names: &[&str]) -> Identity {
        self.issue(
            &self.internal,
            names,
            &[&self.internal, &self.mint],
            Duration::days(30),
        )
    }

    /// A certificate by one authority for these names, with trust in others. A negative `valid` has
    /// expired.
    pub fn issue(
        &self,
        by: &Authority,
        names: &[&str],
        trust: &[&Authority],
        valid: Duration,
    ) -> Identity {
        let mut params =
            CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>())
                .unwrap();
        params.distinguished_name.push(DnType::CommonName, names[0]);
        params.not_before = OffsetDateTime::now_utc() - Duration::days(60);
        params.not_after = OffsetDateTime::now_utc() + valid;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate().unwrap();
        let number = std::fs::read_dir(&self.dir).unwrap().count();
        let serial = u64::try_from(number).unwrap() + 1000;
        params.serial_number = Some(SerialNumber::from(serial));
        let certificate = params.signed_by(&key, &by.issuer).unwrap();
        let stem = format!("{}-{}", names[0], key.serialized_der().len() + number);
        let (file, key_file) = write(&self.dir, &stem, &certificate.pem(), &key.serialize_pem());
        let mut roots = RootCertStore::empty();
        for authority in trust {
            roots.add(authority.certificate.clone()).unwrap();
        }
        Identity {
            file,
            key: Arc::new(PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap()),
            key_file,
            serial,
            certificate: certificate.der().clone(),
            roots: Arc::new(roots),
        }
    }
}

impl Authority {
    /// Writes a revocation list of these certificates, as PEM.
    pub fn revoke(&self, file: &Path, identities: &[&Identity]) {
        let now = OffsetDateTime::now_utc();
        let revoked = |identity: &&Identity| RevokedCertParams {
            serial_number: SerialNumber::from(identity.serial),
            revocation_time: now,
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: now - Duration::hours(1),
            next_update: now + Duration::days(7),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: identities.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let pem = list.signed_by(&self.issuer).unwrap().pem().unwrap();
        std::fs::write(file, pem).unwrap();
    }

    fn new(dir: &Path, name: &str, excluded: &[&str]) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        if !excluded.is_empty() {
            params.name_constraints = Some(NameConstraints {
                permitted_subtrees: Vec::new(),
                excluded_subtrees: excluded
                    .iter()
                    .map(|name| GeneralSubtree::DnsName((*name).to_owned()))
                    .collect(),
            });
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let (file, key_file) = write(dir, name, &certificate.pem(), &key.serialize_pem());
        let der = certificate.der().clone();
        Self {
            issuer: Issuer::new(params, key),
            certificate: der,
            file,
            key_file,
        }
    }
}

impl Identity {
    /// The fingerprint of the certificate, as a partner record pins it.
    pub fn pin(&self) -> String {
        format!("sha256:{:x}", Sha256::digest(&self.certificate))
    }

    /// The certificate and its key, for TLS of the test's own.
    pub fn shown(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        (vec![self.certificate.clone()], self.key.clone_key())
    }

    /// TLS as a client that shows this certificate.
    pub fn client(&self) -> Arc<ClientConfig> {
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(Arc::clone(&self.roots))
            .with_client_auth_cert(vec![self.certificate.clone()], self.key.clone_key())
            .unwrap();
        Arc::new(config)
    }

    /// TLS as a server that shows this certificate and demands one.
    pub fn server(&self) -> Arc<ServerConfig> {
        let clients =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&self.roots), provider())
                .build()
                .unwrap();
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients)
            .with_single_cert(vec![self.certificate.clone()], self.key.clone_key())
            .unwrap();
        Arc::new(config)
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn write(dir: &Path, stem: &str, certificate: &str, key: &str) -> (PathBuf, PathBuf) {
    let (file, key_file) = (
        dir.join(format!("{stem}.pem")),
        dir.join(format!("{stem}.key")),
    );
    std::fs::write(&file, certificate).unwrap();
    std::fs::write(&key_file, key).unwrap();
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&key_file, std::fs::Permissions::from_mode(0o600)).unwrap();
    (file, key_file)
}
