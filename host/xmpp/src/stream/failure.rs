//! Why an outgoing stream was not established, and what the senders of waiting stanzas are told.

use super::NoTls;
use crate::{
    dialback::{DialbackCondition, DialbackError},
    error::{ErrorType, StanzaCondition, StanzaError, StreamCondition, StreamError},
    sasl,
};

/// Why an outgoing stream did not come to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutboundFailure {
    /// The peer offers no STARTTLS, and refused ours.
    #[error("the server offers no TLS")]
    NoStartTls,
    /// The peer offered STARTTLS and then refused it.
    #[error("the server refused TLS")]
    TlsRefused,
    /// TLS was not reached after both sides had agreed on it.
    #[error("{0}")]
    NoTls(NoTls),
    /// Its certificate does not prove its domain.
    #[error("the server's certificate is refused: {0}")]
    CertificateRefused(String),
    /// It does not offer SASL EXTERNAL: it does not accept our certificate, or knows dialback only.
    #[error("the server does not offer to authenticate us by our certificate (SASL EXTERNAL)")]
    NoExternal,
    /// It refused our authentication.
    #[error("the server refused our authentication: {0}")]
    SaslRefused(sasl::Failure),
    /// It wants TLS, and our terms with it have none.
    #[error("the server wants TLS, which our terms with it exclude")]
    TlsDemanded,
    /// It knows no dialback, and nothing else is left.
    #[error("the server offers no dialback")]
    NoDialback,
    /// It says that our dialback key is not ours: what answers for our domain is somebody else.
    #[error("the server could not verify us: our dialback key is said to be wrong")]
    DialbackInvalid,
    /// It could not verify us by dialback.
    #[error("the server could not verify us by dialback: {0}")]
    DialbackRefused(DialbackError),
    /// It closed the stream with an error.
    #[error("the server closed the stream: {0}")]
    StreamError(StreamError),
    /// It broke the protocol; this is what it was told.
    #[error("the server broke the protocol: {0}")]
    Protocol(StreamError),
    /// Our own policy does not admit it.
    #[error("our policy refuses the server: {0}")]
    NotAdmitted(StreamError),
    /// The connection or the stream ended, without an error, before it was established.
    #[error("the server ended the stream before it was established")]
    Ended,
    /// The driver closed it before it was established: a deadline, a shutdown.
    #[error("we gave up before the stream was established")]
    Abandoned,
}

impl OutboundFailure {
    /// The row of RFC 6120 §8.3.3 for a stanza that waited for this stream. `cancel`: somebody has
    /// to change something first. `wait`: the same stanza may get through later.
    pub fn stanza_error(&self) -> StanzaError {
        let (condition, error_type) = match self {
            Self::StreamError(error) => match error.condition {
                StreamCondition::HostUnknown | StreamCondition::HostGone => {
                    (StanzaCondition::RemoteServerNotFound, ErrorType::Cancel)
                }
                StreamCondition::Conflict
                | StreamCondition::ConnectionTimeout
                | StreamCondition::InternalServerError
                | StreamCondition::RemoteConnectionFailed
                | StreamCondition::Reset
                | StreamCondition::ResourceConstraint
                | StreamCondition::SystemShutdown => {
                    (StanzaCondition::RemoteServerTimeout, ErrorType::Wait)
                }
                _ => (StanzaCondition::RemoteServerTimeout, ErrorType::Cancel),
            },
            Self::SaslRefused(failure)
                if failure.condition == sasl::Condition::TemporaryAuthFailure =>
            {
                (StanzaCondition::RemoteServerTimeout, ErrorType::Wait)
            }
            // XEP-0220 §2.1.1, §2.5.
            Self::DialbackInvalid => (StanzaCondition::InternalServerError, ErrorType::Cancel),
            Self::DialbackRefused(_) | Self::Ended | Self::Abandoned => {
                (StanzaCondition::RemoteServerTimeout, ErrorType::Wait)
            }
            Self::NotAdmitted(_) => (StanzaCondition::NotAllowed, ErrorType::Cancel),
            Self::NoStartTls
            | Self::TlsRefused
            | Self::NoTls(_)
            | Self::CertificateRefused(_)
            | Self::NoExternal
            | Self::TlsDemanded
            | Self::NoDialback
            | Self::SaslRefused(_)
            | Self::Protocol(_) => (StanzaCondition::RemoteServerTimeout, ErrorType::Cancel),
        };
        StanzaError::new(condition)
            .with_type(error_type)
            .with_text(self.to_string())
    }

    /// What a server is told whose key we could not verify because of this: the failed stream was to
    /// the authoritative server (XEP-0220 §2.5).
    pub fn dialback_error(&self) -> DialbackError {
        let condition = match self {
            Self::StreamError(error) => match error.condition {
                StreamCondition::HostUnknown | StreamCondition::HostGone => {
                    DialbackCondition::RemoteServerNotFound
                }
                _ => DialbackCondition::RemoteServerTimeout,
            },
            // It was reached, and then something went wrong.
            Self::Protocol(_) | Self::Ended | Self::Abandoned => {
                DialbackCondition::RemoteServerTimeout
            }
            Self::NoStartTls
            | Self::TlsRefused
            | Self::NoTls(_)
            | Self::CertificateRefused(_)
            | Self::NoExternal
            | Self::SaslRefused(_)
            | Self::TlsDemanded
            | Self::NoDialback
            | Self::DialbackInvalid
            | Self::DialbackRefused(_)
            | Self::NotAdmitted(_) => DialbackCondition::RemoteConnectionFailed,
        };
        DialbackError::new(condition)
    }
}
