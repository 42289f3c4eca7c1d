//! Why a stream to somebody did not come to be, and what the senders of waiting stanzas are told:
//! the rows of RFC 6120 §8.3.3 and §10.4.

use portcullis_xmpp::error::{ErrorType, StanzaCondition, StanzaError};
use portcullis_xmpp::stream::OutboundFailure;

use super::standing::Refusal;
use crate::connect::ConnectError;
use crate::tls::TlsError;

/// Ordered by how much it tells: what happened on a later step of one address says more than that
/// another address could not be reached.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Policy: nobody admits the partner. Asked before anything else.
    #[error("{}", .0.error)]
    Refused(Refusal),
    /// Ours: no connection may be added.
    #[error("too many connections")]
    TooMany,
    /// The partner's, or the network's: no address, or none that answers.
    #[error("{0}")]
    Connect(ConnectError),
    /// The partner's, or ours: the handshake of direct TLS failed.
    #[error("{0}")]
    Tls(TlsError),
    /// It was not established within `timeouts.establish`.
    #[error("the stream was not established in time")]
    TooSlow,
    /// The negotiation of the stream failed.
    #[error("{0}")]
    Negotiation(OutboundFailure),
    /// The partner's: its server sends us to another host, and so does that one, and so on.
    #[error("the server sends us to another host: {0:?}")]
    Elsewhere(String),
    /// The stream ended at once, again and again.
    #[error("the server ends each stream before it takes a stanza")]
    ShortLived,
}

impl Failure {
    /// What is told of an attempt that had several addresses: the failure that got farthest.
    pub(super) fn telling(known: Option<Self>, next: Self) -> Self {
        match known {
            Some(known) if known.rank() > next.rank() => known,
            _ => next,
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Refused(_) | Self::TooMany => 0,
            Self::Connect(_) => 1,
            Self::TooSlow => 2,
            Self::Tls(_) => 3,
            Self::Negotiation(_) | Self::Elsewhere(_) | Self::ShortLived => 4,
        }
    }

    /// The error for a stanza to a partner that waited for the stream.
    pub(crate) fn stanza_error(&self) -> StanzaError {
        let (condition, error_type) = match self {
            Self::Refused(refusal) => return refusal.stanza_error(),
            Self::Negotiation(failure) => return failure.stanza_error(),
            Self::Connect(error) => return error.stanza_error(),
            Self::TooMany => (StanzaCondition::ResourceConstraint, ErrorType::Wait),
            Self::Tls(_) => (StanzaCondition::RemoteServerTimeout, ErrorType::Cancel),
            Self::TooSlow | Self::Elsewhere(_) | Self::ShortLived => {
                (StanzaCondition::RemoteServerTimeout, ErrorType::Wait)
            }
        };
        StanzaError::new(condition)
            .with_type(error_type)
            .with_text(self.to_string())
    }
}
