//! What a machine asks its driver, and the answers.

use std::sync::Arc;

use super::{Peer, Proof, Terms};
use crate::{
    dialback::{DialbackError, Verification, Verified},
    error::StreamError,
    jid::Domain,
};

/// What only the driver can know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// May this stream exist? Asked on inbound streams, before anything is proven: is `to` served
    /// here, is `from` somebody who may knock, and not one of our own domains (ADR-04)? On STARTTLS
    /// it is asked before and after the handshake, unless nothing has changed.
    Open {
        /// Who the peer says it is; may be missing before TLS.
        from: Option<Domain>,
        /// Whom it wants to speak to.
        to: Domain,
    },
    /// Is the certificate of the TLS session good for this domain, now? Asked only where the terms let
    /// a certificate prove it.
    Prove {
        /// The domain that the peer says it is, or that we wanted to reach.
        domain: Domain,
    },
    /// May this pair of domains be authenticated by dialback on this stream, and on what terms? Asked
    /// on inbound streams for each new pair, before anything is verified. Many servers send several.
    Pair {
        /// Who the peer says it is.
        from: Domain,
        /// Whom it wants to speak to.
        to: Domain,
    },
    /// Is this a key of ours? We are asked as the authoritative server of the originating domain,
    /// also by who has proven nothing (XEP-0220 §2.3).
    Key(Verification),
    /// The peer is proven. Is it welcome? Asked before the peer is told of success.
    Admit(Arc<Peer>),
}

/// The answer to the [`Question`] of the same name. An answer to another question ends the stream; an
/// answer that comes after the stream was closed is ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To [`Question::Open`]. For a `to` that is not served here the error has to be `host-unknown`
    /// or `host-gone`, whatever else is wrong: only then our header does not repeat it (STR-03).
    Open(Result<Terms, StreamError>),
    /// To [`Question::Prove`]. The text says why not; the peer reads it in a stream error.
    Prove(Result<Proof, String>),
    /// To [`Question::Pair`]. For a domain that is not served here the error is `item-not-found`.
    Pair(Result<Terms, DialbackError>),
    /// To [`Question::Key`]. [`Verified::Invalid`] also for a stream that is not ours.
    Key(Verified),
    /// To [`Question::Admit`]. The peer gets SASL's or dialback's `not-authorized` (inbound) and the
    /// error.
    Admit(Result<(), StreamError>),
}
