//! Why a peer could not be reached, and what the sender of a stanza is told.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use portcullis_xmpp::error::{ErrorType, StanzaCondition, StanzaError};

/// Why there is no (further) connection. The texts are for the log and for the sender: they name
/// the domain and the addresses that its own DNS published, nothing else.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// DNS says there is nothing to connect to, or nobody answers where the bare fallback points.
    #[error("{0}")]
    NotFound(String),
    /// DNS does not answer, or not usably. Later may be different.
    #[error("{0}")]
    Resolution(String),
    /// DNS points into a network where no partner can be. The partner's fault, or an attack;
    /// in a closed network the operator sets `[dns].allow_private`.
    #[error("{0}")]
    Forbidden(String),
    /// No address answered.
    #[error("{0}")]
    Unreachable(String),
    /// Connections were made, and the caller found none of them good; there are no more addresses.
    #[error("no address of {0} is left to try")]
    Exhausted(String),
    /// It failed a moment ago, and is not tried again yet.
    #[error("{failure} (tried again in {} s)", left.as_secs() + 1)]
    Resting {
        /// How it failed.
        failure: Box<ConnectError>,
        /// For how long it is not tried.
        left: Duration,
    },
    /// `[federation].source` is no address of this machine: the operator's fault.
    #[error("cannot connect from {address} ([federation].source): {reason}")]
    Source {
        /// What was configured.
        address: IpAddr,
        /// What the system said.
        reason: String,
    },
}

impl ConnectError {
    pub(super) fn source(address: IpAddr, error: &io::Error) -> Self {
        Self::Source {
            address,
            reason: error.to_string(),
        }
    }

    /// The row of the error table (RFC 6120 §8.3.3.16, §8.3.3.17, §10.4.3) for a stanza that waited
    /// for this connection.
    #[must_use]
    pub fn stanza_error(&self) -> StanzaError {
        let (condition, error_type) = match self {
            Self::Resting { failure, .. } => return failure.stanza_error(),
            Self::NotFound(_) | Self::Forbidden(_) => {
                (StanzaCondition::RemoteServerNotFound, ErrorType::Cancel)
            }
            Self::Resolution(_) => (StanzaCondition::RemoteServerNotFound, ErrorType::Wait),
            Self::Unreachable(_) | Self::Exhausted(_) | Self::Source { .. } => {
                (StanzaCondition::RemoteServerTimeout, ErrorType::Wait)
            }
        };
        let text = match self {
            // The organisation's addresses are nobody's business.
            Self::Source { .. } => None,
            other => Some(other.to_string()),
        };
        let mut error = StanzaError::new(condition);
        error.error_type = error_type;
        error.text = text;
        error
    }
}
