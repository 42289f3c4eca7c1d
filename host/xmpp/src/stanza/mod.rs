//! Stanzas: a [`Frame`](crate::frame::Frame) flows in, an addressed stanza of a known kind flows out, to be read, edited
//! and written (RFC 6120 §8).
//!
//! A [`Stanza`] has valid addresses and obeys the rules for its kind, whatever is done to it. That
//! its sender is who it says is not known here. What a frame lacks is told by [`StanzaFault`]:
//! a mistake of the peer server that ends the stream, or of a user that is answered.

mod edit;
mod kind;
mod parse;
mod read;
mod reply;

use std::sync::Arc;

pub use edit::EditError;
pub use kind::{Direction, Kind, Subtype};
pub use parse::{BadStanza, StanzaFault};

use crate::{
    jid::Jid,
    ns,
    xml::{Element, Writer},
};

/// A message, presence or iq with both addresses. Cheap to clone: the tree is shared until one of
/// the clones is edited.
#[derive(Debug, Clone)]
pub struct Stanza {
    /// In one piece, since a stanza passes through many hands.
    whole: Arc<Whole>,
}

#[derive(Debug, Clone)]
struct Whole {
    root: Element,
    kind: Kind,
    subtype: Subtype,
    from: Jid,
    to: Jid,
    /// The language of the stream it came on, if it has none of its own.
    lang: Option<Arc<str>>,
    wire_size: usize,
}

impl Stanza {
    /// Which of the three.
    pub fn kind(&self) -> Kind {
        self.whole.kind
    }

    /// Its type; for a message of an unknown type [`Subtype::Normal`] (RFC 6121 §5.2.2), though the
    /// attribute stays as it is.
    pub fn subtype(&self) -> Subtype {
        self.whole.subtype
    }

    /// The sender.
    pub fn from(&self) -> &Jid {
        &self.whole.from
    }

    /// The recipient.
    pub fn to(&self) -> &Jid {
        &self.whole.to
    }

    /// Its id; iq stanzas have one.
    pub fn id(&self) -> Option<&str> {
        self.whole.root.attribute("id")
    }

    /// Its `xml:lang`, or that of the stream it came on.
    pub fn lang(&self) -> Option<&str> {
        self.whole.root.lang().or(self.whole.lang.as_deref())
    }

    /// How many bytes it had when it arrived; 0 if the gateway made it.
    pub fn wire_size(&self) -> usize {
        self.whole.wire_size
    }

    /// The same stanza, as if so many bytes had arrived: for one that was recorded.
    #[must_use]
    pub fn with_wire_size(mut self, bytes: usize) -> Self {
        self.edit().wire_size = bytes;
        self
    }

    /// The whole element.
    pub fn root(&self) -> &Element {
        &self.whole.root
    }

    /// Whether somebody waits for an answer: an iq of type `get` or `set`.
    pub fn is_request(&self) -> bool {
        matches!(
            (self.whole.kind, self.whole.subtype),
            (Kind::Iq, Subtype::Get | Subtype::Set)
        )
    }

    /// Appends it as it goes on a stream whose default namespace is `jabber:server`. A language
    /// that it inherited goes with it (RFC 6120 §4.7.4).
    pub fn write_to(&self, out: &mut Vec<u8>) {
        Writer::new(ns::SERVER).write_with_lang(&self.whole.root, self.whole.lang.as_deref(), out);
    }

    /// As [`Self::write_to`].
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.whole.wire_size + 64);
        self.write_to(&mut out);
        out
    }

    /// To be changed: a copy of its own if others hold it too.
    fn edit(&mut self) -> &mut Whole {
        Arc::make_mut(&mut self.whole)
    }

    /// The stanza by itself, with `xmlns='jabber:server'`; otherwise as it would be sent.
    pub fn to_xml(&self) -> String {
        Writer::new("").to_xml_with_lang(&self.whole.root, self.whole.lang.as_deref())
    }
}

#[cfg(test)]
mod tests;
