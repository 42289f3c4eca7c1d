//! What a generation is made from, as it was at one moment.
//!
//! In: the configuration file, or what was kept of a generation. Out: a [`Content`]: the
//! configuration, its policy as text, and the digest of every file that it names; and the [`Bytes`]
//! of these files, so that what is built, what is reported and what is kept are the same. A file that
//! cannot be read has no digest and no bytes: building the generation says why.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use portcullis_policy::GenerationSpec;
use sha2::{Digest, Sha256};

use super::history::Record;
use super::start::generation_spec;
use crate::config::{Config, Plugin, Problem, Rejected, Trust};
use crate::tls;

/// No file of a generation is larger: four times the largest component that may be configured.
const MOST_BYTES: u64 = 256 * 1024 * 1024;

/// What each file holds, by the path that the configuration has for it.
pub(super) type Bytes = BTreeMap<PathBuf, Arc<[u8]>>;

/// See the module. Equal ones make equal generations.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Content {
    pub(super) config: Config,
    /// Where relative paths of its policy start, and those of components.
    pub(super) base: PathBuf,
    pub(super) plugins_dir: PathBuf,
    /// Every file that the policy names. None: it could not be read.
    pub(super) digests: BTreeMap<PathBuf, Option<[u8; 32]>>,
    /// Where the content of a file is read from, if not from its own path: what was kept of it.
    pub(super) places: BTreeMap<PathBuf, PathBuf>,
}

impl Content {
    /// Reads the configuration and everything that it names. Blocks.
    ///
    /// # Errors
    /// [`Rejected`], if the configuration is faulty.
    pub(super) fn read(file: &Path) -> Result<(Self, Bytes, Vec<Problem>), Rejected> {
        let loaded = Config::read(file)?;
        let (content, bytes) = Self::of(loaded.config);
        Ok((content, bytes, loaded.warnings))
    }

    /// Reads what this configuration names. Blocks.
    pub(super) fn of(config: Config) -> (Self, Bytes) {
        let mut digests = BTreeMap::new();
        let mut bytes = Bytes::new();
        for path in files(&config) {
            let held = read(&path).ok();
            let digest = held.as_ref().map(|held| Sha256::digest(held).into());
            digests.insert(path.clone(), digest);
            bytes.extend(held.map(|held| (path, Arc::from(held))));
        }
        let content = Self {
            base: config.file.parent().unwrap_or(Path::new("/")).to_owned(),
            plugins_dir: config.gateway.plugins_dir.clone(),
            config,
            digests,
            places: BTreeMap::new(),
        };
        (content, bytes)
    }

    /// What a generation of the past was made from, with everything of `config` that only a restart
    /// changes, its revocation lists and its keys that sign components.
    ///
    /// # Errors
    /// Its policy is none for this gateway.
    pub(super) fn restored(
        config: &Config,
        record: &Record,
        places: BTreeMap<PathBuf, PathBuf>,
    ) -> Result<Self, String> {
        let restored = config.with_policy(&record.policy, &record.base, &record.plugins_dir);
        let config = restored.map_err(|rejected| {
            let problems: Vec<_> = rejected.errors().map(ToString::to_string).collect();
            let number = record.kept.number;
            format!(
                "the policy of generation {number} is none for this gateway: {}",
                problems.join("; ")
            )
        })?;
        let digests = record.files.iter();
        Ok(Self {
            config,
            base: record.base.clone(),
            plugins_dir: record.plugins_dir.clone(),
            digests: digests
                .map(|(path, digest)| (path.clone(), unhex(digest)))
                .collect(),
            places,
        })
    }

    /// The digest of what a file held.
    pub(super) fn digest(&self, path: &Path) -> Option<[u8; 32]> {
        self.digests.get(path).copied().flatten()
    }

    /// A number for the whole: what a generation of this content would be.
    pub(super) fn identity(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        let mut add = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        add(self.config.policy.as_bytes());
        for (path, digest) in &self.digests {
            // What could not be read is not kept either.
            if let Some(digest) = digest {
                add(path.as_os_str().as_encoded_bytes());
                add(digest);
            }
        }
        hash.finalize().into()
    }

    /// The first file that is not any more what it was. Blocks. What is built from bytes that were read
    /// before is not looked at again.
    pub(super) fn moved(&self, bytes: &Bytes) -> Option<&Path> {
        let components: BTreeSet<_> = (self.config.plugins.iter())
            .map(|plugin| &plugin.component)
            .filter(|component| bytes.contains_key(*component))
            .collect();
        let others = self
            .digests
            .iter()
            .filter(|(path, _)| !components.contains(path));
        let mut moved = others.filter(|(path, digest)| {
            let place = self.places.get(*path).unwrap_or(path);
            let now = read(place).ok().map(|held| Sha256::digest(held).into());
            now != **digest
        });
        moved.next().map(|(path, _)| path.as_path())
    }

    /// What the generation of this content is built from.
    pub(super) fn spec(&self, bytes: &Bytes, number: u64) -> GenerationSpec {
        let mut spec = generation_spec(&self.config, number);
        for plugin in &mut spec.plugins {
            plugin.content = bytes.get(&plugin.component).cloned();
        }
        for file in spec
            .plugins
            .iter_mut()
            .flat_map(|spec| spec.files.values_mut())
        {
            if let Some(kept) = self.places.get(file) {
                file.clone_from(kept);
            }
        }
        if !self.places.is_empty() {
            let keys = !self.config.gateway.plugin_keys.is_empty();
            for (spec, plugin) in spec.plugins.iter_mut().zip(&self.config.plugins) {
                let kept = self.places.get(&signature(plugin)).cloned();
                let needed = plugin.signature.is_some() || plugin.sha256.is_none();
                // Where no key is trusted any more there is nothing to compare a signature with.
                spec.signature = kept.filter(|_| needed && keys);
            }
        }
        spec
    }

    /// What the trust anchors of this content are loaded from.
    pub(super) fn tls_settings(&self) -> tls::Settings {
        let mut settings = tls::Settings::from(&self.config);
        let place = |path: &mut PathBuf| {
            if let Some(kept) = self.places.get(path) {
                path.clone_from(kept);
            }
        };
        let lists = std::iter::once(&mut settings.trust)
            .chain(settings.partner_trust.iter_mut().map(|(_, list)| list));
        for trust in lists.flatten() {
            if let Trust::File(path) = trust {
                place(path);
            }
        }
        place(&mut settings.client_ca);
        settings
    }

    /// The directories of all these files.
    pub(super) fn directories(&self) -> BTreeSet<PathBuf> {
        let config = &self.config;
        let mut directories: BTreeSet<PathBuf> = (self.digests.keys())
            .chain([&config.file])
            .filter_map(|file| file.parent())
            .map(PathBuf::from)
            .collect();
        directories.insert(config.gateway.plugins_dir.clone());
        directories.extend(config.gateway.partners_dir.clone());
        directories
    }
}

pub(super) fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(digest: &str) -> Option<[u8; 32]> {
    let pairs = digest.as_bytes().chunks(2);
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    pairs
        .map(byte)
        .collect::<Option<Vec<u8>>>()?
        .try_into()
        .ok()
}

/// Where a plugin's signature is, whether there is one or not.
pub(super) fn signature(plugin: &Plugin) -> PathBuf {
    plugin.signature.clone().unwrap_or_else(|| {
        let mut name = plugin.component.clone().into_os_string();
        name.push(".sig");
        PathBuf::from(name)
    })
}

/// The files that a generation of this configuration is made from.
fn files(config: &Config) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    for plugin in &config.plugins {
        files.insert(plugin.component.clone());
        files.extend(plugin.files.values().cloned());
        if !config.gateway.plugin_keys.is_empty() {
            files.insert(signature(plugin));
        }
    }
    files.extend(config.gateway.plugin_keys.iter().cloned());
    let partners = config.partners.iter().flat_map(|partner| &partner.trust);
    for trust in config.federation.trust.iter().chain(partners) {
        if let Trust::File(path) = trust {
            files.insert(path.clone());
        }
    }
    files.insert(config.internal.client_ca.clone());
    files
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Opening a named pipe would wait for a writer.
    if !path.metadata()?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}
