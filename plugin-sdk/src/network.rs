//! IP addresses of peers.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Deserializer};

/// An address or a network: `192.0.2.7`, `10.0.0.0/8`, `2001:db8::/32`. In a configuration it is a string.
///
/// ```
/// use portcullis_plugin::prelude::*;
/// let network = Network::parse("10.0.0.0/8")?;
/// assert!(network.contains("10.1.2.3".parse()?));
/// assert!(!network.contains("192.0.2.1".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u32,
}

/// Why a text is no network. The operator's mistake.
///
/// ```
/// # use portcullis_plugin::prelude::*;
/// let error = Network::parse("10.0.0.0/33").unwrap_err().to_string();
/// assert!(error.starts_with("`10.0.0.0/33` is no address and no network"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkError(String);

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is no address and no network, as in `10.0.0.0/8` or `192.0.2.7`",
            self.0
        )
    }
}

impl std::error::Error for NetworkError {}

impl Network {
    /// Reads one.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// assert!(Network::parse("2001:db8::/32").is_ok() && Network::parse("192.0.2.7").is_ok());
    /// assert!(Network::parse("192.0.2.0/33").is_err());
    /// ```
    ///
    /// # Errors
    /// [`NetworkError`] names the text.
    pub fn parse(text: &str) -> Result<Self, NetworkError> {
        let wrong = || NetworkError(text.to_owned());
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix.parse().map_err(|_| wrong())?,
            None => longest,
        };
        if prefix > longest {
            return Err(wrong());
        }
        Ok(Self { address, prefix })
    }

    /// Whether the address lies in it. An IPv4 address written as IPv6 (`::ffff:192.0.2.1`) counts as
    /// what it is.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// let network = Network::parse("192.0.2.0/24")?;
    /// assert!(network.contains("192.0.2.9".parse()?) && network.contains("::ffff:192.0.2.9".parse()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let same = |one: u128, other: u128, bits: u32| {
            // Shifting by all bits would overflow: nothing is compared then.
            self.prefix == 0 || (one ^ other) >> (bits - self.prefix) == 0
        };
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(one), IpAddr::V4(other)) => {
                same(u32::from(one).into(), u32::from(other).into(), 32)
            }
            (IpAddr::V6(one), IpAddr::V6(other)) => same(one.into(), other.into(), 128),
            _ => false,
        }
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_contains_what_begins_like_it() {
        for (network, address, inside) in [
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("192.0.2.0/25", "192.0.2.127", true),
            ("192.0.2.0/25", "192.0.2.128", false),
            ("0.0.0.0/0", "255.0.0.1", true),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "192.0.2.1", false),
            ("192.0.2.0/24", "::ffff:192.0.2.9", true),
        ] {
            let network_ = Network::parse(network).unwrap();
            assert_eq!(
                network_.contains(address.parse().unwrap()),
                inside,
                "{network} {address}"
            );
        }
        for text in ["", "192.0.2.0/33", "192.0.2", "::/129", "x/8"] {
            assert!(Network::parse(text).is_err(), "{text}");
        }
    }
}
