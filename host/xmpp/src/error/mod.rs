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

#[cfg(test)]
mod tests;
