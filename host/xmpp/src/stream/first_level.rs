//! First-level elements (RFC 6120 §4.8): which are stanzas, who may send which, and what the rest is
//! answered with.

use std::sync::Arc;

use super::{Authenticated, Peer, StreamEnd};
use crate::{
    error::{StreamCondition, StreamError},
    frame::Frame,
    jid::{Domain, RecentJids},
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
    Bad(Arc<Peer>, Box<BadStanza>),
}

/// Makes a stanza of an authenticated peer's element.
///
/// The sender's and the recipient's domain have to be one of the pairs that were authenticated on
/// this stream, exactly: a subdomain is another domain (RFC 6120 §8.1.1.2, §8.1.2.2). That goes for
/// bad stanzas too, since they may be answered.
pub(super) fn check(
    peers: &[Arc<Peer>],
    frame: Frame,
    recent: &mut RecentJids,
) -> Result<Checked, StreamError> {
    match Stanza::parse_recent(frame, recent) {
        Ok(stanza) => {
            let peer = sender(peers, stanza.from().domain(), stanza.to().domain())?;
            Ok(Checked::Good(Authenticated { stanza, peer }))
        }
        Err(StanzaFault::Stanza(bad)) => {
            let peer = sender(peers, &bad.from, &bad.to)?;
            Ok(Checked::Bad(peer, bad))
        }
        Err(StanzaFault::Stream(error)) => Err(error),
    }
}

/// What came after our closing tag.
pub(super) struct Late {
    /// The end, as far as it is known now.
    pub(super) end: StreamEnd,
    /// Whose stanzas still count.
    pub(super) senders: Vec<Arc<Peer>>,
    /// A stanza that was under way.
    pub(super) checked: Option<Checked>,
}

/// After our closing tag stanzas that were under way still count, and after a fault or the peer's own
/// error nothing.
pub(super) fn after_closing(
    end: StreamEnd,
    senders: Vec<Arc<Peer>>,
    frame: Frame,
    recent: &mut RecentJids,
) -> Late {
    if let Some(error) = StreamError::from_element(frame.element()) {
        return Late {
            end: end.or_received(error),
            senders: Vec::new(),
            checked: None,
        };
    }
    match check(&senders, frame, recent) {
        Ok(checked) => Late {
            end,
            senders,
            checked: Some(checked),
        },
        Err(_) => Late {
            end,
            senders: Vec::new(),
            checked: None,
        },
    }
}

fn sender(peers: &[Arc<Peer>], from: &Domain, to: &Domain) -> Result<Arc<Peer>, StreamError> {
    let mut named = peers.iter().filter(|peer| peer.remote == *from).peekable();
    if named.peek().is_none() {
        return Err(StreamError::new(StreamCondition::InvalidFrom)
            .with_text(format!("{from} is not authenticated on this stream")));
    }
    match named.find(|peer| peer.local == *to) {
        Some(peer) => Ok(Arc::clone(peer)),
        None => Err(
            StreamError::new(StreamCondition::HostUnknown).with_text(format!(
                "{from} is not authenticated for {to} on this stream"
            )),
        ),
    }
}
