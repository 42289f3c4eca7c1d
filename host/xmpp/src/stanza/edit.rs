//! What a policy may change: the payload and, within limits, the type. Never an address, never the
//! id (design: no rewriting of transit stanzas).
//!
//! Each edit is made in full or not at all. A stanza stays legal for its kind. The caller counts the
//! edits; those that make the stanza grow take the most bytes that it may then have as XML.

use crate::xml::XmlError;

/// Why an edit was not made. The plugin is at fault; the stanza is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The XML is not well-formed, or is restricted (RFC 6120 §11.1).
    #[error("{0}")]
    Malformed(XmlError),
    /// It would make an illegal stanza, or there is nothing to edit.
    #[error("{0}")]
    Forbidden(&'static str),
    /// The stanza would grow beyond the limit.
    #[error("the stanza would be too large")]
    TooLarge,
}
