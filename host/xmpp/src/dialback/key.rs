//! Dialback keys (XEP-0185).

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{Verification, Verified};
use crate::jid::Domain;

/// What proves that a stream was opened by a domain's own server. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// The longest key that is taken from a peer, in bytes. Ours have 64, as XEP-0185 makes them;
    /// other ways to make them are allowed, and a key goes on to another server.
    pub const BYTES: usize = 1024;

    /// What a peer sent; none if it is empty or longer than [`Self::BYTES`].
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty() && text.len() <= Self::BYTES).then(|| Self(text.to_owned()))
    }

    /// As it stands in an element.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// What the keys of all our domains are made from. The same on all gateways that serve them, or
/// random at each start. `Debug` does not show it.
#[derive(Clone)]
pub struct Secret(Hmac<Sha256>);

impl Secret {
    /// From a passphrase, or from at least 128 random bits in whatever form.
    pub fn new(passphrase: &str) -> Self {
        // XEP-0185 §2: the key of the HMAC is the hash in hexadecimal letters, not its bytes.
        let hash = hex(&Sha256::digest(passphrase));
        Self(
            <Hmac<Sha256> as Mac>::new_from_slice(hash.as_bytes())
                .unwrap_or_else(|_| <Hmac<Sha256> as Mac>::new(&Default::default())),
        )
    }

    /// The key for a stream. The id must be as the receiving server wrote it.
    pub fn key(&self, receiving: &Domain, originating: &Domain, stream_id: &str) -> Key {
        let mut mac = self.0.clone();
        // The spaces keep two pairs of domains from having the same text (CVE-2016-0756): a domain
        // has none.
        mac.update(format!("{receiving} {originating} {stream_id}").as_bytes());
        Key(hex(&mac.finalize().into_bytes()))
    }

    /// Whether a key is ours, compared in constant time (CVE-2021-32921).
    pub fn verify(&self, asked: &Verification) -> Verified {
        let ours = self.key(&asked.receiving, &asked.originating, &asked.stream_id);
        if bool::from(ours.0.as_bytes().ct_eq(asked.key.0.as_bytes())) {
            Verified::Valid
        } else {
            Verified::Invalid
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // A String takes everything.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
