//! How a stanza may be changed. Each edit asks the host, which makes it in full or not at all and keeps to
//! what RFC 6120 allows; at most 256 in a call.

use super::{Stanza, owned};
use crate::{EditError, Element, Subtype};

impl Stanza<'_> {
    /// Takes away every direct child in this namespace; says how many there were.
    ///
    /// # Errors
    /// As [`remove`](Self::remove).
    pub fn strip(&mut self, namespace: &str) -> Result<u32, EditError> {
        self.remove("", namespace)
    }

    /// Appends an element as the last direct child.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub fn inject(&mut self, element: &Element) -> Result<(), EditError> {
        self.insert(&element.to_string())
    }

    /// Takes away every direct child that matches; says how many there were.
    ///
    /// # Errors
    /// [`EditError::Forbidden`] if an iq request would lose its child, or an error its `<error/>`;
    /// [`EditError::TooLarge`] if the call's 256 edits are used up.
    pub fn remove(&mut self, name: &str, namespace: &str) -> Result<u32, EditError> {
        self.handle.remove(name, namespace)
    }

    /// Keeps only the direct children whose (name, namespace) is in the list, and no text between
    /// them; says how many went.
    ///
    /// # Errors
    /// As [`remove`](Self::remove).
    pub fn retain(&mut self, keep: &[(&str, &str)]) -> Result<u32, EditError> {
        self.handle.retain(&owned(keep))
    }

    /// Replaces the content of the first direct child that matches by text.
    ///
    /// # Errors
    /// [`EditError::Forbidden`] if nothing matches; [`EditError::Malformed`] for characters that XML
    /// does not have, and for an attribute name that is none; [`EditError::TooLarge`].
    pub fn set_text(&mut self, name: &str, namespace: &str, text: &str) -> Result<(), EditError> {
        self.handle.set_text(name, namespace, text)
    }

    /// Sets an attribute (in no namespace) of the first direct child that matches.
    ///
    /// # Errors
    /// As [`set_text`](Self::set_text).
    pub fn set_child_attribute(
        &mut self,
        name: &str,
        namespace: &str,
        attribute: &str,
        value: &str,
    ) -> Result<(), EditError> {
        self.handle
            .set_child_attribute(name, namespace, attribute, value)
    }

    /// Appends one element, given as XML, as the last direct child. Without an `xmlns` it is in
    /// [`Stanza::XMPP`].
    ///
    /// # Errors
    /// [`EditError::Malformed`] says what is wrong with the XML; [`EditError::Forbidden`] if an iq
    /// would have too many children, or an `<error/>` stood where none may; [`EditError::TooLarge`].
    pub fn insert(&mut self, xml: &str) -> Result<(), EditError> {
        self.handle.insert(xml)
    }

    /// Changes the stanza's `type` to another of the same group: messages that are no errors; presence
    /// that tells availability, that asks, or that answers; iq requests. The only attribute of a
    /// stanza that a plugin may change.
    ///
    /// # Errors
    /// [`EditError::Forbidden`] for a type of another group.
    pub fn set_subtype(&mut self, to: Subtype) -> Result<(), EditError> {
        self.handle.set_subtype(to)
    }
}
