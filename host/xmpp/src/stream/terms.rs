//! On what terms a stream may exist with one peer.
//!
//! The driver takes them from its records; the machines hold themselves to them, and so does not
//! depend on a driver's memory whether a stanza leaves in the clear.

/// How far something is asked of a peer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Need {
    /// No stream without it.
    #[default]
    Required,
    /// Used where offered.
    Optional,
    /// Never used.
    NotSupported,
}

impl Need {
    /// As a configuration file writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Optional => "optional",
            Self::NotSupported => "not-supported",
        }
    }
}

/// What may be negotiated with one peer, and what has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Terms {
    /// Whether there may be a stream without TLS, or with it.
    pub tls: Need,
    /// A certificate may prove the peer's domain: by SASL EXTERNAL, or when dialback is asked for
    /// (XEP-0344).
    pub external: bool,
    /// Dialback may prove it on a stream with TLS.
    pub tls_dialback: bool,
    /// Dialback may prove it on a stream without TLS.
    pub tcp_dialback: bool,
    /// Stanzas may flow both ways on one stream (XEP-0288); only with TLS.
    pub bidi: bool,
    /// Stanzas may be acknowledged (XEP-0198).
    pub management: bool,
}

impl Terms {
    /// TLS and a certificate, and nothing else.
    pub const CERTIFICATE: Self = Self {
        tls: Need::Required,
        external: true,
        tls_dialback: false,
        tcp_dialback: false,
        bidi: false,
        management: false,
    };

    /// Whether anything but STARTTLS may be negotiated on a stream without TLS.
    pub(super) fn plain(&self) -> bool {
        self.tls != Need::Required && self.tcp_dialback
    }
}
