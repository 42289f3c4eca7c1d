//! Durations, sizes and rates as they stand in a configuration, with their units.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

/// Why a text is no quantity. The operator's mistake.
///
/// ```
/// # use portcullis_plugin::prelude::*;
/// let error = Span::parse("90").unwrap_err();
/// assert_eq!(error.to_string(), "`90` is not a duration in s, m, h or d, as in `30s` or `8h`");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuantityError {
    text: String,
    expected: &'static str,
}

impl fmt::Display for QuantityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not {}", self.text, self.expected)
    }
}

impl std::error::Error for QuantityError {}

impl From<QuantityError> for String {
    fn from(error: QuantityError) -> Self {
        error.to_string()
    }
}

/// A duration: `30s`, `5m`, `8h`, `7d`. Not zero. In a configuration it is a string.
///
/// ```
/// use portcullis_plugin::prelude::*;
/// use std::time::Duration;
/// assert_eq!(Span::parse("8h")?.duration(), Duration::from_secs(8 * 3600));
/// # Ok::<(), portcullis_plugin::QuantityError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span(Duration);

impl Span {
    /// Reads one.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// assert!(Span::parse("90s").is_ok());
    /// assert!(Span::parse("90").is_err() && Span::parse("0s").is_err());
    /// ```
    ///
    /// # Errors
    /// [`QuantityError`] names the text.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        let seconds = |unit: &str| match unit {
            "s" => Some(1),
            "m" => Some(60),
            "h" => Some(3600),
            "d" => Some(24 * 3600),
            _ => None,
        };
        product(text, seconds)
            .filter(|seconds| *seconds > 0)
            .map(|seconds| Self(Duration::from_secs(seconds)))
            .ok_or_else(|| QuantityError {
                text: text.to_owned(),
                expected: "a duration in s, m, h or d, as in `30s` or `8h`",
            })
    }

    /// How long it is.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// assert_eq!(Span::parse("2m")?.duration().as_secs(), 120);
    /// # Ok::<(), portcullis_plugin::QuantityError>(())
    /// ```
    #[must_use]
    pub fn duration(self) -> Duration {
        self.0
    }
}

/// A size: `512B`, `64KiB`, `1MiB`. In a configuration it is a string.
///
/// ```
/// use portcullis_plugin::prelude::*;
/// assert_eq!(Size::parse("64KiB")?.bytes(), 65536);
/// # Ok::<(), portcullis_plugin::QuantityError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Size(u64);

impl Size {
    /// Reads one.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// assert!(Size::parse("1MiB").is_ok() && Size::parse("1MB").is_err());
    /// ```
    ///
    /// # Errors
    /// [`QuantityError`] names the text.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        let factor = |unit: &str| match unit {
            "B" => Some(1),
            "KiB" => Some(1 << 10),
            "MiB" => Some(1 << 20),
            _ => None,
        };
        product(text, factor)
            .map(Self)
            .ok_or_else(|| QuantityError {
                text: text.to_owned(),
                expected: "a size in B, KiB or MiB, as in `64KiB`",
            })
    }

    /// In bytes.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// assert_eq!(Size::parse("1MiB")?.bytes(), 1024 * 1024);
    /// # Ok::<(), portcullis_plugin::QuantityError>(())
    /// ```
    #[must_use]
    pub fn bytes(self) -> u64 {
        self.0
    }
}

/// So many in so long: `600/1m`, `20/30s`. In a configuration it is a string. See
/// [`RateLimit`](crate::RateLimit).
///
/// ```
/// use portcullis_plugin::prelude::*;
/// use std::time::Duration;
/// let rate = Rate::parse("20/1h")?;
/// assert_eq!((rate.count(), rate.per()), (20, Duration::from_secs(3600)));
/// # Ok::<(), portcullis_plugin::QuantityError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    count: u32,
    per: Span,
}

impl Rate {
    /// Reads one.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// assert!(Rate::parse("20/30s").is_ok() && Rate::parse("20").is_err());
    /// ```
    ///
    /// # Errors
    /// [`QuantityError`] names the text.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        let read = || {
            let (count, per) = text.split_once('/')?;
            Some(Self {
                count: count.parse().ok()?,
                per: Span::parse(per).ok()?,
            })
        };
        read().ok_or_else(|| QuantityError {
            text: text.to_owned(),
            expected: "a rate, as in `600/1m` or `20/1h`",
        })
    }

    /// How many.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// assert_eq!(Rate::parse("600/1m")?.count(), 600);
    /// # Ok::<(), portcullis_plugin::QuantityError>(())
    /// ```
    #[must_use]
    pub fn count(self) -> u32 {
        self.count
    }

    /// In how long.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// assert_eq!(Rate::parse("600/1m")?.per().as_secs(), 60);
    /// # Ok::<(), portcullis_plugin::QuantityError>(())
    /// ```
    #[must_use]
    pub fn per(self) -> Duration {
        self.per.0
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let units = [(24 * 3600, "d"), (3600, "h"), (60, "m")];
        let (length, unit) = units
            .into_iter()
            .find(|(length, _)| seconds.is_multiple_of(*length))
            .unwrap_or((1, "s"));
        write!(f, "{}{unit}", seconds / length)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, self.per)
    }
}

/// A whole number and its unit.
fn product(text: &str, factor: impl FnOnce(&str) -> Option<u64>) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    number.parse::<u64>().ok()?.checked_mul(factor(unit)?)
}

/// A quantity is a string in a configuration.
macro_rules! deserialize {
    ($($name:ident)+) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    )+};
}

deserialize!(Span Size Rate);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_needs_its_unit() {
        assert_eq!(Span::parse("2d").unwrap().0, Duration::from_secs(172_800));
        for text in ["90s", "2m", "36h", "7d"] {
            assert_eq!(Span::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Rate::parse("5/60s").unwrap().to_string(), "5/1m");
        assert_eq!(Size::parse("3MiB").unwrap().0, 3 << 20);
        for text in [
            "",
            "5",
            "s",
            "0s",
            "-1s",
            "1.5h",
            "5 m",
            "99999999999999999999s",
            "18446744073709551615d",
        ] {
            assert!(Span::parse(text).is_err(), "{text}");
        }
        for text in ["1", "1KB", "KiB"] {
            assert!(Size::parse(text).is_err(), "{text}");
        }
        for text in ["5", "5/", "/1m", "5/0s", "x/1m"] {
            assert!(Rate::parse(text).is_err(), "{text}");
        }
    }
}
