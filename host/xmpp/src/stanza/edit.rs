//! What a policy may change: the payload and, within limits, the type. Never an address, never the
//! id: a gateway does not rewrite what others will answer to (RFC 6121 §8.5).
//!
//! Each edit is made in full or not at all, and a stanza stays legal for its kind. The caller counts
//! the edits; those that can make the stanza grow take the most bytes that it may then have on a
//! stream. Names and namespaces are compared exactly; an empty one means any.

use super::{Kind, Stanza, Subtype, read::matches};
use crate::{
    frame::Limits,
    ns,
    xml::{self, Bounds, Element, Node, Scope, Writer, XmlError},
};

/// Why an edit was not made. The plugin is at fault; the stanza is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The XML is not well-formed, restricted (RFC 6120 §11.1), or too deep.
    #[error("{0}")]
    Malformed(#[from] XmlError),
    /// It would make an illegal stanza, or there is nothing to edit.
    #[error("{0}")]
    Forbidden(&'static str),
    /// The stanza would grow beyond the limit.
    #[error("the stanza would be too large")]
    TooLarge,
}

const NO_CHILD: EditError = EditError::Forbidden("the stanza has no such child");
const CHILDREN: EditError =
    EditError::Forbidden("an iq request has one child, a result at most one");
const ERROR_CHILD: EditError =
    EditError::Forbidden("a stanza has an `error` child if its type is `error`, and only then");

impl Stanza {
    /// Takes away every matching direct child; says how many there were.
    ///
    /// # Errors
    /// [`EditError::Forbidden`] if an iq request lost its child, or an error its `error`.
    pub fn remove(&mut self, name: &str, ns: &str) -> Result<usize, EditError> {
        self.keep(|child| !matches(child, name, ns), |_| true)
    }

    /// Keeps only the direct children whose (name, namespace) is in the list, and no text between
    /// them; says how many went.
    ///
    /// # Errors
    /// As [`Self::remove`].
    pub fn retain<N: AsRef<str>, S: AsRef<str>>(
        &mut self,
        keep: &[(N, S)],
    ) -> Result<usize, EditError> {
        self.keep(
            |child| {
                keep.iter()
                    .any(|(name, ns)| matches(child, name.as_ref(), ns.as_ref()))
            },
            |_| false,
        )
    }

    /// Replaces the content of the first matching direct child by text.
    ///
    /// # Errors
    /// [`EditError::Forbidden`] if no child matches; [`EditError::Malformed`] for characters that XML
    /// does not have; [`EditError::TooLarge`].
    pub fn set_text(
        &mut self,
        name: &str,
        ns: &str,
        text: &str,
        limit: usize,
    ) -> Result<(), EditError> {
        check_chars(text)?;
        self.replace(name, ns, limit, |child| {
            child.without_nodes().with_text(text)
        })
    }

    /// Sets an attribute (in no namespace) of the first matching direct child.
    ///
    /// # Errors
    /// As [`Self::set_text`]; [`EditError::Malformed`] also for a name that is none, `xmlns` included.
    pub fn set_child_attribute(
        &mut self,
        name: &str,
        ns: &str,
        attribute: &str,
        value: &str,
        limit: usize,
    ) -> Result<(), EditError> {
        check_chars(value)?;
        if attribute == "xmlns" || !xml::is_ncname(attribute) {
            return Err(XmlError::NotWellFormed("a malformed attribute name").into());
        }
        self.replace(name, ns, limit, |child| {
            child.clone().with_attribute(attribute, value)
        })
    }

    /// Appends one element as the last direct child. Without an `xmlns` it is in `jabber:server`.
    ///
    /// # Errors
    /// [`EditError::Malformed`]; [`EditError::TooLarge`]; [`EditError::Forbidden`] if an iq had too
    /// many children then, or an `error` stood where none may.
    pub fn insert(&mut self, xml: &str, limit: usize) -> Result<(), EditError> {
        let bounds = Limits::default().bounds();
        let below = Bounds {
            depth: bounds.depth - 1,
            ..bounds
        };
        let xml = xml::trim_start(xml::trim_end(xml));
        let child = xml::parse_element(xml, &mut Scope::with_default(ns::SERVER), &below)?.element;
        let most = match (self.whole.kind, self.whole.subtype) {
            (Kind::Iq, Subtype::Get | Subtype::Set | Subtype::Result) => 0,
            _ => usize::MAX,
        };
        if self.whole.root.children().count() > most {
            return Err(CHILDREN);
        }
        if child.is(ns::SERVER, "error")
            && (self.whole.subtype != Subtype::Error || self.count("error", ns::SERVER) > 0)
        {
            return Err(ERROR_CHILD);
        }
        if self.size().saturating_add(size(&child)) > limit {
            return Err(EditError::TooLarge);
        }
        self.edit().root.push(child);
        Ok(())
    }

    /// Changes the type to another of the same group: messages that are no errors; presence that
    /// tells availability; presence that asks (`subscribe`, `unsubscribe`, `probe`); presence that
    /// answers (`subscribed`, `unsubscribed`); iq requests.
    ///
    /// # Errors
    /// [`EditError::Forbidden`] for a type of another group.
    pub fn set_subtype(&mut self, to: Subtype) -> Result<(), EditError> {
        if group(self.whole.kind, self.whole.subtype) != group(self.whole.kind, to) {
            return Err(EditError::Forbidden(
                "the type would be illegal for the stanza's kind, or turn a request into an answer",
            ));
        }
        if to != self.whole.subtype {
            let whole = self.edit();
            match to.attribute() {
                Some(value) => whole.root.set_attribute("type", value),
                None => whole.root.remove_attribute("type"),
            }
            whole.subtype = to;
        }
        Ok(())
    }

    /// Its size on a stream, in bytes.
    fn size(&self) -> usize {
        Writer::new(ns::SERVER).size(&self.whole.root, self.whole.lang.as_deref())
    }

    fn keep(
        &mut self,
        child: impl Fn(&Element) -> bool,
        text: impl Fn(&str) -> bool,
    ) -> Result<usize, EditError> {
        let (kept, gone): (Vec<&Element>, Vec<&Element>) = self
            .whole
            .root
            .children()
            .partition(|element| child(element));
        if self.is_request() && kept.len() != 1 {
            return Err(CHILDREN);
        }
        if self.whole.subtype == Subtype::Error
            && gone.iter().any(|element| element.is(ns::SERVER, "error"))
        {
            return Err(ERROR_CHILD);
        }
        let gone = gone.len();
        self.edit().root.retain_nodes(|node| match node {
            Node::Element(element) => child(element),
            Node::Text(value) => text(value),
        });
        Ok(gone)
    }

    fn replace(
        &mut self,
        name: &str,
        ns: &str,
        limit: usize,
        with: impl FnOnce(&Element) -> Element,
    ) -> Result<(), EditError> {
        let old = self
            .whole
            .root
            .children()
            .find(|child| matches(child, name, ns))
            .ok_or(NO_CHILD)?;
        let new = with(old);
        let (old, added) = (size(old), size(&new));
        if added > old && self.size() - old + added > limit {
            return Err(EditError::TooLarge);
        }
        let child = self
            .edit()
            .root
            .child_mut(|child| matches(child, name, ns))
            .ok_or(NO_CHILD)?;
        *child = new;
        Ok(())
    }
}

fn size(child: &Element) -> usize {
    Writer::new(ns::SERVER).size(child, None)
}

fn check_chars(text: &str) -> Result<(), EditError> {
    if xml::are_chars(text) {
        Ok(())
    } else {
        Err(XmlError::NotWellFormed("a character that XML does not have").into())
    }
}

/// Types within which one may become another.
#[derive(PartialEq, Eq)]
enum Group {
    Message,
    Availability,
    Asking,
    Answering,
    Request,
    /// No other type of the stanza's kind.
    Only(Subtype),
    Illegal,
}

fn group(kind: Kind, subtype: Subtype) -> Group {
    match (kind, subtype) {
        (
            Kind::Message,
            Subtype::Normal | Subtype::Chat | Subtype::Groupchat | Subtype::Headline,
        ) => Group::Message,
        (Kind::Presence, Subtype::Available | Subtype::Unavailable) => Group::Availability,
        (Kind::Presence, Subtype::Subscribe | Subtype::Unsubscribe | Subtype::Probe) => {
            Group::Asking
        }
        (Kind::Presence, Subtype::Subscribed | Subtype::Unsubscribed) => Group::Answering,
        (Kind::Iq, Subtype::Get | Subtype::Set) => Group::Request,
        (Kind::Iq, Subtype::Result) | (_, Subtype::Error) => Group::Only(subtype),
        _ => Group::Illegal,
    }
}
