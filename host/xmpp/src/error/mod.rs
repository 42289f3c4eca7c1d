//! Errors that XMPP knows: of a stream (RFC 6120 §4.9) and of a stanza (RFC 6120 §8.3).
//!
//! They are made here, written here, and read here when a peer sends one. An unknown condition that
//! a peer sends is `undefined-condition`; texts from a peer are cut, never trusted.
//!
//! An error of ours can carry a reference, by which people ask why: in an element of its own and at
//! the end of its text. What it refers to is the gateway's matter.

mod stanza;
mod stream;

pub use stanza::{ErrorType, StanzaCondition, StanzaError};
pub use stream::{StreamCondition, StreamError};

use crate::{ns, xml::Element};

/// The longest text kept of a received error, in bytes: enough for a log line.
const TEXT_BYTES: usize = 512;

/// Cuts at a character boundary.
fn cut(text: &str) -> String {
    let mut end = text.len().min(TEXT_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

/// A text that says by which reference to ask about it.
fn referring(text: &str, reference: Option<&str>) -> String {
    match reference {
        Some(reference) => format!("{text} (reference {reference})"),
        None => text.to_owned(),
    }
}

/// The one element that an error may have beside its condition and its text.
fn application(condition: Option<&str>, reference: Option<&str>) -> Option<Element> {
    match (condition, reference) {
        (Some(condition), _) => Some(Element::new(ns::ERRORS, condition)),
        (None, Some(reference)) => {
            Some(Element::new(ns::REFUSAL, "refusal").with_attribute("id", reference))
        }
        (None, None) => None,
    }
}

/// Puts into an error what both kinds say in the same way: the condition, the text, and the one element
/// beside them.
fn fill(
    error: &mut Element,
    namespace: &str,
    condition: &str,
    text: Option<&str>,
    beside: Option<Element>,
) {
    error.push(Element::new(namespace, condition));
    if let Some(text) = text {
        let text = Element::new(namespace, "text")
            .with_lang("en")
            .with_text(text);
        error.push(text);
    }
    if let Some(beside) = beside {
        error.push(beside);
    }
}

/// The element that names the condition of a received error.
fn named<'e>(error: &'e Element, namespace: &str) -> Option<&'e Element> {
    error
        .children()
        .find(|child| child.ns() == namespace && child.name() != "text")
}

/// The text of a received error, cut.
fn text(error: &Element, namespace: &str) -> Option<String> {
    error.child(namespace, "text").map(|text| cut(&text.text()))
}

#[cfg(test)]
mod tests;
