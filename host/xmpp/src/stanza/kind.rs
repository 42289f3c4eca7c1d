//! What kind of stanza, and which way it goes.

use std::fmt;

/// Which way a stanza or stream goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// From a partner towards the organisation.
    Inbound,
    /// From the organisation towards a partner.
    Outbound,
}

impl Direction {
    /// For logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The three stanzas (RFC 6120 §8.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Push.
    Message,
    /// Broadcast to subscribers.
    Presence,
    /// Request and answer.
    Iq,
}

impl Kind {
    /// The name of its element.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Presence => "presence",
            Self::Iq => "iq",
        }
    }

    /// The kind of this element name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Message, Self::Presence, Self::Iq]
            .into_iter()
            .find(|kind| kind.as_str() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The `type` attribute (RFC 6121 §5.2.2, §4.7.1; RFC 6120 §8.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subtype {
    /// A message without a type, of type `normal`, or of a type that is not known.
    Normal,
    /// A message of a conversation between two.
    Chat,
    /// A message of a room.
    Groupchat,
    /// A message that wants no reply.
    Headline,
    /// A presence without a type.
    Available,
    /// The sender goes offline.
    Unavailable,
    /// The sender asks for the recipient's presence.
    Subscribe,
    /// The sender grants its presence.
    Subscribed,
    /// The sender gives up the recipient's presence.
    Unsubscribe,
    /// The sender denies its presence.
    Unsubscribed,
    /// The sender's server asks for current presence.
    Probe,
    /// An iq that asks.
    Get,
    /// An iq that changes.
    Set,
    /// The answer to a `get` or `set`.
    Result,
    /// Any kind that comes back.
    Error,
}

impl Subtype {
    /// For logs and metrics: the attribute's value, and `normal` or `available` where it is absent.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Chat => "chat",
            Self::Groupchat => "groupchat",
            Self::Headline => "headline",
            Self::Available => "available",
            Self::Unavailable => "unavailable",
            Self::Subscribe => "subscribe",
            Self::Subscribed => "subscribed",
            Self::Unsubscribe => "unsubscribe",
            Self::Unsubscribed => "unsubscribed",
            Self::Probe => "probe",
            Self::Get => "get",
            Self::Set => "set",
            Self::Result => "result",
            Self::Error => "error",
        }
    }

    /// The value of the `type` attribute; none where it is left out.
    pub(super) fn attribute(self) -> Option<&'static str> {
        if matches!(self, Self::Normal | Self::Available) {
            None
        } else {
            Some(self.as_str())
        }
    }

    /// Reads the `type` attribute of a stanza of this kind; none where RFC 6120 §8.2.3 and RFC 6121
    /// §4.7.1 want `bad-request`.
    pub(super) fn read(kind: Kind, value: Option<&str>) -> Option<Self> {
        match (kind, value) {
            (_, Some("error")) => Some(Self::Error),
            (Kind::Message, Some("chat")) => Some(Self::Chat),
            (Kind::Message, Some("groupchat")) => Some(Self::Groupchat),
            (Kind::Message, Some("headline")) => Some(Self::Headline),
            (Kind::Message, _) => Some(Self::Normal),
            (Kind::Presence, None) => Some(Self::Available),
            (Kind::Presence, Some("unavailable")) => Some(Self::Unavailable),
            (Kind::Presence, Some("subscribe")) => Some(Self::Subscribe),
            (Kind::Presence, Some("subscribed")) => Some(Self::Subscribed),
            (Kind::Presence, Some("unsubscribe")) => Some(Self::Unsubscribe),
            (Kind::Presence, Some("unsubscribed")) => Some(Self::Unsubscribed),
            (Kind::Presence, Some("probe")) => Some(Self::Probe),
            (Kind::Iq, Some("get")) => Some(Self::Get),
            (Kind::Iq, Some("set")) => Some(Self::Set),
            (Kind::Iq, Some("result")) => Some(Self::Result),
            (Kind::Presence | Kind::Iq, _) => None,
        }
    }
}

impl fmt::Display for Subtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
