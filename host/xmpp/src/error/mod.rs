//! Errors that XMPP knows: of a stream (RFC 6120 §4.9) and of a stanza (RFC 6120 §8.3).
//!
//! They are made here, written here, and read here when a peer sends one. An unknown condition that
//! a peer sends is `undefined-condition`; texts from a peer are cut, never trusted.

mod stanza;
mod stream;

pub use stanza::{ErrorType, StanzaCondition, StanzaError};
pub use stream::{StreamCondition, StreamError};

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

#[cfg(test)]
mod tests;
