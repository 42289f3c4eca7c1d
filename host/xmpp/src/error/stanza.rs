//! Stanza errors: they go back to the sender and leave the stream alone (RFC 6120 §8.3).

use std::fmt;

use super::{application, cut, fill, named, referring, text};
use crate::{ns, xml::Element};

/// What the sender may do about a stanza error (RFC 6120 §8.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorType {
    /// Do not try again.
    Cancel,
    /// Try again with other data.
    Modify,
    /// Try again later.
    Wait,
    /// Try again with credentials.
    Auth,
    /// It was a warning only.
    Continue,
}

impl ErrorType {
    /// The value of the `type` attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Modify => "modify",
            Self::Wait => "wait",
            Self::Auth => "auth",
            Self::Continue => "continue",
        }
    }

    /// The type of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Self::Cancel,
            Self::Modify,
            Self::Wait,
            Self::Auth,
            Self::Continue,
        ]
        .into_iter()
        .find(|error_type| error_type.as_str() == name)
    }
}

/// A condition of RFC 6120 §8.3.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StanzaCondition {
    /// XML that does not fit the schema or cannot be processed (§8.3.3.1).
    BadRequest,
    /// Something of that name exists (§8.3.3.2).
    Conflict,
    /// Not implemented (§8.3.3.3).
    FeatureNotImplemented,
    /// The sender lacks the permission (§8.3.3.4).
    Forbidden,
    /// The recipient has gone for good (§8.3.3.5).
    Gone,
    /// A mistake of the server (§8.3.3.6).
    InternalServerError,
    /// No such address or item (§8.3.3.7).
    ItemNotFound,
    /// An address is malformed (§8.3.3.8).
    JidMalformed,
    /// It does not meet the recipient's criteria (§8.3.3.9).
    NotAcceptable,
    /// Nobody is allowed to do this (§8.3.3.10).
    NotAllowed,
    /// Credentials are needed (§8.3.3.11).
    NotAuthorized,
    /// A local policy is violated (§8.3.3.12).
    PolicyViolation,
    /// The recipient is temporarily unavailable (§8.3.3.13).
    RecipientUnavailable,
    /// Try another address (§8.3.3.14).
    Redirect,
    /// Registration comes first (§8.3.3.15).
    RegistrationRequired,
    /// The remote domain does not exist (§8.3.3.16).
    RemoteServerNotFound,
    /// The remote domain exists, but could not be reached (§8.3.3.17).
    RemoteServerTimeout,
    /// Not enough resources (§8.3.3.18).
    ResourceConstraint,
    /// The service is not provided (§8.3.3.19).
    ServiceUnavailable,
    /// A subscription is needed (§8.3.3.20).
    SubscriptionRequired,
    /// Anything else (§8.3.3.21).
    UndefinedCondition,
    /// Understood, but not at this time (§8.3.3.22).
    UnexpectedRequest,
}

impl StanzaCondition {
    /// All of them, in the order of the RFC.
    pub const ALL: [Self; 22] = [
        Self::BadRequest,
        Self::Conflict,
        Self::FeatureNotImplemented,
        Self::Forbidden,
        Self::Gone,
        Self::InternalServerError,
        Self::ItemNotFound,
        Self::JidMalformed,
        Self::NotAcceptable,
        Self::NotAllowed,
        Self::NotAuthorized,
        Self::PolicyViolation,
        Self::RecipientUnavailable,
        Self::Redirect,
        Self::RegistrationRequired,
        Self::RemoteServerNotFound,
        Self::RemoteServerTimeout,
        Self::ResourceConstraint,
        Self::ServiceUnavailable,
        Self::SubscriptionRequired,
        Self::UndefinedCondition,
        Self::UnexpectedRequest,
    ];

    /// The name of its element.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad-request",
            Self::Conflict => "conflict",
            Self::FeatureNotImplemented => "feature-not-implemented",
            Self::Forbidden => "forbidden",
            Self::Gone => "gone",
            Self::InternalServerError => "internal-server-error",
            Self::ItemNotFound => "item-not-found",
            Self::JidMalformed => "jid-malformed",
            Self::NotAcceptable => "not-acceptable",
            Self::NotAllowed => "not-allowed",
            Self::NotAuthorized => "not-authorized",
            Self::PolicyViolation => "policy-violation",
            Self::RecipientUnavailable => "recipient-unavailable",
            Self::Redirect => "redirect",
            Self::RegistrationRequired => "registration-required",
            Self::RemoteServerNotFound => "remote-server-not-found",
            Self::RemoteServerTimeout => "remote-server-timeout",
            Self::ResourceConstraint => "resource-constraint",
            Self::ServiceUnavailable => "service-unavailable",
            Self::SubscriptionRequired => "subscription-required",
            Self::UndefinedCondition => "undefined-condition",
            Self::UnexpectedRequest => "unexpected-request",
        }
    }

    /// The condition of this name; one that is not known is [`Self::UndefinedCondition`].
    pub fn from_name(name: &str) -> Self {
        Self::ALL
            .into_iter()
            .find(|condition| condition.as_str() == name)
            .unwrap_or(Self::UndefinedCondition)
    }

    /// The type that the RFC gives it; where it leaves a choice, the first that it names.
    pub fn default_type(self) -> ErrorType {
        match self {
            Self::BadRequest
            | Self::JidMalformed
            | Self::NotAcceptable
            | Self::PolicyViolation
            | Self::Redirect => ErrorType::Modify,
            Self::Forbidden
            | Self::NotAuthorized
            | Self::RegistrationRequired
            | Self::SubscriptionRequired => ErrorType::Auth,
            Self::RecipientUnavailable
            | Self::RemoteServerTimeout
            | Self::ResourceConstraint
            | Self::UnexpectedRequest => ErrorType::Wait,
            Self::Conflict
            | Self::FeatureNotImplemented
            | Self::Gone
            | Self::InternalServerError
            | Self::ItemNotFound
            | Self::NotAllowed
            | Self::RemoteServerNotFound
            | Self::ServiceUnavailable
            | Self::UndefinedCondition => ErrorType::Cancel,
        }
    }
}

impl fmt::Display for StanzaCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A stanza error, made or received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StanzaError {
    /// What went wrong.
    pub condition: StanzaCondition,
    /// What the sender may do about it.
    pub error_type: ErrorType,
    /// Told to the sender, in English; or what was told, cut after 512 bytes.
    pub text: Option<String>,
    /// Who found the error, if it is not the addressee (RFC 6120 §8.3.2).
    pub by: Option<String>,
    /// The name of the application condition in [`ns::ERRORS`], such as `stanza-too-big`.
    pub application: Option<String>,
    /// What the refusal is asked about by. Never read from a received error: there it would be
    /// another gateway's.
    pub reference: Option<String>,
}

impl StanzaError {
    /// An error with the condition's default type.
    pub fn new(condition: StanzaCondition) -> Self {
        Self {
            condition,
            error_type: condition.default_type(),
            text: None,
            by: None,
            application: None,
            reference: None,
        }
    }

    /// `policy-violation` with `stanza-too-big` (XEP-0205 §4.5).
    pub fn too_big(text: impl Into<String>) -> Self {
        Self {
            application: Some(super::StreamError::TOO_BIG.to_owned()),
            ..Self::new(StanzaCondition::PolicyViolation).with_text(text)
        }
    }

    /// The same error with a text for the sender.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// The same error with another type.
    #[must_use]
    pub fn with_type(mut self, error_type: ErrorType) -> Self {
        self.error_type = error_type;
        self
    }

    /// The same error, found by this domain.
    #[must_use]
    pub fn with_by(mut self, by: impl Into<String>) -> Self {
        self.by = Some(by.into());
        self
    }

    /// The same error, to be asked about by this reference.
    #[must_use]
    pub fn with_reference(mut self, reference: impl Into<String>) -> Self {
        self.reference = Some(reference.into());
        self
    }

    /// The text as it is sent: the reference stands at its end.
    pub fn told(&self) -> Option<String> {
        let text = self.text.as_deref()?;
        Some(referring(text, self.reference.as_deref()))
    }

    /// The `{jabber:server}error` element. Characters that XML has no way to write are left out of
    /// the text. The reference has an element of its own unless there is an application condition,
    /// since an error has at most one (RFC 6120 §8.3.2, §8.3.4); a text says it in any case.
    pub fn to_element(&self) -> Element {
        let mut error = Element::new(ns::SERVER, "error");
        if let Some(by) = &self.by {
            error.set_attribute("by", by);
        }
        error.set_attribute("type", self.error_type.as_str());
        fill(
            &mut error,
            ns::STANZA_ERRORS,
            self.condition.as_str(),
            self.told().as_deref(),
            application(self.application.as_deref(), self.reference.as_deref()),
        );
        error
    }

    /// Reads a received error; none if the element is no stanza error. An unknown `type` is
    /// `cancel`, the one after which nobody tries again.
    pub fn from_element(element: &Element) -> Option<Self> {
        if !element.is(ns::SERVER, "error") {
            return None;
        }
        let condition = named(element, ns::STANZA_ERRORS)
            .map_or(StanzaCondition::UndefinedCondition, |child| {
                StanzaCondition::from_name(child.name())
            });
        Some(Self {
            condition,
            error_type: element
                .attribute("type")
                .and_then(ErrorType::from_name)
                .unwrap_or(ErrorType::Cancel),
            text: text(element, ns::STANZA_ERRORS),
            by: element.attribute("by").map(cut),
            application: element
                .children()
                .find(|child| child.ns() == ns::ERRORS)
                .map(|child| cut(child.name())),
            reference: None,
        })
    }
}
