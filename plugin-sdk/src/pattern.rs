//! Domain patterns as they stand in a configuration: `example.org`, `*.example.org`.

use std::fmt;

use serde::{Deserialize, Deserializer};

use crate::domains;

/// One domain (`example.org`) or all domains below one (`*.example.org`, at any depth, but not
/// `example.org` itself). Written in any case, with U-labels or A-labels, with or without a trailing
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
    /// Normalised.
    domain: String,
    scope: Scope,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Scope {
    Exact,
    Below,
}

/// Why a text is no pattern. The operator's mistake.
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
            "`{pattern}` is no domain pattern: {reason} (write `example.org` or `*.example.org`)"
        )
    }
}

impl std::error::Error for PatternError {}

impl DomainPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// [`PatternError`] names the pattern and what is wrong.
    pub fn parse(pattern: &str) -> Result<Self, PatternError> {
        let (scope, domain) = match pattern.strip_prefix("*.") {
            Some(domain) => (Scope::Below, domain),
            None => (Scope::Exact, pattern),
        };
        let error = |reason| PatternError {
            pattern: pattern.to_owned(),
            reason,
        };
        if domain.contains('*') {
            return Err(error(
                "an asterisk stands only for whole labels at the front".to_owned(),
            ));
        }
        let domain = domains::normalize(domain).map_err(error)?;
        Ok(Self { domain, scope })
    }

    /// Whether this normalised domain is meant.
    #[must_use]
    pub fn matches(&self, domain: &str) -> bool {
        match self.scope {
            Scope::Exact => domain == self.domain,
            Scope::Below => domain
                .strip_suffix(self.domain.as_str())
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        }
    }
}

impl fmt::Display for DomainPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scope {
            Scope::Exact => f.write_str(&self.domain),
            Scope::Below => write!(f, "*.{}", self.domain),
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
    fn u_labels_and_a_labels_are_the_same_domain() {
        let pattern = DomainPattern::parse("*.BÜCHER.example").unwrap();
        assert!(pattern.matches("a.xn--bcher-kva.example"));
    }

    #[test]
    fn a_bad_pattern_is_named() {
        for pattern in ["", "*", "*.", "a.*.org", "**.org", "exa mple.org", "a..b"] {
            let error = DomainPattern::parse(pattern).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("`{pattern}` is no domain pattern")),
                "{error}"
            );
        }
    }
}
