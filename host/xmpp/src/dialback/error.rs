//! Dialback errors (XEP-0220 §2.5): they are about one pair of domains, and the stream goes on.

use std::fmt;

use crate::{error::ErrorType, ns, xml::Element};

/// Why a pair of domains could not be authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DialbackCondition {
    /// The target domain is not hosted here.
    ItemNotFound,
    /// No connection to the authoritative server could be made.
    RemoteConnectionFailed,
    /// The originating domain has no server, or the server that it has knows nothing of it.
    RemoteServerNotFound,
    /// The authoritative server did not answer in time.
    RemoteServerTimeout,
    /// A policy of the receiving server is not met, such as TLS.
    PolicyViolation,
    /// The originating domain has to be proven by a certificate.
    NotAuthorized,
    /// The authoritative server says that the key is not its own.
    Forbidden,
    /// The request cannot be accepted as it is.
    NotAcceptable,
    /// Too many pairs of domains on this stream, or too little room for another one.
    ResourceConstraint,
    /// A mistake of the receiving server.
    InternalServerError,
    /// Anything else, also what is not known.
    UndefinedCondition,
}

impl DialbackCondition {
    /// All of them, in the order of the XEP.
    pub const ALL: [Self; 11] = [
        Self::ItemNotFound,
        Self::RemoteConnectionFailed,
        Self::RemoteServerNotFound,
        Self::RemoteServerTimeout,
        Self::PolicyViolation,
        Self::NotAuthorized,
        Self::Forbidden,
        Self::NotAcceptable,
        Self::ResourceConstraint,
        Self::InternalServerError,
        Self::UndefinedCondition,
    ];

    /// The name of its element.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ItemNotFound => "item-not-found",
            Self::RemoteConnectionFailed => "remote-connection-failed",
            Self::RemoteServerNotFound => "remote-server-not-found",
            Self::RemoteServerTimeout => "remote-server-timeout",
            Self::PolicyViolation => "policy-violation",
            Self::NotAuthorized => "not-authorized",
            Self::Forbidden => "forbidden",
            Self::NotAcceptable => "not-acceptable",
            Self::ResourceConstraint => "resource-constraint",
            Self::InternalServerError => "internal-server-error",
            Self::UndefinedCondition => "undefined-condition",
        }
    }

    /// The type that goes with it (RFC 6120 §8.3.3).
    pub fn error_type(self) -> ErrorType {
        match self {
            Self::ItemNotFound
            | Self::RemoteConnectionFailed
            | Self::RemoteServerNotFound
            | Self::PolicyViolation
            | Self::InternalServerError
            | Self::UndefinedCondition => ErrorType::Cancel,
            Self::RemoteServerTimeout | Self::ResourceConstraint => ErrorType::Wait,
            Self::NotAuthorized | Self::Forbidden => ErrorType::Auth,
            Self::NotAcceptable => ErrorType::Modify,
        }
    }
}

impl fmt::Display for DialbackCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A dialback error, made or received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialbackError {
    /// What went wrong.
    pub condition: DialbackCondition,
    /// Told to the peer, in English; or what it told, cut after 256 characters.
    pub text: Option<String>,
}

impl DialbackError {
    /// An error without a text.
    pub fn new(condition: DialbackCondition) -> Self {
        Self {
            condition,
            text: None,
        }
    }

    /// The same error with a text for the peer.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// The `<error/>` element.
    pub(super) fn to_element(&self) -> Element {
        let error = Element::new(ns::SERVER, "error")
            .with_attribute("type", self.condition.error_type().as_str())
            .with_child(Element::new(ns::STANZA_ERRORS, self.condition.as_str()));
        match &self.text {
            Some(text) => error.with_child(
                Element::new(ns::STANZA_ERRORS, "text")
                    .with_lang("en")
                    .with_text(text),
            ),
            None => error,
        }
    }

    /// Reads what an answer of type `error` contains, however little that is.
    pub(super) fn within(answer: &Element) -> Self {
        // Some write it in the dialback namespace, which is what is around it.
        let error = answer.children().find(|child| child.name() == "error");
        let named = |condition: &DialbackCondition| {
            error.is_some_and(|error| {
                error
                    .children()
                    .any(|child| child.name() == condition.as_str())
            })
        };
        let text = error
            .and_then(|error| error.child(ns::STANZA_ERRORS, "text"))
            .map(|text| text.text().chars().take(256).collect());
        Self {
            condition: DialbackCondition::ALL
                .into_iter()
                .find(named)
                .unwrap_or(DialbackCondition::UndefinedCondition),
            text,
        }
    }
}

impl fmt::Display for DialbackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.text {
            Some(text) => write!(f, "{} ({text})", self.condition),
            None => self.condition.fmt(f),
        }
    }
}
