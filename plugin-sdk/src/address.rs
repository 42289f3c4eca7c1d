//! Addresses and their parts, compared as RFC 7622 says.

use std::fmt;

use serde::{Deserialize, Deserializer};

use crate::{DomainPattern, Glob, addresses};

/// An address in its normal form, so that `==`, hashing and the order mean the same address and nothing
/// else: `Juliet@ALPHA.test.` is `juliet@alpha.test`. Parsing asks the host once (about a microsecond).
/// In a configuration it is a string.
///
/// ```
/// # #[cfg(not(target_family = "wasm"))] {
/// use portcullis_plugin::prelude::*;
/// # let mut host = portcullis_plugin::mock::Host::new();
/// # host.within(|| -> Result<(), AddressError> {
/// let juliet = Address::parse("Juliet@Alpha.test/balcony")?;
/// assert_eq!(juliet.local(), Some("juliet"));
/// assert_eq!(juliet.domain(), "alpha.test");
/// assert_eq!(juliet.resource(), Some("balcony"));
/// assert_eq!(juliet.bare(), "juliet@alpha.test");
/// assert_eq!(juliet.to_bare(), Address::parse("JULIET@alpha.test")?);
/// # Ok(()) }).unwrap();
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    normal: String,
}

/// Why a text is no address. The operator's mistake, if it stood in a configuration.
///
/// ```
/// # use portcullis_plugin::prelude::*;
/// let error = AddressPattern::parse("eve@alpha.test/phone").unwrap_err();
/// assert_eq!(error.to_string(), "`eve@alpha.test/phone` is no address: a pattern has no resource");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressError {
    text: String,
    reason: String,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no address: {}", self.text, self.reason)
    }
}

impl std::error::Error for AddressError {}

impl From<AddressError> for String {
    fn from(error: AddressError) -> Self {
        error.to_string()
    }
}

impl Address {
    /// Reads an address.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// assert_eq!(Address::parse("Juliet@ALPHA.test.")?, Address::parse("juliet@alpha.test")?);
    /// assert!(Address::parse("@alpha.test").is_err());
    /// # Ok::<(), AddressError>(())
    /// ```
    ///
    /// # Errors
    /// [`AddressError`] names the text and what is wrong.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        match addresses::normalize(text) {
            Ok(normal) => Ok(Self { normal }),
            Err(reason) => Err(AddressError {
                text: text.to_owned(),
                reason,
            }),
        }
    }

    /// An address of a stanza, which the gateway has checked. Were it none all the same, it stands for
    /// itself as it was written.
    pub(crate) fn of_stanza(text: &str) -> Self {
        Self {
            normal: addresses::normalize(text).unwrap_or_else(|_| text.to_owned()),
        }
    }

    /// The whole normal form.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// assert_eq!(Address::parse("Juliet@ALPHA.test/Balcony")?.as_str(), "juliet@alpha.test/Balcony");
    /// # Ok::<(), AddressError>(())
    /// ```
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.normal
    }

    /// What stands before the `@`: the user, or the room.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// assert_eq!(Address::parse("juliet@alpha.test")?.local(), Some("juliet"));
    /// assert_eq!(Address::parse("alpha.test")?.local(), None);
    /// # Ok::<(), AddressError>(())
    /// ```
    #[must_use]
    pub fn local(&self) -> Option<&str> {
        self.bare().split_once('@').map(|(local, _)| local)
    }

    /// The domain.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// assert_eq!(Address::parse("juliet@alpha.test/balcony")?.domain(), "alpha.test");
    /// # Ok::<(), AddressError>(())
    /// ```
    #[must_use]
    pub fn domain(&self) -> &str {
        let bare = self.bare();
        bare.split_once('@').map_or(bare, |(_, domain)| domain)
    }

    /// What stands behind the first slash: which of a user's clients, or the nickname in a room.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// assert_eq!(Address::parse("hall@muc.alpha.test/Juliet")?.resource(), Some("Juliet"));
    /// # Ok::<(), AddressError>(())
    /// ```
    #[must_use]
    pub fn resource(&self) -> Option<&str> {
        self.normal.split_once('/').map(|(_, resource)| resource)
    }

    /// All but the resource, as text.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// assert_eq!(Address::parse("juliet@alpha.test/balcony")?.bare(), "juliet@alpha.test");
    /// # Ok::<(), AddressError>(())
    /// ```
    #[must_use]
    pub fn bare(&self) -> &str {
        self.normal.split('/').next().unwrap_or_default()
    }

    /// The same address without its resource.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// let phone = Address::parse("juliet@alpha.test/phone")?;
    /// assert_eq!(phone.to_bare(), Address::parse("juliet@alpha.test/balcony")?.to_bare());
    /// # Ok::<(), AddressError>(())
    /// ```
    #[must_use]
    pub fn to_bare(&self) -> Self {
        Self {
            normal: self.bare().to_owned(),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.normal)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Addresses as they are named in lists: `spam.test` (everybody there), `*.spam.test` (everybody below
/// it, see [`DomainPattern`]), `eve@alpha.test` (this one, whatever the resource), `info*@alpha.test`
/// (a [`Glob`] for the localpart). In a configuration it is a string.
///
/// ```
/// # #[cfg(not(target_family = "wasm"))] {
/// use portcullis_plugin::prelude::*;
/// # let mut host = portcullis_plugin::mock::Host::new();
/// # host.within(|| -> Result<(), AddressError> {
/// let pattern = AddressPattern::parse("Info*@*.alpha.test")?;
/// assert!(pattern.matches(&Address::parse("info-desk@muc.alpha.test/x")?));
/// assert!(!pattern.matches(&Address::parse("eve@muc.alpha.test")?));
/// # Ok(()) }).unwrap();
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AddressPattern {
    local: Option<Glob>,
    domain: DomainPattern,
}

impl AddressPattern {
    /// Reads a pattern.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// for pattern in ["spam.test", "*.spam.test", "eve@alpha.test", "info*@alpha.test"] {
    ///     assert!(AddressPattern::parse(pattern).is_ok());
    /// }
    /// assert!(AddressPattern::parse("eve@alpha.test/phone").is_err());
    /// ```
    ///
    /// # Errors
    /// [`AddressError`] names the pattern and what is wrong.
    pub fn parse(pattern: &str) -> Result<Self, AddressError> {
        let wrong = |reason: String| AddressError {
            text: pattern.to_owned(),
            reason,
        };
        if pattern.contains('/') {
            return Err(wrong("a pattern has no resource".to_owned()));
        }
        let (local, domain) = match pattern.split_once('@') {
            Some((local, domain)) => (Some(local), domain),
            None => (None, pattern),
        };
        let local = match local {
            Some("") => return Err(wrong("nothing stands before the @".to_owned())),
            Some(local) if !local.contains(['*', '?']) => {
                // The part as the gateway compares it, under any good domain.
                let whole = Address::parse(&format!("{local}@domain.invalid"));
                let whole = whole.map_err(|error| wrong(error.reason))?;
                whole.local().map(Glob::exactly)
            }
            Some(local) => Some(Glob::new(local)),
            None => None,
        };
        let domain = DomainPattern::parse(domain).map_err(|error| wrong(error.to_string()))?;
        Ok(Self { local, domain })
    }

    /// Whether this address is meant.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// let pattern = AddressPattern::parse("*.spam.test")?;
    /// assert!(pattern.matches(&Address::parse("eve@muc.spam.test/x")?));
    /// assert!(!pattern.matches(&Address::parse("eve@spam.test")?));
    /// # Ok::<(), AddressError>(())
    /// ```
    #[must_use]
    pub fn matches(&self, address: &Address) -> bool {
        let local = match (&self.local, address.local()) {
            (None, _) => true,
            (Some(glob), Some(local)) => glob.matches(local),
            (Some(_), None) => false,
        };
        local && self.domain.matches(address.domain())
    }

    /// Whether whole domains are meant, and not only some of their users: what a
    /// [`Gatekeeper`](crate::Gatekeeper) can act on.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// let whole = AddressPattern::parse("*.spam.test")?;
    /// assert!(whole.domain().is_some_and(|domain| domain.matches("muc.spam.test")));
    /// assert!(AddressPattern::parse("eve@spam.test")?.domain().is_none());
    /// # Ok::<(), AddressError>(())
    /// ```
    #[must_use]
    pub fn domain(&self) -> Option<&DomainPattern> {
        self.local.is_none().then_some(&self.domain)
    }
}

impl fmt::Display for AddressPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.local {
            Some(local) => write!(f, "{local}@{}", self.domain),
            None => self.domain.fmt(f),
        }
    }
}

impl<'de> Deserialize<'de> for AddressPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pattern = String::deserialize(deserializer)?;
        Self::parse(&pattern).map_err(serde::de::Error::custom)
    }
}

#[cfg(all(test, not(target_family = "wasm")))]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Result<AddressPattern, AddressError> {
        AddressPattern::parse(text)
    }

    #[test]
    fn a_pattern_means_a_domain_an_address_or_some_localparts() {
        let address = |text| Address::parse(text).unwrap();
        for (text, meant, not_meant) in [
            ("alpha.test", "x@Alpha.test/r", "x@beta.test"),
            ("*.alpha.test", "x@muc.alpha.test", "x@alpha.test"),
            ("Eve@alpha.test", "eve@alpha.test/r", "eva@alpha.test"),
            ("e?e@alpha.test", "eve@alpha.test", "evve@alpha.test"),
            ("*@*", "eve@alpha.test", "alpha.test"),
        ] {
            let pattern = pattern(text).unwrap();
            assert!(pattern.matches(&address(meant)), "{text}");
            assert!(!pattern.matches(&address(not_meant)), "{text}");
        }
    }

    #[test]
    fn a_bad_pattern_is_named() {
        for text in [
            "",
            "@alpha.test",
            "a@",
            "a@alpha.test/r",
            "a b@alpha.test",
            "a@b@c",
        ] {
            let error = pattern(text).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("`{text}` is no address")),
                "{error}"
            );
        }
    }
}
