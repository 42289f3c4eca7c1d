//! Server dialback (XEP-0220): the keys, what is asked about them, and the elements.
//!
//! Three servers take part. The *initiating* one opens a stream in the name of the *originating*
//! domain and sends a key for it; the *receiving* one asks the *authoritative* server of the
//! originating domain whether the key is its own. A [`Verification`] is that question, on both ends.
//!
//! In: elements in the dialback namespace, secrets. Out: messages, keys and judgements. What can
//! fail is told to the peer by a [`DialbackError`], which leaves the stream alone, or, where not even
//! the addresses can be read, by a stream error.
//!
//! Not guaranteed: that DNS told the truth about who is authoritative.

mod element;
mod error;
mod key;

use std::sync::Arc;

pub(crate) use element::{Message, Pair};
pub use error::{DialbackCondition, DialbackError};
pub use key::{Key, Secret};

use crate::jid::Domain;

/// What a receiving server asks an authoritative one: is this a key of yours?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// The domain in whose name the stream was opened; the authoritative server's.
    pub originating: Domain,
    /// The domain that the stream was opened to; the asking server's.
    pub receiving: Domain,
    /// The id of that stream, made by the receiving server.
    pub stream_id: Arc<str>,
    /// What the initiating server sent on it.
    pub key: Key,
}

/// What became of a [`Verification`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verified {
    /// The key is the authoritative server's own.
    Valid,
    /// It is not.
    Invalid,
    /// It could not be found out.
    Failed(DialbackError),
}

#[cfg(test)]
mod tests;
