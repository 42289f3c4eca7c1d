//! The gateway's own certificates and keys, read from files and ready to be shown.
//!
//! In: the paths of the configuration. Out: for each side the certificate that stands for a domain.
//! What can fail: everything about files; all problems are reported together. Replaced as a whole
//! by [`super::Tls::reload`]; connections that run keep what they were made with.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use portcullis_xmpp::identity::Names;
use portcullis_xmpp::jid::Domain;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use time::OffsetDateTime;

use crate::config;

use super::endpoint::Endpoint;
use super::files::{Files, certificates, openness, private_key};
use super::mint::Mint;
use super::problem::{Problem, Problems};
use super::settings::Settings;
use super::trust::read_authorities;
use super::verifier::ClientCertificate;

/// Everything that the gateway shows to others.
#[derive(Debug)]
pub(super) struct Material {
    federation: Vec<Identity>,
    /// `[internal].certificate`, shown where nothing is minted.
    pub(super) internal: Identity,
    pub(super) mint: Option<Mint>,
    pub(super) files: Files,
    pub(super) warnings: Vec<Problem>,
}

/// One certificate of ours.
#[derive(Debug)]
pub(super) struct Identity {
    domains: Vec<Domain>,
    file: PathBuf,
    not_after: OffsetDateTime,
    pub(super) endpoint: Endpoint,
}

/// A certificate of ours that ends soon, or has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiring {
    /// The file it was read from.
    pub file: PathBuf,
    /// Its last moment.
    pub not_after: OffsetDateTime,
}

impl Material {
    pub(super) fn load(
        settings: &Settings,
        provider: &Arc<CryptoProvider>,
        now: OffsetDateTime,
    ) -> Result<Self, Vec<Problem>> {
        let mut problems = Problems::default();
        let mut files = Files::default();

        let mut federation = Vec::new();
        for wanted in &settings.identities {
            let loaded = Identity::load(wanted, ClientCertificate::Requested, provider, &mut files);
            if let Some((identity, names)) = problems.take(loaded) {
                identity.warn(wanted, now, &mut problems);
                for domain in wanted.domains.iter().filter(|domain| !names.proves(domain)) {
                    problems.push(not_named(&identity.file, domain));
                }
                federation.push(identity);
            }
        }
        let wanted = &settings.internal;
        let loaded = Identity::load(wanted, ClientCertificate::Required, provider, &mut files);
        let internal = problems.take(loaded).map(|(identity, _)| identity);
        if let Some(identity) = &internal {
            identity.warn(wanted, now, &mut problems);
        }
        let mut mint = None;
        if let Some(wanted) = &settings.mint {
            let client_ca =
                problems.take(read_authorities(&settings.client_ca, &mut Files::default()));
            let client_ca = client_ca.unwrap_or_default();
            let loaded = Mint::load(
                wanted,
                &settings.own_domains,
                &client_ca,
                provider,
                &mut files,
                now,
            );
            match loaded {
                Ok(ready) => mint = Some(ready),
                Err(found) => found.into_iter().for_each(|problem| problems.push(problem)),
            }
            if let Some(problem) = openness(&wanted.key) {
                problems.push(problem);
            }
        }
        let warnings = problems.into_result()?;
        let Some(internal) = internal else {
            return Err(warnings);
        };
        Ok(Self {
            federation,
            internal,
            mint,
            files,
            warnings,
        })
    }

    /// What partners are shown for one of our domains; without a name, the default.
    pub(super) fn for_partners(&self, domain: Option<&Domain>) -> Option<&Identity> {
        domain
            .and_then(|domain| {
                self.federation
                    .iter()
                    .find(|identity| identity.domains.contains(domain))
            })
            .or_else(|| self.federation.first())
    }

    pub(super) fn expiring(&self, before: OffsetDateTime) -> Vec<Expiring> {
        let identities = self.federation.iter().chain([&self.internal]);
        let mut ends: Vec<Expiring> = identities
            .map(|identity| Expiring {
                file: identity.file.clone(),
                not_after: identity.not_after,
            })
            .chain(self.mint.iter().map(Mint::expiry))
            .collect();
        ends.retain(|end| end.not_after <= before);
        ends.sort_by_key(|end| end.not_after);
        ends
    }
}

impl Identity {
    fn load(
        wanted: &config::Identity,
        from_clients: ClientCertificate,
        provider: &Arc<CryptoProvider>,
        files: &mut Files,
    ) -> Result<(Self, Names), Problem> {
        let file = &wanted.certificate;
        let chain = certificates(file, &files.read(file)?)?;
        let key = private_key(&wanted.key, &files.read(&wanted.key)?)?;
        let unreadable = |error: &dyn std::fmt::Display| {
            Problem::error(
                file,
                format!("holds a certificate that cannot be read: {error}"),
            )
        };
        let end_entity = chain
            .first()
            .ok_or_else(|| Problem::error(file, "holds no certificate"))?;
        let not_after = not_after(end_entity).map_err(|error| unreadable(&error))?;
        let names = Names::of(end_entity).map_err(|error| unreadable(&error))?;
        let certified =
            CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => Problem::error(
                    file,
                    format!("is not the certificate of the key {}", wanted.key.display()),
                )
                .with_help("the certificate of the server has to come first in the file"),
                error => Problem::error(
                    &wanted.key,
                    format!("is a key that cannot be used: {error}"),
                ),
            })?;
        let endpoint = Endpoint::new(provider, certified, from_clients)
            .map_err(|error| Problem::error(file, format!("cannot be used: {error}")))?;
        let identity = Self {
            domains: wanted.domains.clone(),
            file: file.clone(),
            not_after,
            endpoint,
        };
        Ok((identity, names))
    }

    fn warn(&self, wanted: &config::Identity, now: OffsetDateTime, problems: &mut Problems) {
        if self.not_after <= now {
            let text = format!("the certificate expired on {}", self.not_after.date());
            problems.push(
                Problem::warning(&self.file, text).with_help("peers will refuse it: renew it"),
            );
        }
        if let Some(problem) = openness(&wanted.key) {
            problems.push(problem);
        }
    }
}

fn not_named(file: &Path, domain: &Domain) -> Problem {
    Problem::warning(file, format!("the certificate is not valid for {domain}, which it is shown for"))
        .with_help("strict partners will refuse streams of this domain: add it to the certificate, or a [[federation.identity]] for it")
}

pub(super) fn not_after(certificate: &CertificateDer<'_>) -> Result<OffsetDateTime, String> {
    let (_, parsed) =
        x509_parser::parse_x509_certificate(certificate).map_err(|error| error.to_string())?;
    Ok(parsed.validity().not_after.to_datetime())
}
