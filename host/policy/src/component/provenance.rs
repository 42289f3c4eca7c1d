//! Whether a component file is the one that somebody vouches for.
//!
//! In: the bytes of the file, the digest that the operator pins it to, its signature, the keys that
//! the operator trusts. Out: nothing, or why it is refused. It is asked before any compiler sees the
//! bytes. What it does not say: that the component is any good.
//!
//! A signature is Ed25519 (RFC 8032) over the whole file, as `openssl pkeyutl -sign -rawin` writes it:
//! 64 bytes. A key is a public key in PEM (RFC 8410), as `openssl pkey -pubout` writes it.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject;

use super::{ComponentError, Digest};
use crate::spec::PluginSpec;

/// A signature (RFC 8032 §5.1.6).
const SIGNATURE_BYTES: usize = 64;
/// SubjectPublicKeyInfo of an Ed25519 key up to the key itself (RFC 8410 §4).
const KEY_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
/// A PEM file with one key has 113 bytes; some people write above it whose it is.
const MAX_KEY_FILE: u64 = 16 * 1024;

/// Why a key that should be trusted cannot be. The operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error("cannot read {}: {error}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The file holds something else.
    #[error(
        "{} holds no Ed25519 public key in PEM; `openssl pkey -in KEY.pem -pubout` writes one", .0.display()
    )]
    NoKey(PathBuf),
}

/// A key whose signature on a component is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublicKey([u8; 32]);

impl PublicKey {
    pub(crate) fn read(file: &Path) -> Result<Self, KeyError> {
        let text = read_at_most(file, MAX_KEY_FILE).map_err(|error| KeyError::Read {
            file: file.to_owned(),
            error,
        })?;
        Self::parse(&text).ok_or_else(|| KeyError::NoKey(file.to_owned()))
    }

    fn parse(pem: &[u8]) -> Option<Self> {
        let info = SubjectPublicKeyInfoDer::from_pem_slice(pem).ok()?;
        let key = info.as_ref().strip_prefix(&KEY_PREFIX)?;
        key.try_into().ok().map(Self)
    }

    fn has_signed(&self, bytes: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0)
            .verify(bytes, signature)
            .is_ok()
    }
}

/// Checks the pin, if there is one, and the signature: where keys are trusted it must be there
/// unless the operator's pin vouches for the component, and one that is named is checked in any case.
pub(crate) fn check_provenance(
    plugin: &PluginSpec,
    bytes: &[u8],
    digest: Digest,
    keys: &[PublicKey],
) -> Result<(), ComponentError> {
    if let Some(pinned) = plugin.sha256
        && Digest(pinned) != digest
    {
        return Err(ComponentError::Pinned {
            pinned: Digest(pinned),
            found: digest,
        });
    }
    let needed = !keys.is_empty() && plugin.sha256.is_none();
    if !needed && plugin.signature.is_none() {
        return Ok(());
    }
    let file = signature_file(plugin);
    let limit = SIGNATURE_BYTES as u64;
    let signature = read_at_most(&file, limit).map_err(|error| ComponentError::Unsigned {
        file: file.clone(),
        reason: error.to_string(),
    })?;
    if keys.iter().any(|key| key.has_signed(bytes, &signature)) {
        return Ok(());
    }
    Err(ComponentError::Forged { file })
}

/// Where the signature of a plugin is: where its settings say, or beside the component.
fn signature_file(plugin: &PluginSpec) -> PathBuf {
    plugin.signature.clone().unwrap_or_else(|| {
        let mut name = plugin.component.clone().into_os_string();
        name.push(".sig");
        PathBuf::from(name)
    })
}

fn read_at_most(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let text = format!("it is larger than {limit} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8410 §10.1: an Ed25519 public key.
    const KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
        -----END PUBLIC KEY-----\n";

    #[test]
    fn a_public_key_is_read_from_pem_and_nothing_else_is() {
        assert!(PublicKey::parse(KEY.as_bytes()).is_some());
        for wrong in [
            "",
            "-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----\n",
        ] {
            assert!(PublicKey::parse(wrong.as_bytes()).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_signature_holds_for_one_content_and_one_key() {
        // RFC 8032 §7.1, TEST 2.
        let hex = |text: &str| -> Vec<u8> {
            (0..text.len() / 2)
                .map(|n| u8::from_str_radix(&text[2 * n..2 * n + 2], 16).unwrap())
                .collect()
        };
        let key = hex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
        let key = PublicKey(key.try_into().unwrap());
        let signature = hex(
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        );
        assert!(key.has_signed(&[0x72], &signature));
        assert!(!key.has_signed(&[0x73], &signature));
        assert!(!key.has_signed(&[0x72], &signature[..63]));
        let other = PublicKey::parse(KEY.as_bytes()).unwrap();
        assert!(!other.has_signed(&[0x72], &signature));
    }
}
