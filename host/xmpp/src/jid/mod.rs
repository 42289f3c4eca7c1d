//! Addresses: text flows in, a checked address with a normalised domain flows out (RFC 7622).
//!
//! [`Domain`] is what decisions compare: one spelling for all that DNS takes as the same name.
//! [`Jid`] keeps the text as it was written, since a gateway never rewrites addresses; its
//! localpart and resourcepart are checked for length and forbidden characters but not prepared:
//! that is for the service that owns them (RFC 7622 §3.1). Two `Jid`s that differ only in the
//! case of the localpart are therefore not equal.

mod domain;

use std::{fmt, str::FromStr, sync::Arc};

pub use domain::{Domain, DomainError};

/// The longest part of an address in bytes (RFC 7622 §3.2, §3.3, §3.4).
const PART_BYTES: usize = 1023;

/// Why a text is no address. The text's writer is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JidError {
    /// The text is empty.
    #[error("the address is empty")]
    Empty,
    /// There is an `@` without anything before it.
    #[error("the localpart is empty")]
    EmptyLocal,
    /// There is a `/` without anything after it.
    #[error("the resourcepart is empty")]
    EmptyResource,
    /// A part has more than 1023 bytes.
    #[error("the {0} is longer than 1023 bytes")]
    TooLong(&'static str),
    /// The domainpart is no domain.
    #[error("the domainpart is no domain: {0}")]
    Domain(#[from] DomainError),
    /// The localpart has a character that RFC 7622 §3.3.1 excludes. The domain is good.
    #[error("the localpart has a forbidden character")]
    LocalCharacter(Domain),
    /// The resourcepart has a control character. The domain is good.
    #[error("the resourcepart has a forbidden character")]
    ResourceCharacter(Domain),
}

/// An address as it was written, with its domain normalised. Cheap to clone.
#[derive(Clone)]
pub struct Jid {
    text: Arc<str>,
    /// Length of the localpart; 0 if there is none.
    local: usize,
    /// Where the domainpart ends.
    bare: usize,
    domain: Domain,
}

impl Jid {
    /// Splits and checks an address.
    ///
    /// # Errors
    /// Says which part is wrong. [`JidError::LocalCharacter`] and [`JidError::ResourceCharacter`]
    /// carry the domain, which is good, for an error reply.
    pub fn parse(text: &str) -> Result<Self, JidError> {
        if text.is_empty() {
            return Err(JidError::Empty);
        }
        // The order matters: the resourcepart goes first, since it may hold `@` (RFC 7622 §3.1).
        let (bare, resource) = match text.split_once('/') {
            Some((bare, resource)) => (bare, Some(resource)),
            None => (text, None),
        };
        let (local, domain) = match bare.split_once('@') {
            Some((local, domain)) => (Some(local), domain),
            None => (None, bare),
        };
        if local == Some("") {
            return Err(JidError::EmptyLocal);
        }
        if resource == Some("") {
            return Err(JidError::EmptyResource);
        }
        for (part, name) in [
            (local, "localpart"),
            (Some(domain), "domainpart"),
            (resource, "resourcepart"),
        ] {
            if part.is_some_and(|part| part.len() > PART_BYTES) {
                return Err(JidError::TooLong(name));
            }
        }
        let domain = Domain::parse(domain)?;
        if local.is_some_and(|local| local.chars().any(forbidden_in_local)) {
            return Err(JidError::LocalCharacter(domain));
        }
        if resource.is_some_and(|resource| resource.chars().any(char::is_control)) {
            return Err(JidError::ResourceCharacter(domain));
        }
        Ok(Self {
            text: Arc::from(text),
            local: local.map_or(0, str::len),
            bare: bare.len(),
            domain,
        })
    }

    /// The address as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The part before the `@`, as it was written.
    pub fn local(&self) -> Option<&str> {
        if self.local == 0 {
            None
        } else {
            self.text.get(..self.local)
        }
    }

    /// The domain, normalised.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// The part after the first `/`, as it was written.
    pub fn resource(&self) -> Option<&str> {
        self.text.get(self.bare + 1..)
    }

    /// The address without its resourcepart, as it was written.
    pub fn bare(&self) -> &str {
        self.text.get(..self.bare).unwrap_or(&self.text)
    }

    /// The same address without its resourcepart.
    #[must_use]
    pub fn to_bare(&self) -> Self {
        if self.bare == self.text.len() {
            return self.clone();
        }
        Self {
            text: Arc::from(self.bare()),
            ..self.clone()
        }
    }
}

/// RFC 7622 §3.3.1, and what no profile of PRECIS lets into a localpart: space and controls.
fn forbidden_in_local(c: char) -> bool {
    matches!(c, '"' | '&' | '\'' | '/' | ':' | '<' | '>' | '@')
        || c.is_whitespace()
        || c.is_control()
}

impl From<Domain> for Jid {
    fn from(domain: Domain) -> Self {
        let text = domain.to_shared();
        Self {
            bare: text.len(),
            text,
            local: 0,
            domain,
        }
    }
}

impl FromStr for Jid {
    type Err = JidError;

    fn from_str(text: &str) -> Result<Self, JidError> {
        Self::parse(text)
    }
}

impl fmt::Display for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Jid({:?})", self.text)
    }
}

/// Equal if localpart and resourcepart are the same text and the domains are the same name.
impl PartialEq for Jid {
    fn eq(&self, other: &Self) -> bool {
        self.domain == other.domain
            && self.local() == other.local()
            && self.resource() == other.resource()
    }
}

impl Eq for Jid {}

impl std::hash::Hash for Jid {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.local().hash(state);
        self.domain.hash(state);
        self.resource().hash(state);
    }
}

#[cfg(test)]
mod tests;
