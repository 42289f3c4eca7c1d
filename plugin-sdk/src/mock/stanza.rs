//! The stanza handle: the gateway's own model behind the methods of the contract's resource.

use std::cell::{Cell, RefCell};

use portcullis_xmpp::{Event, Framer, Limits, stanza};

use super::header::subtype_to_xmpp;
use super::side::Peer;
use crate::{Direction, EditError, Subtype};

/// How many edits a call has (`wit/policy.wit`, `edit-error`).
const EDITS: u32 = 256;
/// The gateway's default of `[limits].stanza_bytes`.
const STANZA_BYTES: usize = 256 * 1024;

/// The stanza of one call.
pub(crate) struct Stanza {
    stanza: RefCell<stanza::Stanza>,
    edits: Cell<u32>,
}

/// One stanza as it stands in a stream whose default namespace is `jabber:server`.
#[expect(clippy::panic, reason = "a mistake in the test itself")]
pub(super) fn parse(xml: &str) -> stanza::Stanza {
    let mut framer = Framer::new(Limits::default());
    framer.authenticated();
    framer.push(b"<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>");
    framer.push(xml.as_bytes());
    loop {
        match framer.next() {
            Ok(Some(Event::Open(_) | Event::Whitespace)) => {}
            Ok(Some(Event::Element(frame))) => match stanza::Stanza::parse(frame) {
                Ok(stanza) => return stanza,
                Err(fault) => panic!("no stanza for the gateway: {fault:?}: {xml}"),
            },
            other => panic!("no stanza: {other:?}: {xml}"),
        }
    }
}

impl Stanza {
    pub(super) fn new(stanza: stanza::Stanza) -> Self {
        Self {
            stanza: RefCell::new(stanza),
            edits: Cell::new(0),
        }
    }

    pub(super) fn into_inner(self) -> stanza::Stanza {
        self.stanza.into_inner()
    }

    pub(crate) fn xml(&self) -> String {
        self.stanza.borrow().to_xml()
    }

    pub(crate) fn size(&self) -> u32 {
        u32::try_from(self.stanza.borrow().wire_size()).unwrap_or(u32::MAX)
    }

    pub(crate) fn body(&self) -> Option<String> {
        self.stanza.borrow().body()
    }

    pub(crate) fn attribute(&self, name: &str) -> Option<String> {
        self.stanza.borrow().attribute(name).map(str::to_owned)
    }

    pub(crate) fn count(&self, name: &str, namespace: &str) -> u32 {
        u32::try_from(self.stanza.borrow().count(name, namespace)).unwrap_or(u32::MAX)
    }

    pub(crate) fn child_text(&self, name: &str, namespace: &str) -> Option<String> {
        self.stanza.borrow().child_text(name, namespace)
    }

    pub(crate) fn child_attribute(
        &self,
        name: &str,
        namespace: &str,
        attribute: &str,
    ) -> Option<String> {
        self.stanza
            .borrow()
            .child_attribute(name, namespace, attribute)
            .map(str::to_owned)
    }

    pub(crate) fn child_xml(&self, name: &str, namespace: &str) -> Option<String> {
        self.stanza.borrow().child_xml(name, namespace)
    }

    pub(crate) fn contains(&self, name: &str, namespace: &str) -> bool {
        self.stanza.borrow().contains(name, namespace)
    }

    pub(crate) fn texts(&self, path: &[(String, String)]) -> Vec<(String, String)> {
        let stanza = self.stanza.borrow();
        let texts = stanza.texts(path).into_iter();
        texts.map(|(lang, text)| (lang.to_owned(), text)).collect()
    }

    pub(crate) fn attributes(&self, path: &[(String, String)], attribute: &str) -> Vec<String> {
        let stanza = self.stanza.borrow();
        let values = stanza.attributes(path, attribute).into_iter();
        values.map(str::to_owned).collect()
    }

    pub(crate) fn peer(&self) -> Peer {
        let stanza = self.stanza.borrow();
        let domain = |jid: &portcullis_xmpp::Jid| jid.domain().as_str().to_owned();
        Peer::new(
            domain(stanza.from()),
            domain(stanza.to()),
            Direction::Inbound,
        )
    }

    pub(crate) fn remove(&self, name: &str, namespace: &str) -> Result<u32, EditError> {
        self.edit(|stanza| stanza.remove(name, namespace))
            .map(counted)
    }

    pub(crate) fn retain(&self, keep: &[(String, String)]) -> Result<u32, EditError> {
        self.edit(|stanza| stanza.retain(keep)).map(counted)
    }

    pub(crate) fn set_text(
        &self,
        name: &str,
        namespace: &str,
        text: &str,
    ) -> Result<(), EditError> {
        self.edit(|stanza| stanza.set_text(name, namespace, text, STANZA_BYTES))
    }

    pub(crate) fn set_child_attribute(
        &self,
        name: &str,
        namespace: &str,
        attribute: &str,
        value: &str,
    ) -> Result<(), EditError> {
        self.edit(|stanza| {
            stanza.set_child_attribute(name, namespace, attribute, value, STANZA_BYTES)
        })
    }

    pub(crate) fn insert(&self, xml: &str) -> Result<(), EditError> {
        self.edit(|stanza| stanza.insert(xml, STANZA_BYTES))
    }

    pub(crate) fn set_subtype(&self, to: Subtype) -> Result<(), EditError> {
        self.edit(|stanza| stanza.set_subtype(subtype_to_xmpp(to)))
    }

    fn edit<R>(
        &self,
        edit: impl FnOnce(&mut stanza::Stanza) -> Result<R, stanza::EditError>,
    ) -> Result<R, EditError> {
        if self.edits.get() == EDITS {
            return Err(EditError::TooLarge);
        }
        self.edits.set(self.edits.get() + 1);
        edit(&mut self.stanza.borrow_mut()).map_err(|error| match error {
            stanza::EditError::Malformed(_) => EditError::Malformed(error.to_string()),
            stanza::EditError::Forbidden(_) => EditError::Forbidden(error.to_string()),
            stanza::EditError::TooLarge => EditError::TooLarge,
        })
    }
}

fn counted(children: usize) -> u32 {
    u32::try_from(children).unwrap_or(u32::MAX)
}
