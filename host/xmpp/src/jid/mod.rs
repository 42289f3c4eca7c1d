//! Addresses: text flows in, a checked address with a normalised domain flows out (RFC 7622).
//!
//! [`Domain`] is what decisions compare: one spelling for all that DNS takes as the same name.
//! [`Jid`] keeps the text as it was written, since a gateway never rewrites addresses, and compares
//! by the normal forms of RFC 7622: `Juliet@alpha.test` equals `juliet@ALPHA.test.`.
//!
//! How much of RFC 7622 the localpart and the resourcepart are held to is a matter of
//! [`Strictness`]: they belong to the service behind the domain, and older services follow RFC 6122.
//! The domainpart is always held to all of it.

mod domain;
mod precis;
mod recent;

use std::{borrow::Cow, fmt, str::FromStr, sync::Arc};

pub use domain::{Domain, DomainError};
pub(crate) use recent::RecentJids;

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
    /// The localpart has a character that may not stand in one, or not there (RFC 7622 §3.3). The
    /// domain is good.
    #[error("the localpart has a forbidden character")]
    LocalCharacter(Domain),
    /// The same for the resourcepart (RFC 7622 §3.4). The domain is good.
    #[error("the resourcepart has a forbidden character")]
    ResourceCharacter(Domain),
}

/// How much of RFC 7622 a localpart and a resourcepart are held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Strictness {
    /// What older servers let their users be called passes too (RFC 6122: `a♥b`), unless others could
    /// read it as another address or cannot see it.
    #[default]
    Tolerant,
    /// The profiles UsernameCaseMapped and OpaqueString (RFC 8265).
    Strict,
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
    /// The localpart's normal form, if it is another text.
    normal_local: Option<Arc<str>>,
    /// The resourcepart's, likewise.
    normal_resource: Option<Arc<str>>,
}

impl Jid {
    /// Splits and checks an address, tolerantly.
    ///
    /// # Errors
    /// As [`Self::parse_as`].
    pub fn parse(text: &str) -> Result<Self, JidError> {
        Self::parse_as(text, Strictness::Tolerant)
    }

    /// Splits and checks an address.
    ///
    /// # Errors
    /// Says which part is wrong. [`JidError::LocalCharacter`] and [`JidError::ResourceCharacter`]
    /// carry the domain, which is good, for an error reply.
    pub fn parse_as(text: &str, strictness: Strictness) -> Result<Self, JidError> {
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
        let normal_local = match local.map(|local| normal_local(local, strictness)) {
            Some(None) => return Err(JidError::LocalCharacter(domain)),
            normal => other_text(normal.flatten()),
        };
        let normal_resource = match resource.map(|part| normal_resource(part, strictness)) {
            Some(None) => return Err(JidError::ResourceCharacter(domain)),
            normal => other_text(normal.flatten()),
        };
        Ok(Self {
            text: Arc::from(text),
            local: local.map_or(0, str::len),
            bare: bare.len(),
            domain,
            normal_local,
            normal_resource,
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

    /// The localpart in the form that is compared.
    pub fn normal_local(&self) -> Option<&str> {
        self.normal_local.as_deref().or_else(|| self.local())
    }

    /// The resourcepart in the form that is compared.
    pub fn normal_resource(&self) -> Option<&str> {
        self.normal_resource.as_deref().or_else(|| self.resource())
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

    /// The form that is compared: equal addresses, and only those, have the same one.
    pub fn to_normal(&self) -> String {
        let mut normal = String::with_capacity(self.text.len());
        if let Some(local) = self.normal_local() {
            normal.push_str(local);
            normal.push('@');
        }
        normal.push_str(self.domain.as_str());
        if let Some(resource) = self.normal_resource() {
            normal.push('/');
            normal.push_str(resource);
        }
        normal
    }

    /// The same address without its resourcepart.
    #[must_use]
    pub fn to_bare(&self) -> Self {
        if self.bare == self.text.len() {
            return self.clone();
        }
        Self {
            text: Arc::from(self.bare()),
            normal_resource: None,
            ..self.clone()
        }
    }
}

/// None if it is refused, also because its normal form is too long (RFC 7622 §3.3).
fn normal_local(text: &str, strictness: Strictness) -> Option<Cow<'_, str>> {
    let odd = || {
        let passes =
            strictness == Strictness::Tolerant && !text.chars().any(precis::is_dangerous_in_local);
        passes.then(|| precis::odd_local(text))
    };
    precis::local(text)
        .or_else(odd)
        .filter(|normal| fits(normal))
}

fn normal_resource(text: &str, strictness: Strictness) -> Option<Cow<'_, str>> {
    let odd = || {
        let passes = strictness == Strictness::Tolerant
            && !text.chars().any(precis::is_dangerous_in_resource);
        passes.then(|| precis::odd_resource(text))
    };
    precis::resource(text)
        .or_else(odd)
        .filter(|normal| fits(normal))
}

fn fits(part: &str) -> bool {
    !part.is_empty() && part.len() <= PART_BYTES
}

/// Only what differs from the text as it was written is kept.
fn other_text(normal: Option<Cow<'_, str>>) -> Option<Arc<str>> {
    match normal {
        Some(Cow::Owned(normal)) => Some(Arc::from(normal)),
        _ => None,
    }
}

impl From<Domain> for Jid {
    fn from(domain: Domain) -> Self {
        let text = domain.to_shared();
        Self {
            bare: text.len(),
            text,
            local: 0,
            domain,
            normal_local: None,
            normal_resource: None,
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

/// Equal if all three parts have the same normal form (RFC 7622 §3.5).
impl PartialEq for Jid {
    fn eq(&self, other: &Self) -> bool {
        self.domain == other.domain
            && self.normal_local() == other.normal_local()
            && self.normal_resource() == other.normal_resource()
    }
}

impl Eq for Jid {}

impl std::hash::Hash for Jid {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.normal_local().hash(state);
        self.domain.hash(state);
        self.normal_resource().hash(state);
    }
}

#[cfg(test)]
mod tests;
