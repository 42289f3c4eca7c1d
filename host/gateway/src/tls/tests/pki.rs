//! A small public key infrastructure for tests: authorities, leaves of any shape, files, pipes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use portcullis_xmpp::jid::Domain;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationList,
    CertificateRevocationListParams, CustomExtension, DnType, IsCa, Issuer, KeyIdMethod, KeyPair,
    KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tempfile::TempDir;
use time::{Duration, OffsetDateTime};

use crate::config::{Identity, Mint, Revocation, Trust};
use crate::tls::ca::Authority;
use crate::tls::verifier::AnyChain;
use crate::tls::{PeerChain, Settings, Tls};

pub(crate) fn domain(name: &str) -> Domain {
    Domain::parse(name).unwrap()
}

pub(crate) fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// An authority that can be asked for odd things.
pub(crate) struct Ca {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) pem: String,
    pub(crate) key: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key.
pub(crate) struct Leaf {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) pem: String,
    pub(crate) key: KeyPair,
}

impl Ca {
    pub(crate) fn new(name: &str) -> Self {
        Self::shaped(name, |_| {})
    }

    pub(crate) fn shaped(name: &str, shape: impl FnOnce(&mut CertificateParams)) -> Self {
        let (params, key) = Self::params(name, shape);
        let certificate = params.self_signed(&key).unwrap();
        Self::made(params, key, certificate)
    }

    /// An intermediate below this one.
    pub(crate) fn intermediate(
        &self,
        name: &str,
        shape: impl FnOnce(&mut CertificateParams),
    ) -> Self {
        let (params, key) = Self::params(name, shape);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Self::made(params, key, certificate)
    }

    fn params(
        name: &str,
        shape: impl FnOnce(&mut CertificateParams),
    ) -> (CertificateParams, KeyPair) {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        shape(&mut params);
        (params, KeyPair::generate().unwrap())
    }

    fn made(params: CertificateParams, key: KeyPair, certificate: rcgen::Certificate) -> Self {
        Self {
            pem: certificate.pem(),
            certificate: certificate.into(),
            key: key.serialize_pem(),
            issuer: Issuer::new(params, key),
        }
    }

    pub(crate) fn leaf(&self, names: &[&str]) -> Leaf {
        self.shaped_leaf(names, |_| {})
    }

    pub(crate) fn shaped_leaf(
        &self,
        names: &[&str],
        shape: impl FnOnce(&mut CertificateParams),
    ) -> Leaf {
        let (params, key) = leaf_params(names, shape);
        Leaf::made(params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// A revocation list of these serial numbers, issued now.
    pub(crate) fn list(&self, serials: &[u64]) -> CertificateRevocationList {
        let now = OffsetDateTime::now_utc();
        self.dated_list(serials, now - Duration::hours(1), now + Duration::days(7))
    }

    pub(crate) fn dated_list(
        &self,
        serials: &[u64],
        this_update: OffsetDateTime,
        next_update: OffsetDateTime,
    ) -> CertificateRevocationList {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: this_update,
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update,
            next_update,
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap()
    }

    pub(crate) fn anchors(&self) -> RootCertStore {
        let mut store = RootCertStore::empty();
        store.add(self.certificate.clone()).unwrap();
        store
    }
}

impl Leaf {
    pub(crate) fn self_signed(names: &[&str]) -> Self {
        let (params, key) = leaf_params(names, |_| {});
        Self::made(params.self_signed(&key).unwrap(), key)
    }

    /// Another certificate for the same key.
    pub(crate) fn renewed(&self, names: &[&str]) -> Self {
        let (params, _) = leaf_params(names, |_| {});
        let key = KeyPair::from_pem(&self.key.serialize_pem()).unwrap();
        Self::made(params.self_signed(&key).unwrap(), key)
    }

    fn made(certificate: rcgen::Certificate, key: KeyPair) -> Self {
        Self {
            pem: certificate.pem(),
            certificate: certificate.into(),
            key,
        }
    }

    pub(crate) fn chain(&self) -> PeerChain {
        PeerChain::new(std::slice::from_ref(&self.certificate))
    }

    pub(crate) fn certified(&self) -> CertifiedKey {
        certified(self, &self.key)
    }
}

fn leaf_params(
    names: &[&str],
    shape: impl FnOnce(&mut CertificateParams),
) -> (CertificateParams, KeyPair) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    let now = OffsetDateTime::now_utc();
    params.not_before = now - Duration::hours(1);
    params.not_after = now + Duration::days(90);
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "leaf");
    shape(&mut params);
    (params, KeyPair::generate().unwrap())
}

/// A list of alternative names that holds exactly these bytes, each a GeneralName in DER.
pub(crate) fn alternative_names(names: &[Vec<u8>]) -> CustomExtension {
    CustomExtension::from_oid_content(&[2, 5, 29, 17], der(0x30, &names.concat()))
}

/// A dNSName, whatever is in it.
pub(crate) fn dns_name(name: &str) -> Vec<u8> {
    der(0x82, name.as_bytes())
}

/// An SRVName (RFC 4985).
pub(crate) fn srv_name(name: &str) -> Vec<u8> {
    other_name(7, 0x16, name)
}

/// An XmppAddr (RFC 6120 §13.7.1.4).
pub(crate) fn xmpp_addr(name: &str) -> Vec<u8> {
    other_name(5, 0x0c, name)
}

/// `id-on` with this last number.
fn other_name(kind: u8, string: u8, text: &str) -> Vec<u8> {
    let kind = der(6, &[0x2b, 6, 1, 5, 5, 7, 8, kind]);
    let value = der(0xa0, &der(string, text.as_bytes()));
    der(0xa0, &[kind, value].concat())
}

/// Of less than 128 bytes.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    [&[tag, u8::try_from(content.len()).unwrap()], content].concat()
}

/// A certificate with a key that need not be its own.
pub(crate) fn certified(leaf: &Leaf, key: &KeyPair) -> CertifiedKey {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let key = provider().key_provider.load_private_key(key).unwrap();
    CertifiedKey::new(vec![leaf.certificate.clone()], key)
}

/// A TLS client that trusts anybody, with or without a certificate.
pub(crate) fn client(certified: Option<CertifiedKey>, alpn: &[&str]) -> ClientConfig {
    client_speaking(rustls::DEFAULT_VERSIONS, certified, alpn)
}

/// The same, of these versions only.
pub(crate) fn client_speaking(
    versions: &[&'static SupportedProtocolVersion],
    certified: Option<CertifiedKey>,
    alpn: &[&str],
) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(AnyChain::of_servers(provider()));
    let mut config = match certified {
        Some(certified) => {
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified)))
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = alpn
        .iter()
        .map(|protocol| protocol.as_bytes().to_vec())
        .collect();
    config
}

/// Writes a file that only its owner may read.
pub(crate) fn write(file: &Path, content: &str) -> PathBuf {
    fs::write(file, content).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    file.to_owned()
}

/// A gateway for org.test and chat.test, with files on disk.
pub(crate) struct House {
    pub(crate) dir: TempDir,
    /// What partners and the gateway believe outside.
    pub(crate) public: Ca,
    pub(crate) internal: Ca,
    pub(crate) mint: Authority,
    pub(crate) settings: Settings,
}

impl House {
    pub(crate) fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let public = Ca::new("Public CA");
        let internal = Ca::new("Internal CA");
        let mint = Authority::for_mint(&[domain("org.test"), domain("chat.test")]).unwrap();
        let file = |name: &str, content: &str| write(&dir.path().join(name), content);
        let identity = |ca: &Ca, name: &str, domains: &[&str]| {
            let leaf = ca.leaf(&[name]);
            Identity {
                domains: domains.iter().map(|name| domain(name)).collect(),
                certificate: file(&format!("{name}.pem"), &leaf.pem),
                key: file(&format!("{name}.key"), &leaf.key.serialize_pem()),
            }
        };
        let settings = Settings {
            own_domains: [domain("org.test"), domain("chat.test")].into(),
            identities: vec![
                identity(&public, "org.test", &["org.test"]),
                identity(&public, "chat.test", &["chat.test"]),
            ],
            trust: vec![Trust::File(file("public.pem", &public.pem))],
            partner_trust: Vec::new(),
            crls: Vec::new(),
            revocation: Revocation::default(),
            internal: identity(&internal, "gateway.org.test", &[]),
            client_ca: file("internal.pem", &internal.pem),
            internal_crls: Vec::new(),
            internal_revocation: Revocation::default(),
            mint: Some(Mint {
                ca: file("mint.pem", mint.certificate()),
                key: file("mint.key", mint.key()),
            }),
        };
        Self {
            dir,
            public,
            internal,
            mint,
            settings,
        }
    }

    pub(crate) fn tls(&self) -> Tls {
        Tls::load(self.settings.clone()).unwrap()
    }

    pub(crate) fn mint_anchors(&self) -> RootCertStore {
        use rustls::pki_types::pem::PemObject;
        let mut store = RootCertStore::empty();
        store
            .add(CertificateDer::from_pem_slice(self.mint.certificate().as_bytes()).unwrap())
            .unwrap();
        store
    }
}
