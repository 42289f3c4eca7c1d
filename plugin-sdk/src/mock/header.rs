//! Packs a header as the gateway does, so that tests run the same unpacking.

use portcullis_xmpp::stanza;

use crate::bindings::base::portcullis::policy::types;
use crate::{Direction, Kind, Subtype};

/// How many direct children the header lists (`wit/policy.wit`, record `header`).
const PAYLOADS: usize = 64;

pub(super) fn pack(stanza: &stanza::Stanza, direction: Direction) -> types::Header {
    let mut text = String::new();
    let mut part = |value: &str, most: usize| {
        let value = value
            .get(..value.floor_char_boundary(most))
            .unwrap_or_default();
        text.push_str(value);
        u16::try_from(value.len()).unwrap_or(u16::MAX)
    };
    let from_domain = part(stanza.from().domain().as_str(), 255);
    let to_domain = part(stanza.to().domain().as_str(), 255);
    let from = part(stanza.from().as_str(), 3071);
    let to = part(stanza.to().as_str(), 3071);
    let id = part(stanza.id().unwrap_or_default(), 1024);
    let lang = part(stanza.lang().unwrap_or_default(), 64);
    let payloads: Vec<String> = stanza
        .payloads()
        .take(PAYLOADS)
        .map(|(name, namespace)| format!("{namespace} {name}"))
        .collect();
    text.push_str(&payloads.join("\n"));
    types::Header {
        kind: kind(stanza.kind()),
        subtype: subtype(stanza.subtype()),
        direction,
        from_domain,
        to_domain,
        from,
        to,
        id,
        lang,
        text,
    }
}

fn kind(kind: stanza::Kind) -> Kind {
    match kind {
        stanza::Kind::Message => Kind::Message,
        stanza::Kind::Presence => Kind::Presence,
        stanza::Kind::Iq => Kind::Iq,
    }
}

/// The same words on both sides.
macro_rules! subtypes {
    ($($name:ident)+) => {
        fn subtype(subtype: stanza::Subtype) -> Subtype {
            match subtype {
                $(stanza::Subtype::$name => Subtype::$name,)+
            }
        }

        /// The other way round.
        pub(super) fn subtype_to_xmpp(subtype: Subtype) -> stanza::Subtype {
            match subtype {
                $(Subtype::$name => stanza::Subtype::$name,)+
            }
        }
    };
}

subtypes! {
    Normal Chat Groupchat Headline Available Unavailable Subscribe Subscribed Unsubscribe
    Unsubscribed Probe Get Set Result Error
}
