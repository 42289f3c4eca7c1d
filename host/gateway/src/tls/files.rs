//! Reading certificate and key files, and noticing when they change.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};

use super::problem::Problem;

/// No certificate or key file is larger: the biggest is a bundle of all public authorities, 0.3 MiB.
const MOST_BYTES: u64 = 4 * 1024 * 1024;
/// Mode bits a key file should not have. The group may read: that is how distributions share keys
/// (Debian's `ssl-cert`).
const TOO_OPEN: u32 = 0o027;

/// The digests of the files that something was loaded from. Digests, because a file that was
/// replaced through a symbolic link keeps no useful time, and one that was touched has not changed.
#[derive(Debug, Default)]
pub(super) struct Files(BTreeMap<PathBuf, [u8; 32]>);

impl Files {
    /// Reads a whole file and remembers what was in it.
    pub(super) fn read(&mut self, path: &Path) -> Result<Vec<u8>, Problem> {
        let content = read(path)?;
        self.0.insert(path.to_owned(), digest(&content));
        Ok(content)
    }

    /// The files that now hold something else, or are gone.
    pub(super) fn changed(&self) -> Vec<PathBuf> {
        self.0
            .iter()
            .filter(|(path, loaded)| {
                read(path).map(|content| digest(&content)).as_ref() != Ok(*loaded)
            })
            .map(|(path, _)| path.clone())
            .collect()
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.keys().map(PathBuf::as_path)
    }
}

fn digest(content: &[u8]) -> [u8; 32] {
    Sha256::digest(content).into()
}

fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    let unreadable = |error| Problem::error(path, format!("cannot be read: {error}"));
    let size = fs::metadata(path).map_err(unreadable)?.len();
    if size > MOST_BYTES {
        return Err(Problem::error(
            path,
            format!("is {size} bytes: no certificate or key file"),
        ));
    }
    fs::read(path).map_err(unreadable)
}

/// The certificates of a PEM file, in their order, at least one.
pub(super) fn certificates(
    path: &Path,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let all = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Problem::error(path, format!("is no valid PEM file: {error}")))?;
    if all.is_empty() {
        return Err(Problem::error(path, "holds no certificate")
            .with_help("expected PEM: -----BEGIN CERTIFICATE-----"));
    }
    Ok(all)
}

/// The first private key of a PEM file.
pub(super) fn private_key(path: &Path, pem: &[u8]) -> Result<PrivateKeyDer<'static>, Problem> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| {
        Problem::error(path, format!("holds no private key: {error}"))
            .with_help("expected PEM, not encrypted: -----BEGIN PRIVATE KEY-----")
    })
}

/// A warning if others than the owner may read a key.
pub(super) fn openness(path: &Path) -> Option<Problem> {
    let mode = fs::metadata(path).ok()?.permissions().mode();
    (mode & TOO_OPEN != 0).then(|| {
        Problem::warning(
            path,
            format!(
                "a private key that others may read or change (mode {:o})",
                mode & 0o777
            ),
        )
        .with_help(format!("chmod 600 {}", path.display()))
    })
}
