//! Between the words of `portcullis-xmpp` and those of the WIT.

use portcullis_xmpp::error::StanzaCondition;
use portcullis_xmpp::stanza::{Direction, EditError, Kind, Stanza, Subtype};

use super::log::cut;
use crate::bindings::exports::portcullis::policy::filter::Header;
use crate::bindings::portcullis::policy::types;
use crate::spec::PartnerType;

/// Longer ids are cut (WIT, `header.id`).
const ID_BYTES: usize = 1024;
/// Longer languages are cut (WIT, `header.lang`).
const LANG_BYTES: usize = 64;
/// More children are not listed (WIT, `header.text`).
const PAYLOADS: usize = 64;

/// A stanza's attributes in one string, packed once and lent to every plugin.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PackedHeader {
    kind: Kind,
    subtype: Subtype,
    direction: Direction,
    lengths: [u16; 6],
    text: String,
}

impl PackedHeader {
    pub(crate) fn of(stanza: &Stanza, direction: Direction) -> Self {
        let parts = [
            stanza.from().domain().as_str(),
            stanza.to().domain().as_str(),
            // Addresses were held to 3071 bytes when they were parsed.
            stanza.from().as_str(),
            stanza.to().as_str(),
            cut(stanza.id().unwrap_or_default(), ID_BYTES),
            cut(stanza.lang().unwrap_or_default(), LANG_BYTES),
        ];
        let parts = parts.map(|part| cut(part, usize::from(u16::MAX)));
        let attributes: usize = parts.iter().map(|part| part.len()).sum();
        let listed = || stanza.payloads().take(PAYLOADS);
        let payloads: usize = listed().map(|(name, ns)| name.len() + ns.len() + 2).sum();
        let mut text = String::with_capacity(attributes + payloads);
        for part in parts {
            text.push_str(part);
        }
        for (place, (name, namespace)) in listed().enumerate() {
            if place > 0 {
                text.push('\n');
            }
            // A line break in a namespace would forge a line.
            if namespace.contains('\n') {
                text.extend(namespace.chars().map(|it| {
                    if it == '\n' {
                        char::REPLACEMENT_CHARACTER
                    } else {
                        it
                    }
                }));
            } else {
                text.push_str(namespace);
            }
            text.push(' ');
            text.push_str(name);
        }
        Self {
            kind: stanza.kind(),
            subtype: stanza.subtype(),
            direction,
            lengths: parts.map(|part| u16::try_from(part.len()).unwrap_or(u16::MAX)),
            text,
        }
    }

    /// For one call: borrows the text.
    pub(super) fn lend(&self) -> Header<'_> {
        let [from_domain, to_domain, from, to, id, lang] = self.lengths;
        Header {
            kind: kind(self.kind),
            subtype: subtype(self.subtype),
            direction: self::direction(self.direction),
            from_domain,
            to_domain,
            from,
            to,
            id,
            lang,
            text: &self.text,
        }
    }
}

pub(super) fn direction(direction: Direction) -> types::Direction {
    match direction {
        Direction::Inbound => types::Direction::Inbound,
        Direction::Outbound => types::Direction::Outbound,
    }
}

fn kind(kind: Kind) -> types::Kind {
    match kind {
        Kind::Message => types::Kind::Message,
        Kind::Presence => types::Kind::Presence,
        Kind::Iq => types::Kind::Iq,
    }
}

fn subtype(subtype: Subtype) -> types::Subtype {
    match subtype {
        Subtype::Normal => types::Subtype::Normal,
        Subtype::Chat => types::Subtype::Chat,
        Subtype::Groupchat => types::Subtype::Groupchat,
        Subtype::Headline => types::Subtype::Headline,
        Subtype::Available => types::Subtype::Available,
        Subtype::Unavailable => types::Subtype::Unavailable,
        Subtype::Subscribe => types::Subtype::Subscribe,
        Subtype::Subscribed => types::Subtype::Subscribed,
        Subtype::Unsubscribe => types::Subtype::Unsubscribe,
        Subtype::Unsubscribed => types::Subtype::Unsubscribed,
        Subtype::Probe => types::Subtype::Probe,
        Subtype::Get => types::Subtype::Get,
        Subtype::Set => types::Subtype::Set,
        Subtype::Result => types::Subtype::Result,
        Subtype::Error => types::Subtype::Error,
    }
}

pub(super) fn subtype_of(subtype: types::Subtype) -> Subtype {
    match subtype {
        types::Subtype::Normal => Subtype::Normal,
        types::Subtype::Chat => Subtype::Chat,
        types::Subtype::Groupchat => Subtype::Groupchat,
        types::Subtype::Headline => Subtype::Headline,
        types::Subtype::Available => Subtype::Available,
        types::Subtype::Unavailable => Subtype::Unavailable,
        types::Subtype::Subscribe => Subtype::Subscribe,
        types::Subtype::Subscribed => Subtype::Subscribed,
        types::Subtype::Unsubscribe => Subtype::Unsubscribe,
        types::Subtype::Unsubscribed => Subtype::Unsubscribed,
        types::Subtype::Probe => Subtype::Probe,
        types::Subtype::Get => Subtype::Get,
        types::Subtype::Set => Subtype::Set,
        types::Subtype::Result => Subtype::Result,
        types::Subtype::Error => Subtype::Error,
    }
}

pub(super) fn edit_error(error: EditError) -> types::EditError {
    match error {
        EditError::Malformed(error) => types::EditError::Malformed(error.to_string()),
        EditError::Forbidden(text) => types::EditError::Forbidden(text.to_owned()),
        EditError::TooLarge => types::EditError::TooLarge,
    }
}

pub(super) fn partner_type(partner: PartnerType) -> types::PartnerType {
    match partner {
        PartnerType::Federated => types::PartnerType::Federated,
        PartnerType::PublicVerified => types::PartnerType::PublicVerified,
        PartnerType::PublicUnverified => types::PartnerType::PublicUnverified,
    }
}

pub(crate) fn condition(condition: types::Condition) -> StanzaCondition {
    match condition {
        types::Condition::BadRequest => StanzaCondition::BadRequest,
        types::Condition::Conflict => StanzaCondition::Conflict,
        types::Condition::FeatureNotImplemented => StanzaCondition::FeatureNotImplemented,
        types::Condition::Forbidden => StanzaCondition::Forbidden,
        types::Condition::Gone => StanzaCondition::Gone,
        types::Condition::InternalServerError => StanzaCondition::InternalServerError,
        types::Condition::ItemNotFound => StanzaCondition::ItemNotFound,
        types::Condition::JidMalformed => StanzaCondition::JidMalformed,
        types::Condition::NotAcceptable => StanzaCondition::NotAcceptable,
        types::Condition::NotAllowed => StanzaCondition::NotAllowed,
        types::Condition::NotAuthorized => StanzaCondition::NotAuthorized,
        types::Condition::PolicyViolation => StanzaCondition::PolicyViolation,
        types::Condition::RecipientUnavailable => StanzaCondition::RecipientUnavailable,
        types::Condition::Redirect => StanzaCondition::Redirect,
        types::Condition::RegistrationRequired => StanzaCondition::RegistrationRequired,
        types::Condition::RemoteServerNotFound => StanzaCondition::RemoteServerNotFound,
        types::Condition::RemoteServerTimeout => StanzaCondition::RemoteServerTimeout,
        types::Condition::ResourceConstraint => StanzaCondition::ResourceConstraint,
        types::Condition::ServiceUnavailable => StanzaCondition::ServiceUnavailable,
        types::Condition::SubscriptionRequired => StanzaCondition::SubscriptionRequired,
        types::Condition::UndefinedCondition => StanzaCondition::UndefinedCondition,
        types::Condition::UnexpectedRequest => StanzaCondition::UnexpectedRequest,
    }
}
