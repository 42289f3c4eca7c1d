//! Certificates in partners' names, for the inside.
//!
//! In: the name of a partner, and which internal server it is for. Out: an endpoint with a
//! certificate for exactly that name. Bounded in every way: valid DNS names only, never the
//! organisation's own, a short life, a cache that forgets, a rate per internal server that asks. What is not
//! guaranteed: that the partner exists; who may talk to whom is decided elsewhere.
//!
//! The authority behind it is one of its own, so that what it signs can be limited by name
//! constraints; [`authority`] refuses any other.

mod authority;
mod rate;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use lru::LruCache;
use portcullis_xmpp::jid::Domain;
use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose, SanType,
    SerialNumber,
};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::sign::{CertifiedKey, SigningKey};
use time::{Duration, OffsetDateTime};

use crate::config;

use super::endpoint::Endpoint;
use super::files::{Files, certificates};
use super::material::{Expiring, not_after};
use super::problem::Problem;
use super::verifier::ClientCertificate;
use rate::Rates;

/// A stolen minted certificate is worth little after a day.
const LIFETIME: Duration = Duration::hours(24);
/// A cached certificate is replaced when half of its life is left, so that a peer with a slow clock
/// never sees one that is nearly over.
const RENEW_BEFORE: Duration = Duration::hours(12);
/// Peers' clocks may be this slow.
const BACKDATED: Duration = Duration::hours(1);
/// Partners in use at one time; each costs about 2 KiB. Beyond it the least used is minted again.
#[allow(clippy::unwrap_used, reason = "a constant that is not zero")]
const CACHED: NonZeroUsize = NonZeroUsize::new(1000).unwrap();
/// The longest name that fits a certificate's common name (RFC 5280, ub-common-name).
const LONGEST_COMMON_NAME: usize = 64;
/// RFC 1035 §2.3.4.
const LONGEST_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;

/// Why no certificate was made in a partner's name.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// A configuration or an attack inside: the organisation's own names are never minted.
    #[error("{0} belongs to the organisation itself: no certificate is ever minted for it")]
    OwnDomain(Domain),
    /// The peer's fault: this is not a name that DNS could hold.
    #[error("{0} is no DNS name: no certificate can be minted for it")]
    NotADnsName(Domain),
    /// The internal server asks for too many new names; it may try again in a minute.
    #[error("{0} asked for certificates of too many new partners: try again in a minute")]
    TooMany(IpAddr),
    /// The gateway's or the operator's fault: the key of the authority does not sign.
    #[error("the mint authority cannot sign: {0}")]
    Signing(String),
}

/// Makes and remembers certificates in partners' names.
pub(super) struct Mint {
    own: BTreeSet<Domain>,
    file: PathBuf,
    not_after: OffsetDateTime,
    issuer: Issuer<'static, KeyPair>,
    /// The authority's certificates without its root, which peers must have anyway.
    intermediates: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
    state: Mutex<State>,
}

struct State {
    /// Made when the first certificate is: its randomness takes longer to gather than all else at the
    /// start of the gateway.
    key: Option<Key>,
    minted: LruCache<Domain, Minted>,
    rates: Rates,
}

/// One key for all minted certificates of this run: it never leaves the process.
struct Key {
    public: KeyPair,
    private: Arc<dyn SigningKey>,
}

struct Minted {
    endpoint: Endpoint,
    renew_at: OffsetDateTime,
}

impl Mint {
    pub(super) fn load(
        wanted: &config::Mint,
        own: &BTreeSet<Domain>,
        client_ca: &[CertificateDer<'static>],
        provider: &Arc<CryptoProvider>,
        files: &mut Files,
        now: OffsetDateTime,
    ) -> Result<Self, Vec<Problem>> {
        let file = &wanted.ca;
        let one = |problem| vec![problem];
        let chain = files
            .read(file)
            .and_then(|pem| certificates(file, &pem))
            .map_err(one)?;
        let key = files.read(&wanted.key).map_err(one)?;
        let key = authority::key(&wanted.key, &key).map_err(one)?;
        let Some(certificate) = chain.first() else {
            return Err(one(Problem::error(file, "holds no certificate")));
        };
        authority::check(file, certificate, &key, own, client_ca, now)?;

        let broken = |error: &dyn std::fmt::Display| {
            one(Problem::error(
                file,
                format!("cannot sign certificates: {error}"),
            ))
        };
        let not_after = not_after(certificate).map_err(|error| broken(&error))?;
        let issuer = Issuer::from_ca_cert_der(certificate, key).map_err(|error| broken(&error))?;
        Ok(Self {
            own: own.clone(),
            file: file.clone(),
            not_after,
            issuer,
            intermediates: chain
                .into_iter()
                .filter(|one| !authority::is_self_issued(one))
                .collect(),
            provider: Arc::clone(provider),
            state: Mutex::new(State {
                key: None,
                minted: LruCache::new(CACHED),
                rates: Rates::new(),
            }),
        })
    }

    /// Our face towards an internal server in the name of `partner`.
    ///
    /// `asking` is the internal server that wants to see it: new names are counted against it, since it may
    /// name whom it likes. None: the gateway itself goes in, for a partner who is proven.
    pub(super) fn endpoint(
        &self,
        partner: &Domain,
        asking: Option<IpAddr>,
        now: OffsetDateTime,
        tick: Instant,
    ) -> Result<Endpoint, MintError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(minted) = state.minted.get(partner)
            && now < minted.renew_at
        {
            return Ok(minted.endpoint.clone());
        }
        if self
            .own
            .iter()
            .any(|own| partner == own || partner.is_subdomain_of(own))
        {
            return Err(MintError::OwnDomain(partner.clone()));
        }
        if !is_dns_name(partner.as_str()) {
            return Err(MintError::NotADnsName(partner.clone()));
        }
        if let Some(server) = asking
            && !state.rates.allow(server, tick)
        {
            return Err(MintError::TooMany(server));
        }
        let endpoint = self
            .mint(&mut state.key, partner, now)
            .map_err(|error| MintError::Signing(error.to_string()))?;
        let renew_at = now + LIFETIME - RENEW_BEFORE;
        state.minted.put(
            partner.clone(),
            Minted {
                endpoint: endpoint.clone(),
                renew_at,
            },
        );
        Ok(endpoint)
    }

    pub(super) fn expiry(&self) -> Expiring {
        Expiring {
            file: self.file.clone(),
            not_after: self.not_after,
        }
    }

    fn mint(
        &self,
        key: &mut Option<Key>,
        partner: &Domain,
        now: OffsetDateTime,
    ) -> Result<Endpoint, Box<dyn std::error::Error>> {
        let key = match key {
            Some(key) => key,
            None => key.insert(Key::generate(&self.provider)?),
        };
        let name = partner.as_str();
        let mut params = CertificateParams::default();
        params.not_before = now - BACKDATED;
        params.not_after = (now + LIFETIME).min(self.not_after);
        params.serial_number = Some(random_serial()?);
        params.subject_alt_names = vec![SanType::DnsName(name.try_into()?)];
        params.distinguished_name = rcgen::DistinguishedName::new();
        if name.len() <= LONGEST_COMMON_NAME {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.use_authority_key_identifier_extension = true;

        let certificate = params.signed_by(&key.public, &self.issuer)?;
        let mut chain = vec![CertificateDer::from(certificate)];
        chain.extend(self.intermediates.iter().cloned());
        let certified = CertifiedKey::new(chain, Arc::clone(&key.private));
        Ok(Endpoint::new(
            &self.provider,
            certified,
            ClientCertificate::Required,
        )?)
    }
}

impl Key {
    fn generate(provider: &CryptoProvider) -> Result<Self, Box<dyn std::error::Error>> {
        let public = KeyPair::generate()?;
        let der = PrivatePkcs8KeyDer::from(public.serialize_der());
        let private = provider.key_provider.load_private_key(der.into())?;
        Ok(Self { public, private })
    }
}

impl std::fmt::Debug for Mint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mint")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

/// 127 random bits, positive, never zero (RFC 5280 §4.1.2.2).
pub(super) fn random_serial() -> Result<SerialNumber, getrandom::Error> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)?;
    let [first, ..] = &mut bytes;
    *first = (*first & 0x7f) | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

/// Letters, digits and inner hyphens; a last label that is no number, so it is no address.
fn is_dns_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=LONGEST_LABEL).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last_is_a_word = name
        .rsplit('.')
        .next()
        .is_some_and(|last| last.bytes().any(|byte| byte.is_ascii_alphabetic()));
    name.len() <= LONGEST_NAME && last_is_a_word && name.split('.').all(label)
}

#[cfg(test)]
mod tests;
