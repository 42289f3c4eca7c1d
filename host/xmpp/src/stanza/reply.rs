//! Stanzas that the gateway itself makes.

use std::sync::Arc;

use super::{Kind, Stanza, Subtype, Whole, parse::Address};
use crate::{
    error::StanzaError,
    jid::{Domain, Jid},
    ns,
    xml::Element,
};

impl Stanza {
    /// The error that goes back to the sender: addresses swapped, the same id, nothing of the
    /// payload (RFC 6120 §8.3.1).
    ///
    /// None where nothing may go back: to an error, to the answer of an iq, to presence that tells or
    /// asks for availability (RFC 6121 §8.5), and to what a room sends to its occupants (a
    /// `groupchat` message for a full address: the error would put the occupant out of the room).
    pub fn error_reply(&self, error: &StanzaError) -> Option<Self> {
        let full_recipient = self.whole.to.resource().is_some();
        let reply = Made {
            kind: self.whole.kind,
            subtype: Subtype::Error,
            from: self.whole.to.clone(),
            to: self.whole.from.clone(),
        };
        may_answer(self.whole.subtype, full_recipient)
            .then(|| reply.stanza(self.id(), Some(error.to_element())))
    }

    /// Makes this the error of an answer that the gateway has made. Such an answer holds nothing else.
    pub(super) fn set_error(&mut self, error: &StanzaError) {
        let root = &mut self.edit().root;
        root.retain_nodes(|_| false);
        root.push(error.to_element());
    }

    /// Presence that says the sender is offline.
    pub fn unavailable(from: Jid, to: Jid) -> Self {
        Made {
            kind: Kind::Presence,
            subtype: Subtype::Unavailable,
            from,
            to,
        }
        .stanza(None, None)
    }

    /// Presence that refuses or takes back a subscription, between the bare addresses (RFC 6121 §3.2).
    pub fn unsubscribed(from: &Jid, to: &Jid) -> Self {
        let (from, to) = (from.to_bare(), to.to_bare());
        Made {
            kind: Kind::Presence,
            subtype: Subtype::Unsubscribed,
            from,
            to,
        }
        .stanza(None, None)
    }

    /// Presence that asks the sender's contact for its presence, between the bare addresses (RFC 6121
    /// §4.3).
    pub fn probe(from: &Jid, to: &Jid) -> Self {
        let (from, to) = (from.to_bare(), to.to_bare());
        Made {
            kind: Kind::Presence,
            subtype: Subtype::Probe,
            from,
            to,
        }
        .stanza(None, None)
    }

    /// An iq that asks whether the other server is there (XEP-0199 §4.3).
    pub fn ping(from: Domain, to: Domain, id: &str) -> Self {
        Made {
            kind: Kind::Iq,
            subtype: Subtype::Get,
            from: from.into(),
            to: to.into(),
        }
        .stanza(Some(id), Some(Element::new(ns::PING, "ping")))
    }
}

fn may_answer(subtype: Subtype, full_recipient: bool) -> bool {
    match subtype {
        Subtype::Error
        | Subtype::Result
        | Subtype::Available
        | Subtype::Unavailable
        | Subtype::Probe => false,
        Subtype::Groupchat => !full_recipient,
        _ => true,
    }
}

/// The error that goes back for a stanza that could not be taken. An address that is malformed
/// is not echoed: its domain answers for it, and nothing goes to it (RFC 6120 §8.3.1 rule 2).
pub(super) fn to_bad(
    kind: Kind,
    subtype: Option<Subtype>,
    element: &Element,
    from: Address,
    to: Address,
    error: &StanzaError,
) -> Option<Stanza> {
    let Address::Good(sender) = from else {
        return None;
    };
    let answerer = match to {
        Address::Good(jid) => jid,
        Address::Malformed(domain) => domain.into(),
    };
    // A type that is not known is answered (RFC 6120 §8.2.3 rule 2, RFC 6121 §4.7.1).
    if !subtype.is_none_or(|subtype| may_answer(subtype, answerer.resource().is_some())) {
        return None;
    }
    let made = Made {
        kind,
        subtype: Subtype::Error,
        from: answerer,
        to: sender,
    };
    Some(made.stanza(element.attribute("id"), Some(error.to_element())))
}

struct Made {
    kind: Kind,
    subtype: Subtype,
    from: Jid,
    to: Jid,
}

impl Made {
    fn stanza(self, id: Option<&str>, payload: Option<Element>) -> Stanza {
        let Self {
            kind,
            subtype,
            from,
            to,
        } = self;
        let mut root = Element::new(ns::SERVER, kind.as_str())
            .with_attribute("from", from.as_str())
            .with_attribute("to", to.as_str());
        if let Some(id) = id {
            root.set_attribute("id", id);
        }
        if let Some(subtype) = subtype.attribute() {
            root.set_attribute("type", subtype);
        }
        if let Some(payload) = payload {
            root.push(payload);
        }
        let whole = Whole {
            root,
            kind,
            subtype,
            from,
            to,
            lang: None,
            wire_size: 0,
        };
        Stanza {
            whole: Arc::new(whole),
        }
    }
}
