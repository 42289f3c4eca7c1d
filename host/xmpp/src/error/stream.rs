//! Stream errors: each ends the stream that it is sent on (RFC 6120 §4.9.1.1).

use std::fmt;

use super::{application, cut, fill, named, referring, text};
use crate::{ns, xml::Element};

/// A condition of RFC 6120 §4.9.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StreamCondition {
    /// XML that cannot be processed, where no more exact condition fits (§4.9.3.1).
    BadFormat,
    /// A prefix that is not accepted, or a stanza with a prefix (§4.9.3.2).
    BadNamespacePrefix,
    /// Another stream for the same pair of domains takes over (§4.9.3.3).
    Conflict,
    /// The peer is taken as gone (§4.9.3.4).
    ConnectionTimeout,
    /// The `to` was served here once (§4.9.3.5).
    HostGone,
    /// The `to` is not served here (§4.9.3.6).
    HostUnknown,
    /// A stanza lacks `from` or `to`, or one of them is no address (§4.9.3.7).
    ImproperAddressing,
    /// A mistake of the sender of the error (§4.9.3.8).
    InternalServerError,
    /// The `from` is not authenticated on this stream (§4.9.3.9).
    InvalidFrom,
    /// The stream's namespace or the content's is not accepted (§4.9.3.10).
    InvalidNamespace,
    /// XML that is not valid by a schema (§4.9.3.11).
    InvalidXml,
    /// Data before authentication, or no authentication (§4.9.3.12).
    NotAuthorized,
    /// XML that is not well-formed (§4.9.3.13).
    NotWellFormed,
    /// A local policy is violated (§4.9.3.14).
    PolicyViolation,
    /// A remote entity that is needed cannot be reached (§4.9.3.15).
    RemoteConnectionFailed,
    /// The stream's features or credentials are outdated; open a new one (§4.9.3.16).
    Reset,
    /// Not enough resources (§4.9.3.17).
    ResourceConstraint,
    /// A comment, processing instruction, DTD or entity (§4.9.3.18).
    RestrictedXml,
    /// Go elsewhere (§4.9.3.19).
    SeeOtherHost,
    /// The sender is being shut down (§4.9.3.20).
    SystemShutdown,
    /// Anything else (§4.9.3.21).
    UndefinedCondition,
    /// Not UTF-8 (§4.9.3.22).
    UnsupportedEncoding,
    /// A mandatory feature is not supported (§4.9.3.23).
    UnsupportedFeature,
    /// A first-level element that is no stanza (§4.9.3.24).
    UnsupportedStanzaType,
    /// The XMPP version is not supported (§4.9.3.25).
    UnsupportedVersion,
}

impl StreamCondition {
    /// All of them, in the order of the RFC.
    pub const ALL: [Self; 25] = [
        Self::BadFormat,
        Self::BadNamespacePrefix,
        Self::Conflict,
        Self::ConnectionTimeout,
        Self::HostGone,
        Self::HostUnknown,
        Self::ImproperAddressing,
        Self::InternalServerError,
        Self::InvalidFrom,
        Self::InvalidNamespace,
        Self::InvalidXml,
        Self::NotAuthorized,
        Self::NotWellFormed,
        Self::PolicyViolation,
        Self::RemoteConnectionFailed,
        Self::Reset,
        Self::ResourceConstraint,
        Self::RestrictedXml,
        Self::SeeOtherHost,
        Self::SystemShutdown,
        Self::UndefinedCondition,
        Self::UnsupportedEncoding,
        Self::UnsupportedFeature,
        Self::UnsupportedStanzaType,
        Self::UnsupportedVersion,
    ];

    /// The name of its element.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadFormat => "bad-format",
            Self::BadNamespacePrefix => "bad-namespace-prefix",
            Self::Conflict => "conflict",
            Self::ConnectionTimeout => "connection-timeout",
            Self::HostGone => "host-gone",
            Self::HostUnknown => "host-unknown",
            Self::ImproperAddressing => "improper-addressing",
            Self::InternalServerError => "internal-server-error",
            Self::InvalidFrom => "invalid-from",
            Self::InvalidNamespace => "invalid-namespace",
            Self::InvalidXml => "invalid-xml",
            Self::NotAuthorized => "not-authorized",
            Self::NotWellFormed => "not-well-formed",
            Self::PolicyViolation => "policy-violation",
            Self::RemoteConnectionFailed => "remote-connection-failed",
            Self::Reset => "reset",
            Self::ResourceConstraint => "resource-constraint",
            Self::RestrictedXml => "restricted-xml",
            Self::SeeOtherHost => "see-other-host",
            Self::SystemShutdown => "system-shutdown",
            Self::UndefinedCondition => "undefined-condition",
            Self::UnsupportedEncoding => "unsupported-encoding",
            Self::UnsupportedFeature => "unsupported-feature",
            Self::UnsupportedStanzaType => "unsupported-stanza-type",
            Self::UnsupportedVersion => "unsupported-version",
        }
    }

    /// The condition of this name; one that is not known, also those of RFC 3920 alone, is
    /// [`Self::UndefinedCondition`] (§4.9.2).
    pub fn from_name(name: &str) -> Self {
        Self::ALL
            .into_iter()
            .find(|condition| condition.as_str() == name)
            .unwrap_or(Self::UndefinedCondition)
    }
}

impl fmt::Display for StreamCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A stream error, sent or received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamError {
    /// What went wrong.
    pub condition: StreamCondition,
    /// Told to the peer, in English; or what the peer told, cut after 512 bytes.
    pub text: Option<String>,
    /// The name of the application condition; [`Self::TOO_BIG`] is the only one sent.
    pub application: Option<String>,
    /// With `see-other-host`: where to, as the peer wrote it, cut after 512 bytes (RFC 6120
    /// §4.9.3.19). Never sent.
    pub other_host: Option<String>,
    /// What the refusal is asked about by. Never read from a received error: there it would be
    /// another gateway's.
    pub reference: Option<String>,
}

impl StreamError {
    /// The application condition for a stanza beyond the size limit (namespace
    /// [`ns::ERRORS`], XEP-0205 §4.5).
    pub const TOO_BIG: &'static str = "stanza-too-big";

    /// An error without a text.
    pub fn new(condition: StreamCondition) -> Self {
        Self {
            condition,
            text: None,
            application: None,
            other_host: None,
            reference: None,
        }
    }

    /// The same error with a text for the peer.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// `policy-violation` with `stanza-too-big`.
    pub fn too_big(text: impl Into<String>) -> Self {
        Self {
            condition: StreamCondition::PolicyViolation,
            text: Some(text.into()),
            application: Some(Self::TOO_BIG.to_owned()),
            other_host: None,
            reference: None,
        }
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

    /// The `{http://etherx.jabber.org/streams}error` element. Characters that XML has no way to
    /// write are left out of the text. The reference has an element of its own unless there is an
    /// application condition, since an error has at most one (RFC 6120 §4.9.2, §4.9.4).
    pub fn to_element(&self) -> Element {
        let mut error = Element::new(ns::STREAM, "error");
        fill(
            &mut error,
            ns::STREAM_ERRORS,
            self.condition.as_str(),
            self.told().as_deref(),
            application(self.application.as_deref(), self.reference.as_deref()),
        );
        error
    }

    /// Reads a received error; none if the element is no stream error.
    pub fn from_element(element: &Element) -> Option<Self> {
        if !element.is(ns::STREAM, "error") {
            return None;
        }
        let named = named(element, ns::STREAM_ERRORS);
        let condition = named.map_or(StreamCondition::UndefinedCondition, |child| {
            StreamCondition::from_name(child.name())
        });
        let other_host = named
            .filter(|_| condition == StreamCondition::SeeOtherHost)
            .map(|child| cut(&child.text()))
            .filter(|place| !place.is_empty());
        let text = text(element, ns::STREAM_ERRORS);
        let application = element
            .children()
            .find(|child| child.ns() != ns::STREAM_ERRORS && child.ns() != ns::REFUSAL)
            .map(|child| cut(child.name()));
        Some(Self {
            condition,
            text,
            application,
            other_host,
            reference: None,
        })
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.condition)?;
        if let Some(text) = &self.text {
            write!(f, " ({text})")?;
        }
        Ok(())
    }
}
