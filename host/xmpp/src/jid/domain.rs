//! Domain names in the one spelling that is compared.

use std::{borrow::Borrow, fmt, net::Ipv6Addr, str::FromStr, sync::Arc};

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

/// The longest name that DNS can carry, in bytes, without the root's dot (RFC 1035 §2.3.4).
const NAME_BYTES: usize = 253;
/// The longest label (RFC 1035 §2.3.4).
const LABEL_BYTES: usize = 63;
/// The longest text that is looked at, in bytes: RFC 7622 §3.2's bound for a domainpart.
const TEXT_BYTES: usize = 1023;

/// Why a text is no domain. The text's writer is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DomainError {
    /// Nothing, or only a dot.
    #[error("it is empty")]
    Empty,
    /// Longer than 253 bytes, or a label longer than 63.
    #[error("it is longer than DNS allows")]
    TooLong,
    /// An IPv4 or IPv6 address. No certificate and no DNS record is looked up for one.
    #[error("it is an IP address")]
    Address,
    /// UTS #46 refuses it: an empty label, a forbidden character, a bad A-label, a mixed direction.
    #[error("it is no valid internationalised domain name (UTS #46)")]
    Invalid,
}

/// A domain name, normalised: A-labels in lower case, no trailing dot, no IP address. Names that
/// DNS takes as the same are equal here. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Domain(Arc<str>);

impl Domain {
    /// Normalises a name: case, U-labels to A-labels (UTS #46, nontransitional: `ß` stays itself),
    /// one trailing dot.
    ///
    /// # Errors
    /// Says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, DomainError> {
        if is_normal(text) {
            return Ok(Self(Arc::from(text)));
        }
        if text.len() > TEXT_BYTES {
            return Err(DomainError::TooLong);
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.is_empty() {
            return Err(DomainError::Empty);
        }
        let bracketed = name
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(name);
        if bracketed.parse::<Ipv6Addr>().is_ok() {
            return Err(DomainError::Address);
        }
        let ascii = Uts46::new()
            .to_ascii(
                name.as_bytes(),
                AsciiDenyList::STD3,
                Hyphens::CheckFirstLast,
                DnsLength::Ignore,
            )
            .map_err(|_| DomainError::Invalid)?;
        if ascii.len() > NAME_BYTES || ascii.split('.').any(|label| label.len() > LABEL_BYTES) {
            return Err(DomainError::TooLong);
        }
        if ascii.split('.').any(str::is_empty) {
            return Err(DomainError::Invalid);
        }
        // Also `0x7f.1` and `127.1`, which some resolvers take as addresses: the last label of a
        // name is never a number (RFC 3696 §2).
        if ascii.rsplit('.').next().is_some_and(is_number) {
            return Err(DomainError::Address);
        }
        Ok(Self(Arc::from(ascii.as_ref())))
    }

    /// The normalised name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this name is below `parent`, at any depth. A name is not below itself.
    pub fn is_subdomain_of(&self, parent: &Self) -> bool {
        self.0
            .strip_suffix(&*parent.0)
            .is_some_and(|rest| rest.ends_with('.'))
    }

    /// The names above this one, the nearest first: `a.b.test` has `b.test` and `test`.
    pub fn parents(&self) -> impl Iterator<Item = &str> {
        std::iter::successors(Some(&*self.0), |name| Some(name.split_once('.')?.1)).skip(1)
    }

    pub(super) fn to_shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

/// The quick way for what nearly every stanza carries: a name that already is in its one spelling.
/// Says no to whatever needs a closer look.
fn is_normal(text: &str) -> bool {
    text.len() <= NAME_BYTES
        && text.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= LABEL_BYTES
                && label
                    .bytes()
                    .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
                && !label.starts_with('-')
                && !label.ends_with('-')
                && !label.starts_with("xn--")
        })
        && text.rsplit('.').next().is_some_and(|last| !is_number(last))
}

fn is_number(label: &str) -> bool {
    match label.strip_prefix("0x") {
        Some(hex) => hex.bytes().all(|b| b.is_ascii_hexdigit()),
        None => label.bytes().all(|b| b.is_ascii_digit()),
    }
}

impl FromStr for Domain {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, DomainError> {
        Self::parse(text)
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Domain({})", self.0)
    }
}

impl AsRef<str> for Domain {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Domain {
    fn borrow(&self) -> &str {
        &self.0
    }
}
