//! How a stanza may be changed. Each edit asks the host, which makes it in full or not at all and keeps to
//! what RFC 6120 allows; at most 256 in a call.

use super::{Stanza, owned};
use crate::{EditError, Element, Subtype};

impl Stanza<'_> {
    /// Takes away every direct child in this namespace; says how many there were.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let arrived = "<message from='e@alpha.test' to='a@org.test'><x xmlns='urn:x'/></message>";
    /// arrives(arrived, |stanza| assert_eq!(stanza.strip("urn:x"), Ok(1)));
    /// ```
    ///
    /// # Errors
    /// As [`remove`](Self::remove).
    pub fn strip(&mut self, namespace: &str) -> Result<u32, EditError> {
        self.remove("", namespace)
    }

    /// Appends an element as the last direct child.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let arrived = "<message from='e@alpha.test' to='a@org.test'/>";
    /// let passed = arrives(arrived, |stanza| {
    ///     assert_eq!(stanza.inject(&Element::new("label", "urn:x").text("outside")), Ok(()));
    /// });
    /// assert!(passed.contains("outside</label>"));
    /// ```
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub fn inject(&mut self, element: &Element) -> Result<(), EditError> {
        self.insert(&element.to_string())
    }

    /// Takes away every direct child that matches; says how many there were.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let arrived = "<presence from='e@alpha.test' to='a@org.test'><status>out</status></presence>";
    /// let passed = arrives(arrived, |stanza| assert_eq!(stanza.remove("status", Stanza::XMPP), Ok(1)));
    /// assert!(!passed.contains("out"));
    /// ```
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
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let arrived = "<message from='e@alpha.test' to='a@org.test'><body/><x xmlns='urn:x'/></message>";
    /// arrives(arrived, |stanza| assert_eq!(stanza.retain(&[("body", Stanza::XMPP)]), Ok(1)));
    /// ```
    ///
    /// # Errors
    /// As [`remove`](Self::remove).
    pub fn retain(&mut self, keep: &[(&str, &str)]) -> Result<u32, EditError> {
        self.handle.retain(&owned(keep))
    }

    /// Replaces the content of the first direct child that matches by text.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let arrived = "<message from='e@alpha.test' to='a@org.test'><body>Hi</body></message>";
    /// let passed = arrives(arrived, |stanza| {
    ///     assert_eq!(stanza.set_text("body", Stanza::XMPP, "Good morning"), Ok(()));
    /// });
    /// assert!(passed.contains("Good morning</body>"));
    /// ```
    ///
    /// # Errors
    /// [`EditError::Forbidden`] if nothing matches; [`EditError::Malformed`] for characters that XML
    /// does not have, and for an attribute name that is none; [`EditError::TooLarge`].
    pub fn set_text(&mut self, name: &str, namespace: &str, text: &str) -> Result<(), EditError> {
        self.handle.set_text(name, namespace, text)
    }

    /// Sets an attribute (in no namespace) of the first direct child that matches.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let arrived = "<message from='e@alpha.test' to='a@org.test'><x xmlns='urn:x'/></message>";
    /// arrives(arrived, |stanza| assert_eq!(stanza.set_child_attribute("x", "", "a", "1"), Ok(())));
    /// ```
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
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let arrived = "<message from='e@alpha.test' to='a@org.test'/>";
    /// arrives(arrived, |stanza| {
    ///     assert_eq!(stanza.insert("<mark xmlns='urn:x'/>"), Ok(()));
    ///     assert!(matches!(stanza.insert("<mark"), Err(EditError::Malformed(_))));
    /// });
    /// ```
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
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let arrived = "<message from='e@alpha.test' to='a@org.test' type='chat'/>";
    /// arrives(arrived, |stanza| {
    ///     assert_eq!(stanza.set_subtype(Subtype::Normal), Ok(()));
    ///     assert!(matches!(stanza.set_subtype(Subtype::Error), Err(EditError::Forbidden(_))));
    /// });
    /// ```
    ///
    /// # Errors
    /// [`EditError::Forbidden`] for a type of another group.
    pub fn set_subtype(&mut self, to: Subtype) -> Result<(), EditError> {
        self.handle.set_subtype(to)
    }
}
