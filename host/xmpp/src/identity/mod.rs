//! Which domains a certificate speaks for: DER flows in, names flow out (RFC 6120 §13.7.1.2).
//!
//! Counted are dNSName, SRVName (`_xmpp-server.` only) and XmppAddr (a bare domain) of the subject
//! alternative names. The common name never counts (RFC 9525), nor does a name in an unusual
//! spelling: what a certificate authority did not plainly write, it did not certify.
//!
//! Not checked here: the chain, the validity, the purpose. A name in a certificate proves nothing
//! until whoever holds the chain has judged it.

use std::fmt;

use x509_parser::{
    der_parser::{Oid, oid},
    extensions::GeneralName,
    prelude::{FromDer, X509Certificate},
};

use crate::jid::Domain;

/// `id-on-xmppAddr` (RFC 6120 §13.7.1.4).
const XMPP_ADDR: Oid<'static> = oid!(1.3.6.1.5.5.7.8.5);
/// `id-on-dnsSRV` (RFC 4985 §2).
const DNS_SRV: Oid<'static> = oid!(1.3.6.1.5.5.7.8.7);
/// The service that a SRVName must be for. `_xmpp-client.` certifies no server.
const SERVICE: &str = "_xmpp-server.";

/// DER's UTF8String and IA5String (X.690 §8.23), and the `[0]` that wraps an otherName's value.
const UTF8_STRING: u8 = 0x0c;
const IA5_STRING: u8 = 0x16;
const EXPLICIT: u8 = 0xa0;

/// How many names a text about a certificate lists: enough to recognise it, however many it has.
const LISTED: usize = 4;

/// The certificate's bytes are no certificate that can be read. The peer is at fault, or the
/// certificate authority; the stream that relies on it has to end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The bytes are no X.509 certificate, or more than one.
    #[error("the certificate cannot be read")]
    Unreadable,
    /// The subject alternative names are malformed, or there are two lists of them.
    #[error("the certificate's subject alternative names cannot be read")]
    Names,
}

/// The domains that a certificate names, as far as they count for a server-to-server stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// From dNSName.
    exact: Vec<Domain>,
    /// What follows the `*.` of a wildcard, in a dNSName.
    wildcards: Vec<Domain>,
    /// From SRVName and XmppAddr.
    others: Vec<Domain>,
}

impl Names {
    /// Reads the names of one certificate in DER.
    ///
    /// # Errors
    /// If the certificate or its list of names is malformed. Single names that do not count are
    /// passed over.
    pub fn of(der: &[u8]) -> Result<Self, IdentityError> {
        let (rest, certificate) =
            X509Certificate::from_der(der).map_err(|_| IdentityError::Unreadable)?;
        if !rest.is_empty() {
            return Err(IdentityError::Unreadable);
        }
        let list = certificate
            .subject_alternative_name()
            .map_err(|_| IdentityError::Names)?;
        let mut names = Self::default();
        for name in list.iter().flat_map(|list| &list.value.general_names) {
            match name {
                GeneralName::DNSName(text) => names.add_dns(text),
                GeneralName::OtherName(kind, value) if *kind == DNS_SRV => {
                    names.others.extend(srv_name(value))
                }
                GeneralName::OtherName(kind, value) if *kind == XMPP_ADDR => {
                    names.others.extend(xmpp_addr(value))
                }
                _ => {}
            }
        }
        Ok(names)
    }

    /// The same without SRVName and XmppAddr. For certificates below an authority that may sign some
    /// names only: its constraints are written in dNSNames, and path building (RFC 5280 §4.2.1.10)
    /// compares a name with constraints of its own form alone, so that any SRVName slips through.
    #[must_use]
    pub fn dns_only(self) -> Self {
        Self {
            others: Vec::new(),
            ..self
        }
    }

    /// Whether one of the names is `domain`. A wildcard stands for exactly one label (RFC 6120
    /// §13.7.1.2.1): `*.example.com` proves neither `example.com` nor `a.b.example.com`.
    pub fn proves(&self, domain: &Domain) -> bool {
        let parent = domain.as_str().split_once('.').map(|(_, parent)| parent);
        self.exact.contains(domain)
            || self.others.contains(domain)
            || self
                .wildcards
                .iter()
                .any(|wildcard| Some(wildcard.as_str()) == parent)
    }

    /// Whether the certificate names no domain at all.
    pub fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.wildcards.is_empty() && self.others.is_empty()
    }

    fn add_dns(&mut self, text: &str) {
        match text.strip_prefix("*.") {
            // `*.com` would speak for every organisation below `com`.
            Some(parent) => self
                .wildcards
                .extend(plain(parent).filter(|parent| parent.as_str().contains('.'))),
            None => self.exact.extend(plain(text)),
        }
    }
}

/// The names for a text that an operator reads, at most four of them.
impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("no domain");
        }
        let exact = self.exact.iter().chain(&self.others);
        let exact = exact.map(|name| ("", name));
        let wildcards = self.wildcards.iter().map(|name| ("*.", name));
        for (index, (star, name)) in exact.chain(wildcards).take(LISTED).enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{star}{name}")?;
        }
        match (self.exact.len() + self.others.len() + self.wildcards.len()).saturating_sub(LISTED) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// A name that is written as DNS carries it. A U-label or a trailing dot in an IA5String is a
/// mistake or a trick (RFC 5280 §4.2.1.6), although [`Domain::parse`] would understand it.
fn plain(text: &str) -> Option<Domain> {
    let domain = Domain::parse(text).ok()?;
    domain.as_str().eq_ignore_ascii_case(text).then_some(domain)
}

/// RFC 4985 §2: `_Service.Name` in an IA5String. No wildcard.
fn srv_name(value: &[u8]) -> Option<Domain> {
    let text = std::str::from_utf8(other_name(value, IA5_STRING)?).ok()?;
    let (service, name) = text.split_at_checked(SERVICE.len())?;
    if service.eq_ignore_ascii_case(SERVICE) {
        plain(name)
    } else {
        None
    }
}

/// RFC 6120 §13.7.1.4: an address in a UTF8String; a server's has only a domainpart. Here a U-label
/// is the regular spelling.
fn xmpp_addr(value: &[u8]) -> Option<Domain> {
    let text = std::str::from_utf8(other_name(value, UTF8_STRING)?).ok()?;
    Domain::parse(text).ok()
}

/// The content of an otherName's value: `[0] EXPLICIT` around one string of the expected type, in
/// DER, with nothing after it.
fn other_name(value: &[u8], string: u8) -> Option<&[u8]> {
    der_content(der_content(value, EXPLICIT)?, string)
}

fn der_content(bytes: &[u8], expected: u8) -> Option<&[u8]> {
    let (&tag, rest) = bytes.split_first()?;
    let (&length, rest) = rest.split_first()?;
    let (length, content) = match length {
        0..=0x7f => (usize::from(length), rest),
        // A domain with its wrapping fits two bytes of length; DER takes the shortest form.
        0x81 => rest
            .split_first()
            .map(|(&n, rest)| (usize::from(n), rest))
            .filter(|(n, _)| *n > 0x7f)?,
        0x82 => {
            let (n, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*n)), rest)
        }
        _ => return None,
    };
    (tag == expected && content.len() == length).then_some(content)
}

#[cfg(test)]
mod tests;
