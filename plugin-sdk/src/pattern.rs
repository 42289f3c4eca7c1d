//! Domain patterns as they stand in a configuration: `example.org`, `*.example.org`, `*`.

use std::fmt;

use serde::{Deserialize, Deserializer};

use crate::domains;

/// One domain (`example.org`), all domains below one (`*.example.org`, at any depth, but not
/// `example.org` itself), or every domain (`*`). Written in any case, with U-labels or A-labels, with or without a trailing
/// dot; compared in normalised form.
///
/// ```
/// # #[cfg(not(target_family = "wasm"))] {
/// use portcullis_plugin::prelude::*;
/// let pattern = DomainPattern::parse("*.Example.ORG.")?;
/// assert!(pattern.matches("a.b.example.org"));
/// assert!(!pattern.matches("example.org"));
/// # }
/// # Ok::<(), portcullis_plugin::PatternError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DomainPattern {
    meaning: Meaning,
}

/// With normalised domains.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Meaning {
    Exactly(String),
    Below(String),
    Every,
}

/// Why a text is no pattern. The operator's mistake.
///
/// ```
/// # use portcullis_plugin::prelude::*;
/// let error = DomainPattern::parse("a.*.org").unwrap_err().to_string();
/// assert!(error.starts_with("`a.*.org` is no domain pattern: an asterisk stands for whole labels"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternError {
    pattern: String,
    reason: String,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pattern, reason } = self;
        write!(
            f,
            "`{pattern}` is no domain pattern: {reason} (write `example.org`, `*.example.org` or `*`)"
        )
    }
}

impl std::error::Error for PatternError {}

impl DomainPattern {
    /// Reads a pattern.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// assert_eq!(DomainPattern::parse("*.Bücher.example")?.to_string(), "*.xn--bcher-kva.example");
    /// assert!(DomainPattern::parse("a.*.org").is_err());
    /// # Ok::<(), portcullis_plugin::PatternError>(())
    /// ```
    ///
    /// # Errors
    /// [`PatternError`] names the pattern and what is wrong.
    pub fn parse(pattern: &str) -> Result<Self, PatternError> {
        let normalized = |domain: &str| {
            let reason = if domain.contains('*') {
                "an asterisk stands for whole labels at the front".to_owned()
            } else {
                match domains::normalize(domain) {
                    Ok(domain) => return Ok(domain),
                    Err(reason) => reason,
                }
            };
            Err(PatternError {
                pattern: pattern.to_owned(),
                reason,
            })
        };
        let meaning = match pattern.strip_prefix("*.") {
            _ if pattern == "*" => Meaning::Every,
            Some(domain) => Meaning::Below(normalized(domain)?),
            None => Meaning::Exactly(normalized(pattern)?),
        };
        Ok(Self { meaning })
    }

    /// Whether this normalised domain is meant.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// assert!(DomainPattern::parse("example.org")?.matches("example.org"));
    /// assert!(!DomainPattern::parse("example.org")?.matches("a.example.org"));
    /// # Ok::<(), portcullis_plugin::PatternError>(())
    /// ```
    #[must_use]
    pub fn matches(&self, domain: &str) -> bool {
        match &self.meaning {
            Meaning::Exactly(one) => domain == one,
            Meaning::Below(parent) => domain
                .strip_suffix(parent.as_str())
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
            Meaning::Every => true,
        }
    }
}

impl fmt::Display for DomainPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.meaning {
            Meaning::Exactly(domain) => f.write_str(domain),
            Meaning::Below(domain) => write!(f, "*.{domain}"),
            Meaning::Every => f.write_str("*"),
        }
    }
}

impl<'de> Deserialize<'de> for DomainPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pattern = String::deserialize(deserializer)?;
        Self::parse(&pattern).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exact_pattern_means_that_domain_only() {
        let pattern = DomainPattern::parse("Example.org.").unwrap();
        assert!(pattern.matches("example.org"));
        assert!(!pattern.matches("a.example.org"));
        assert!(!pattern.matches("notexample.org"));
        assert_eq!(pattern.to_string(), "example.org");
    }

    #[test]
    fn a_star_means_every_domain_below_and_not_the_domain_itself() {
        let pattern = DomainPattern::parse("*.example.org").unwrap();
        assert!(pattern.matches("a.example.org"));
        assert!(pattern.matches("a.b.example.org"));
        assert!(!pattern.matches("example.org"));
        assert!(!pattern.matches("notexample.org"));
        assert!(!pattern.matches(".example.org"));
    }

    #[test]
    fn a_star_alone_means_every_domain() {
        assert!(DomainPattern::parse("*").unwrap().matches("example.org"));
    }

    #[test]
    fn u_labels_and_a_labels_are_the_same_domain() {
        let pattern = DomainPattern::parse("*.BÜCHER.example").unwrap();
        assert!(pattern.matches("a.xn--bcher-kva.example"));
    }

    #[test]
    fn a_bad_pattern_is_named() {
        for pattern in ["", "**", "*.", "a.*.org", "**.org", "exa mple.org", "a..b"] {
            let error = DomainPattern::parse(pattern).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("`{pattern}` is no domain pattern")),
                "{error}"
            );
        }
    }
}
