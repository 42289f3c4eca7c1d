//! How the words of the contract are written in logs and configurations: as the XMPP documents
//! write them.

use std::fmt;

use serde::{Deserialize, Deserializer};

use crate::{Condition, Direction, EditError, Kind, PartnerType, Subtype};

/// `as_str` and `Display` for an enum of the contract.
macro_rules! named {
    ($name:ident { $first:ident => $word:literal, $($variant:ident => $text:literal,)+ }) => {
        impl $name {
            /// The word as the XMPP documents write it.
            ///
            /// ```
            #[doc = concat!("# use portcullis_plugin::", stringify!($name), ";")]
            #[doc = concat!("assert_eq!(", stringify!($name), "::", stringify!($first), ".as_str(), ", stringify!($word), ");")]
            /// ```
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    Self::$first => $word,
                    $(Self::$variant => $text,)+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

named!(Direction { Inbound => "inbound", Outbound => "outbound", });

named!(Kind { Message => "message", Presence => "presence", Iq => "iq", });

named!(Subtype {
    Normal => "normal",
    Chat => "chat",
    Groupchat => "groupchat",
    Headline => "headline",
    Available => "available",
    Unavailable => "unavailable",
    Subscribe => "subscribe",
    Subscribed => "subscribed",
    Unsubscribe => "unsubscribe",
    Unsubscribed => "unsubscribed",
    Probe => "probe",
    Get => "get",
    Set => "set",
    Result => "result",
    Error => "error",
});

named!(PartnerType {
    Federated => "federated",
    PublicVerified => "public-verified",
    PublicUnverified => "public-unverified",
});

named!(Condition {
    BadRequest => "bad-request",
    Conflict => "conflict",
    FeatureNotImplemented => "feature-not-implemented",
    Forbidden => "forbidden",
    Gone => "gone",
    InternalServerError => "internal-server-error",
    ItemNotFound => "item-not-found",
    JidMalformed => "jid-malformed",
    NotAcceptable => "not-acceptable",
    NotAllowed => "not-allowed",
    NotAuthorized => "not-authorized",
    PolicyViolation => "policy-violation",
    RecipientUnavailable => "recipient-unavailable",
    Redirect => "redirect",
    RegistrationRequired => "registration-required",
    RemoteServerNotFound => "remote-server-not-found",
    RemoteServerTimeout => "remote-server-timeout",
    ResourceConstraint => "resource-constraint",
    ServiceUnavailable => "service-unavailable",
    SubscriptionRequired => "subscription-required",
    UndefinedCondition => "undefined-condition",
    UnexpectedRequest => "unexpected-request",
});

impl EditError {
    /// The error in words, for a log.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// let error = EditError::Forbidden("an iq request needs a child".into());
    /// assert_eq!(error.message(), "forbidden: an iq request needs a child");
    /// ```
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::Malformed(what) => format!("malformed: {what}"),
            Self::Forbidden(what) => format!("forbidden: {what}"),
            Self::TooLarge => "the stanza or the number of edits would grow too large".to_owned(),
        }
    }
}

impl<'de> Deserialize<'de> for PartnerType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// Names for serde, so that an error lists them.
        #[derive(Deserialize)]
        #[serde(rename_all = "kebab-case")]
        enum Name {
            Federated,
            PublicVerified,
            PublicUnverified,
        }
        Ok(match Name::deserialize(deserializer)? {
            Name::Federated => Self::Federated,
            Name::PublicVerified => Self::PublicVerified,
            Name::PublicUnverified => Self::PublicUnverified,
        })
    }
}
