//! Whom each side believes: the trust anchors.
//!
//! In: `[federation].trust`, the `trust` of partner records, and `[internal].client_ca`. Out: one set
//! of anchors per side, and one for each partner that has its own; they never mix: an authority of
//! the outside proves nothing inside, one partner's authority proves nobody else, and the public ones
//! do not prove a partner who has its own. What can fail: a file that is missing, is no PEM, or holds
//! no certificate.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use portcullis_xmpp::jid::Domain;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

use crate::config;

use super::Side;
use super::files::{Files, certificates};
use super::problem::{Problem, Problems};
use super::settings::Settings;

/// The anchors of both sides and of single partners. A policy generation owns one; a clone is cheap.
#[derive(Clone, Debug)]
pub struct Trust {
    federation: Arc<RootCertStore>,
    internal: Arc<RootCertStore>,
    /// By the record's main domain.
    partners: Arc<HashMap<Domain, Arc<RootCertStore>>>,
    files: Arc<Files>,
}

impl Trust {
    pub(super) fn load(settings: &Settings) -> Result<Self, Vec<Problem>> {
        let mut problems = Problems::default();
        let mut files = Files::default();
        let mut stores = Stores::default();
        let federation = stores.of(&settings.trust, &mut files, &mut problems);
        let partners = (settings.partner_trust.iter())
            .map(|(domain, sources)| {
                let store = stores.of(sources, &mut files, &mut problems);
                (domain.clone(), store)
            })
            .collect();
        let mut internal = RootCertStore::empty();
        problems.take(add_file(&mut internal, &settings.client_ca, &mut files));
        problems.into_result()?;
        Ok(Self {
            federation,
            internal: Arc::new(internal),
            partners: Arc::new(partners),
            files: Arc::new(files),
        })
    }

    pub(super) fn anchors(&self, side: Side) -> &RootCertStore {
        match side {
            Side::Federation => &self.federation,
            Side::Internal => &self.internal,
        }
    }

    /// The anchors of a partner whose record has some of its own.
    pub(super) fn anchors_of(&self, record: &Domain) -> Option<&RootCertStore> {
        self.partners.get(record).map(Arc::as_ref)
    }

    /// The trust files whose content is no longer what was loaded.
    #[must_use]
    pub fn changed_files(&self) -> Vec<PathBuf> {
        self.files.changed()
    }

    /// All files this was read from, for a watcher.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.paths()
    }
}

/// Equal lists of sources share their anchors: a thousand partners below one authority cost one store.
#[derive(Default)]
struct Stores(HashMap<Vec<config::Trust>, Arc<RootCertStore>>);

impl Stores {
    fn of(
        &mut self,
        sources: &[config::Trust],
        files: &mut Files,
        problems: &mut Problems,
    ) -> Arc<RootCertStore> {
        if let Some(known) = self.0.get(sources) {
            return Arc::clone(known);
        }
        let mut store = RootCertStore::empty();
        for source in sources {
            match source {
                config::Trust::System => problems.take(add_system(&mut store)),
                config::Trust::File(path) => problems.take(add_file(&mut store, path, files)),
            };
        }
        let store = Arc::new(store);
        self.0.insert(sources.to_vec(), Arc::clone(&store));
        store
    }
}

fn add_system(store: &mut RootCertStore) -> Result<(), Problem> {
    let found = rustls_native_certs::load_native_certs();
    // Distributions ship certificates that webpki cannot read; the rest still is the system's trust.
    let (added, _unreadable) = store.add_parsable_certificates(found.certs);
    if added > 0 {
        return Ok(());
    }
    let cause = found
        .errors
        .first()
        .map_or_else(String::new, |error| format!(": {error}"));
    Err(Problem::general(format!(
        "trust = \"system\": this system has no certificate authorities{cause}"
    ))
    .with_help("install the package ca-certificates, or name a file in [federation].trust"))
}

fn add_file(store: &mut RootCertStore, path: &Path, files: &mut Files) -> Result<(), Problem> {
    for certificate in read_authorities(path, files)? {
        store.add(certificate).map_err(|error| {
            Problem::error(
                path,
                format!("holds a certificate that cannot be a trust anchor: {error}"),
            )
        })?;
    }
    Ok(())
}

/// The certificates of a trust file, at least one.
pub(super) fn read_authorities(
    path: &Path,
    files: &mut Files,
) -> Result<Vec<CertificateDer<'static>>, Problem> {
    certificates(path, &files.read(path)?)
}
