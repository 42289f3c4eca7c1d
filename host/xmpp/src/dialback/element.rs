//! `<db:result/>` and `<db:verify/>`, requests and answers.

use std::sync::Arc;

use super::{DialbackError, Key, Verification, Verified};
use crate::{
    error::{StreamCondition, StreamError},
    jid::Domain,
    ns,
    xml::Element,
};

/// The longest stream id that is taken from a peer, in bytes.
const ID_BYTES: usize = 1024;

/// Two domains, as they stand in an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) from: Domain,
    pub(crate) to: Domain,
}

impl Pair {
    /// As it stands in the answer.
    pub(crate) fn swapped(&self) -> Self {
        Self {
            from: self.to.clone(),
            to: self.from.clone(),
        }
    }

    fn element(&self, name: &str) -> Element {
        Element::new(ns::DIALBACK, name)
            .with_attribute("from", self.from.as_str())
            .with_attribute("to", self.to.as_str())
    }
}

/// An element in the dialback namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Message {
    /// The initiating server sends its key; none if it is no key at all.
    Result(Pair, Option<Key>),
    /// The receiving server's answer to it, addressed the other way round.
    Resulted(Pair, Verified),
    /// The receiving server asks the authoritative one, which is the recipient.
    Verify(Verification),
    /// The authoritative server's answer to it.
    Verifying(Pair, Arc<str>, Verified),
}

impl Message {
    /// Reads an element; none if it is in another namespace.
    ///
    /// # Errors
    /// Without its addresses, or with a name or a type that does not exist, there is nothing to
    /// answer.
    pub(crate) fn of(element: &Element) -> Option<Result<Self, StreamError>> {
        (element.ns() == ns::DIALBACK).then(|| Self::read(element))
    }

    fn read(element: &Element) -> Result<Self, StreamError> {
        let domain = |name: &str| {
            element
                .attribute(name)
                .and_then(|value| Domain::parse(value).ok())
        };
        let (Some(from), Some(to)) = (domain("from"), domain("to")) else {
            return Err(StreamError::new(StreamCondition::ImproperAddressing)
                .with_text("a dialback element needs the domains 'from' and 'to'"));
        };
        let pair = Pair { from, to };
        let answer = match element.attribute("type") {
            None => None,
            Some("valid") => Some(Verified::Valid),
            Some("invalid") => Some(Verified::Invalid),
            Some("error") => Some(Verified::Failed(DialbackError::within(element))),
            Some(_) => {
                return Err(StreamError::new(StreamCondition::BadFormat)
                    .with_text("a dialback element of an unknown type"));
            }
        };
        match (element.name(), answer) {
            ("result", None) => Ok(Self::Result(pair, Key::parse(&element.text()))),
            ("result", Some(answer)) => Ok(Self::Resulted(pair, answer)),
            ("verify", answer) => {
                let Some(id) = element
                    .attribute("id")
                    .filter(|id| !id.is_empty() && id.len() <= ID_BYTES)
                    .map(Arc::from)
                else {
                    return Err(StreamError::new(StreamCondition::BadFormat)
                        .with_text("<verify/> needs an 'id'"));
                };
                match (answer, Key::parse(&element.text())) {
                    (Some(answer), _) => Ok(Self::Verifying(pair, id, answer)),
                    (None, Some(key)) => Ok(Self::Verify(Verification {
                        originating: pair.to,
                        receiving: pair.from,
                        stream_id: id,
                        key,
                    })),
                    (None, None) => Err(StreamError::new(StreamCondition::BadFormat)
                        .with_text("<verify/> needs a key")),
                }
            }
            _ => Err(StreamError::new(StreamCondition::UnsupportedStanzaType)),
        }
    }

    /// The element.
    pub(crate) fn to_element(&self) -> Element {
        match self {
            Self::Result(pair, key) => pair
                .element("result")
                .with_text(key.as_ref().map_or("", Key::as_str)),
            Self::Resulted(pair, answer) => answered(pair.element("result"), answer),
            Self::Verify(asked) => asked
                .question()
                .element("verify")
                .with_attribute("id", &asked.stream_id)
                .with_text(asked.key.as_str()),
            Self::Verifying(pair, id, answer) => {
                answered(pair.element("verify").with_attribute("id", id), answer)
            }
        }
    }
}

impl Verification {
    /// How the question is addressed.
    pub(crate) fn question(&self) -> Pair {
        Pair {
            from: self.receiving.clone(),
            to: self.originating.clone(),
        }
    }
}

fn answered(element: Element, answer: &Verified) -> Element {
    match answer {
        Verified::Valid => element.with_attribute("type", "valid"),
        Verified::Invalid => element.with_attribute("type", "invalid"),
        Verified::Failed(error) => element
            .with_attribute("type", "error")
            .with_child(error.to_element()),
    }
}
