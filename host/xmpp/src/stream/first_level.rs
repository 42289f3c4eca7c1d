//! First-level elements (RFC 6120 §4.8): which are stanzas, who may send which, and what the rest is
//! answered with.

use std::sync::Arc;

use super::{Authenticated, Peer};
use crate::{
    error::{StreamCondition, StreamError},
    frame::Frame,
    jid::Domain,
    ns,
    stanza::{BadStanza, Kind, Stanza, StanzaFault},
    xml::Element,
};

/// Whether this is a message, presence or iq of the content namespace.
pub(super) fn is_stanza(element: &Element) -> bool {
    element.ns() == ns::SERVER && Kind::from_name(element.name()).is_some()
}

/// What to close a stream with on which this element has no place.
pub(super) fn misplaced(element: &Element) -> StreamError {
    if is_stanza(element) {
        return StreamError::new(StreamCondition::NotAuthorized)
            .with_text("no stanzas may be sent here");
    }
    let condition = match element.ns() {
        ns::CLIENT => StreamCondition::InvalidNamespace,
        _ => StreamCondition::UnsupportedStanzaType,
    };
    StreamError::new(condition)
}

/// What has become of a stanza that a peer sent.
pub(super) enum Checked {
    Good(Authenticated),
    /// To be answered or dropped; the stream goes on.
    Bad(Box<BadStanza>),
}

/// Makes a stanza of an authenticated peer's element.
///
/// The sender's domain has to be the one that was authenticated, and the recipient's the one that
/// the stream was opened to, exactly: a subdomain is another domain (RFC 6120 §8.1.1.2, §8.1.2.2).
/// That goes for bad stanzas too, since they may be answered.
pub(super) fn check(peer: &Arc<Peer>, frame: Frame) -> Result<Checked, StreamError> {
    match Stanza::parse(frame) {
        Ok(stanza) => {
            addressed(peer, stanza.from().domain(), stanza.to().domain())?;
            Ok(Checked::Good(Authenticated {
                stanza,
                peer: Arc::clone(peer),
            }))
        }
        Err(StanzaFault::Stanza(bad)) => {
            addressed(peer, &bad.from, &bad.to)?;
            Ok(Checked::Bad(bad))
        }
        Err(StanzaFault::Stream(error)) => Err(error),
    }
}

fn addressed(peer: &Peer, from: &Domain, to: &Domain) -> Result<(), StreamError> {
    if *from != peer.remote {
        return Err(
            StreamError::new(StreamCondition::InvalidFrom).with_text(format!(
                "a stanza from {from}, but this stream is authenticated for {}",
                peer.remote
            )),
        );
    }
    if *to != peer.local {
        return Err(
            StreamError::new(StreamCondition::HostUnknown).with_text(format!(
                "a stanza to {to}, but this stream was opened to {}",
                peer.local
            )),
        );
    }
    Ok(())
}
