//! From a frame to a stanza: kind, addresses, type (RFC 6120 §8.1, §8.2).

use std::sync::Arc;

use super::{Kind, Stanza, Subtype, Whole, reply};
use crate::{
    error::{StanzaCondition, StanzaError, StreamCondition, StreamError},
    frame::{Frame, Rewritten},
    jid::{Domain, Jid, JidError, RecentJids, Strictness},
    ns,
    xml::Element,
};

/// Why a frame is no stanza.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StanzaFault {
    /// The peer server is at fault; the stream ends.
    #[error("{0}")]
    Stream(StreamError),
    /// Whoever wrote the stanza is at fault; it ends here, the stream goes on.
    #[error("{}", .0.error.condition)]
    Stanza(Box<BadStanza>),
}

/// A stanza that goes no further. Its domains are as little proven as those of a good one.
#[derive(Debug, Clone)]
pub struct BadStanza {
    /// Which of the three.
    pub kind: Kind,
    /// The sender's domain.
    pub from: Domain,
    /// The recipient's domain.
    pub to: Domain,
    /// What is wrong.
    pub error: StanzaError,
    /// The answer, for the stanzas that may have one. It is not to be sent before the sender's
    /// domain is found to be authenticated.
    pub reply: Option<Box<Stanza>>,
}

impl BadStanza {
    /// Lets the answer say by which reference to ask about it.
    pub fn refer(&mut self, reference: &str) {
        self.error.reference = Some(reference.to_owned());
        if let Some(reply) = &mut self.reply {
            reply.set_error(&self.error);
        }
    }
}

impl Stanza {
    /// Checks the addresses, the type, and for iq the id and the number of children.
    ///
    /// # Errors
    /// [`StanzaFault::Stream`] for another element, another namespace (RFC 6120 §4.8.3, §4.8.4), and
    /// an address that is missing or has no good domain (§8.1.1.2, §8.1.2.2);
    /// [`StanzaFault::Stanza`] for the rest, and for what would be too long when written anew.
    pub fn parse(frame: Frame) -> Result<Self, StanzaFault> {
        Self::parse_recent(frame, &mut RecentJids::default())
    }

    /// As [`Self::parse`], on a stream that has named addresses before.
    pub(crate) fn parse_recent(frame: Frame, recent: &mut RecentJids) -> Result<Self, StanzaFault> {
        let Frame {
            element,
            wire_size,
            lang,
            rewritten,
            addresses,
        } = frame;
        let kind = match (element.ns(), Kind::from_name(element.name())) {
            (ns::SERVER, Some(kind)) => kind,
            (ns::CLIENT, _) => {
                return Err(stream_fault(
                    StreamCondition::InvalidNamespace,
                    "not jabber:server",
                ));
            }
            _ => {
                return Err(stream_fault(
                    StreamCondition::UnsupportedStanzaType,
                    "no stanza",
                ));
            }
        };
        let from = address(&element, "from", addresses, recent)?;
        let to = address(&element, "to", addresses, recent)?;
        let subtype = Subtype::read(kind, element.attribute("type"));
        let error = match (&from, &to) {
            (Address::Malformed(_), _) | (_, Address::Malformed(_)) => {
                Some(StanzaError::new(StanzaCondition::JidMalformed))
            }
            _ if !is_legal(kind, subtype, &element) => {
                Some(StanzaError::new(StanzaCondition::BadRequest))
            }
            _ if rewritten == Rewritten::TooBig => {
                Some(StanzaError::too_big("longer than the limit, written anew"))
            }
            _ => None,
        };
        match (from, to, subtype, error) {
            (Address::Good(from), Address::Good(to), Some(subtype), None) => {
                let lang = if element.lang().is_some() { None } else { lang };
                let whole = Whole {
                    root: element,
                    kind,
                    subtype,
                    from,
                    to,
                    lang,
                    wire_size,
                };
                Ok(Self {
                    whole: Arc::new(whole),
                })
            }
            (from, to, subtype, error) => {
                let error = error.unwrap_or(StanzaError::new(StanzaCondition::BadRequest));
                let (from_domain, to_domain) = (from.domain().clone(), to.domain().clone());
                let reply = reply::to_bad(kind, subtype, &element, from, to, &error).map(Box::new);
                Err(StanzaFault::Stanza(Box::new(BadStanza {
                    kind,
                    from: from_domain,
                    to: to_domain,
                    error,
                    reply,
                })))
            }
        }
    }
}

/// An address with a good domain, which makes it routable, even if the rest of it is malformed.
pub(super) enum Address {
    Good(Jid),
    Malformed(Domain),
}

impl Address {
    fn domain(&self) -> &Domain {
        match self {
            Self::Good(jid) => jid.domain(),
            Self::Malformed(domain) => domain,
        }
    }
}

fn address(
    element: &Element,
    name: &str,
    strictness: Strictness,
    recent: &mut RecentJids,
) -> Result<Address, StanzaFault> {
    let improper = |text: String| stream_fault(StreamCondition::ImproperAddressing, text);
    let written = element
        .attribute(name)
        .ok_or_else(|| improper(format!("a stanza without `{name}`")))?;
    match recent.parse(written, strictness) {
        Ok(jid) => Ok(Address::Good(jid)),
        Err(JidError::LocalCharacter(domain) | JidError::ResourceCharacter(domain)) => {
            Ok(Address::Malformed(domain))
        }
        Err(error) => Err(improper(format!(
            "a stanza whose `{name}` is no address: {error}"
        ))),
    }
}

fn stream_fault(condition: StreamCondition, text: impl Into<String>) -> StanzaFault {
    StanzaFault::Stream(StreamError::new(condition).with_text(text))
}

/// The rules for a kind and type (RFC 6120 §8.2.3): an iq has an id; a request has one child, a
/// result at most one.
fn is_legal(kind: Kind, subtype: Option<Subtype>, element: &Element) -> bool {
    let Some(subtype) = subtype else { return false };
    if kind != Kind::Iq {
        return true;
    }
    let children = element.children().count();
    element.attribute("id").is_some_and(|id| !id.is_empty())
        && match subtype {
            Subtype::Get | Subtype::Set => children == 1,
            Subtype::Result => children <= 1,
            _ => true,
        }
}
