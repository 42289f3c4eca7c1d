//! How streams end.

use std::fmt;

use crate::error::StreamError;

/// How a stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamEnd {
    /// Both sides said `</stream:stream>`.
    Clean,
    /// We closed it with this error.
    Sent(StreamError),
    /// The peer closed it with this error.
    Received(StreamError),
    /// The connection ended without `</stream:stream>`, or the peer did not answer ours in time.
    Truncated,
    /// TLS was not reached.
    NoTls(NoTls),
    /// We gave up before a word was said in this stream.
    Abandoned,
}

impl StreamEnd {
    /// After our closing tag the peer closes with an error.
    pub(super) fn or_received(self, error: StreamError) -> Self {
        match self {
            Self::Clean => Self::Received(error),
            end => end,
        }
    }

    /// After our closing tag the peer's did not come.
    pub(super) fn without_reply(self) -> Self {
        match self {
            Self::Clean => Self::Truncated,
            end => end,
        }
    }
}

/// Why TLS was not reached by STARTTLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoTls {
    /// Bytes in the clear behind `<starttls/>` or `<proceed/>`: somebody tries to smuggle them into
    /// the TLS session.
    Injection,
    /// The handshake failed, for this reason.
    Handshake(String),
}

impl fmt::Display for NoTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Injection => f.write_str("bytes in the clear follow the switch to TLS"),
            Self::Handshake(reason) => write!(f, "the TLS handshake failed: {reason}"),
        }
    }
}

impl fmt::Display for StreamEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clean => f.write_str("closed"),
            Self::Sent(error) => write!(f, "closed by us: {error}"),
            Self::Received(error) => write!(f, "closed by the peer: {error}"),
            Self::Truncated => f.write_str("the connection ended without a closing tag"),
            Self::NoTls(why) => why.fmt(f),
            Self::Abandoned => f.write_str("given up before the stream was open"),
        }
    }
}
