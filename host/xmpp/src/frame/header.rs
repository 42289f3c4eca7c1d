//! The stream's header (RFC 6120 §4.7) and the XML declaration before it.

use std::{fmt, sync::Arc};

use super::{FrameError, Limits, Opened};
use crate::{
    ns,
    xml::{self, Scope, XmlError},
};

/// The longest `xml:lang` of a stream that is carried over to its stanzas, in bytes. Language tags
/// have a few dozen at most (RFC 5646 §4.4.1); without a bound a header could make every stanza big.
const LANG_BYTES: usize = 255;

/// A version of XMPP, compared as two numbers (RFC 6120 §4.7.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// Before the dot.
    pub major: u32,
    /// After the dot.
    pub minor: u32,
}

impl Version {
    /// The version of RFC 6120, below which a peer knows neither features nor TLS.
    pub const ONE: Self = Self { major: 1, minor: 0 };

    /// Reads `major.minor`, ignoring leading zeros. Numbers beyond what fits count as the highest.
    fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        let number = |digits: &str| {
            let all_digits = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            all_digits.then(|| digits.parse().unwrap_or(u32::MAX))
        };
        Some(Self {
            major: number(major)?,
            minor: number(minor)?,
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// What the peer's stream header says. The addresses are as they were written: not checked, not
/// proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamHeader {
    /// Who the peer says it is.
    pub from: Option<String>,
    /// Whom it wants.
    pub to: Option<String>,
    /// The stream's id; only the receiving side's counts (RFC 6120 §4.7.3).
    pub id: Option<String>,
    /// None: from before RFC 3920.
    pub version: Option<Version>,
    /// The default language of the stanzas; none also if it is empty or longer than 255 bytes.
    pub lang: Option<String>,
    /// Whether server dialback is declared, which is how its support is announced (XEP-0220 §2.4.1).
    pub dialback: bool,
}

/// Reads the start tag, from its `<` to its `>`. Any prefix for the stream's namespace will do, and
/// none (RFC 6120 §4.8.2); what it declares is in force for the whole stream.
pub(super) fn parse(text: &str, limits: &Limits) -> Result<(StreamHeader, Opened), FrameError> {
    let tag = text
        .strip_prefix('<')
        .and_then(|rest| rest.strip_suffix('>'))
        .ok_or(XmlError::NotWellFormed("a malformed tag"))?;
    let mut scope = Scope::empty();
    let element = xml::parse_tag(tag, &mut scope, &limits.bounds())?.element;
    if element.ns() != ns::STREAM {
        return Err(FrameError::Namespace);
    }
    if element.name() != "stream" {
        return Err(FrameError::Format("no stream"));
    }
    // A default namespace is the content's, unless it is the stream's own (prefix-free style).
    if !matches!(scope.default_namespace(), "" | ns::SERVER | ns::STREAM) {
        return Err(FrameError::Namespace);
    }
    let version = match element.attribute("version") {
        Some(version) => Some(Version::parse(version).ok_or(FrameError::Version)?),
        None => None,
    };
    let owned = |name: &str| element.attribute(name).map(str::to_owned);
    let header = StreamHeader {
        from: owned("from"),
        to: owned("to"),
        id: owned("id"),
        version,
        lang: element
            .lang()
            .filter(|lang| !lang.is_empty() && lang.len() <= LANG_BYTES)
            .map(str::to_owned),
        dialback: scope.declares(ns::DIALBACK),
    };
    let opened = Opened {
        name: Box::from(
            tag.split(|c: char| u8::try_from(c).is_ok_and(xml::is_space))
                .next()
                .unwrap_or_default(),
        ),
        scope,
        lang: header.lang.as_deref().map(Arc::from),
    };
    Ok((header, opened))
}

/// Checks `<?xml version='1.0' ...?>`: version 1.0 and UTF-8 (RFC 6120 §11.5, §11.6).
pub(super) fn check_declaration(text: &str) -> Result<(), FrameError> {
    const MALFORMED: XmlError = XmlError::NotWellFormed("a malformed XML declaration");
    let inside = text
        .strip_prefix("<?xml")
        .and_then(|rest| rest.strip_suffix("?>"))
        .ok_or(MALFORMED)?;
    let mut written = Vec::new();
    xml::split_attributes(inside, 3, &mut written)?;
    let mut written = written.into_iter().peekable();
    if written.next() != Some(("version", "1.0")) {
        return Err(MALFORMED.into());
    }
    if let Some((_, encoding)) = written.next_if(|(name, _)| *name == "encoding")
        && !encoding.eq_ignore_ascii_case("utf-8")
    {
        return Err(FrameError::Encoding);
    }
    // Says nothing to a parser without DTDs.
    written.next_if(|standalone| matches!(standalone, ("standalone", "yes" | "no")));
    if written.next().is_some() {
        Err(MALFORMED.into())
    } else {
        Ok(())
    }
}
