//! The labels of the metrics, and the values that they may have.

use prometheus_client::encoding::EncodeLabelSet;

/// How a received stanza ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Written to the next hop's socket and flushed.
    Delivered,
    /// Answered with a stanza error.
    Bounced,
    /// Ended by a named plugin or rule.
    Dropped,
}

impl Outcome {
    /// As in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Bounced => "bounced",
            Self::Dropped => "dropped",
        }
    }
}

/// Why the gateway made a stanza.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GatewayStanza {
    /// The error reply to a stanza that could not go on.
    Bounce,
    /// `unavailable` presence that a plugin asked for.
    Emitted,
    /// The question whether the other end of a stream is there.
    Ping,
    /// The question whether a contact is still there.
    Probe,
    /// `unavailable` presence of a contact that nobody else would take back.
    Unavailable,
}

impl GatewayStanza {
    /// As in metrics and logs.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Bounce => "bounce",
            Self::Emitted => "emitted",
            Self::Ping => "ping",
            Self::Probe => "probe",
            Self::Unavailable => "unavailable",
        }
    }
}

/// What became of a stanza of the gateway's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// Written and flushed.
    Delivered,
    /// Given up; nobody is told, since an error must not be answered by an error.
    Failed,
}

impl Delivery {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Received {
    pub(super) direction: &'static str,
    pub(super) kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Settled {
    pub(super) direction: &'static str,
    pub(super) kind: &'static str,
    pub(super) outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct TurnedAwayFor {
    pub(super) side: &'static str,
    pub(super) reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Made {
    pub(super) why: &'static str,
    pub(super) outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Streams {
    pub(super) direction: &'static str,
    pub(super) side: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Refused {
    pub(super) direction: &'static str,
    pub(super) side: &'static str,
    pub(super) condition: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfSide {
    pub(super) side: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfReload {
    pub(super) result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfFile {
    pub(super) file: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfDomain {
    pub(super) domain: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfPlugin {
    pub(super) plugin: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfShadow {
    pub(super) plugin: String,
    /// A kind of difference, `none`, `failed` or `not-compared`.
    pub(super) difference: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfFailure {
    pub(super) plugin: String,
    pub(super) cause: &'static str,
}
