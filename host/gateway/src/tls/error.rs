//! Why a TLS connection did not come about, or broke.

use std::io;

use portcullis_xmpp::jid::Domain;
use rustls::AlertDescription;

use super::mint::MintError;

/// Why there is no TLS connection. In all cases nothing of the connection is left to use.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The peer went away or the network failed. Nobody's fault; try again later.
    #[error("the connection broke during the TLS handshake: {0}")]
    Io(#[source] io::Error),
    /// The peer refused us with an alert: most often it does not accept our certificate.
    /// The operator or the partner has to act.
    #[error("the peer ended TLS: {}", alert_text(*.0))]
    Alert(AlertDescription),
    /// The peer does not speak the TLS that we accept (version, cipher, ALPN, signature). Its fault.
    #[error("TLS handshake failed: {0}")]
    Handshake(#[source] rustls::Error),
    /// The peer asked, by SNI, for a name that is not served here. Its fault.
    #[error("the peer asked for the certificate of {0:?}, which is not served here")]
    UnknownName(String),
    /// The SNI contradicts the `to` of the stream that STARTTLS began in. Its fault.
    #[error("the peer asked for the certificate of {sni:?} in a stream to {to}")]
    NameMismatch {
        /// What the TLS client hello said.
        sni: String,
        /// What the stream header said.
        to: Domain,
    },
    /// No certificate could be made in the partner's name. See the inner error for whose fault.
    #[error(transparent)]
    Mint(#[from] MintError),
    /// The domain cannot be written into a TLS client hello. Its owner's fault.
    #[error("{0} is no name that TLS can carry")]
    InvalidName(Domain),
}

impl TlsError {
    /// Reads an error of a TLS stream's `read` or `write`: `Some` if TLS itself failed, `None` if
    /// only the transport did.
    ///
    /// In TLS 1.3 a peer may refuse our certificate after our side of the handshake is done: its
    /// alert then comes out of the first read and must be treated like a failed handshake
    /// (RFC 8446 §4.4.2.4, §6.2).
    #[must_use]
    pub fn of_stream(error: &io::Error) -> Option<Self> {
        match error.get_ref()?.downcast_ref::<rustls::Error>()? {
            rustls::Error::AlertReceived(alert) => Some(Self::Alert(*alert)),
            other => Some(Self::Handshake(other.clone())),
        }
    }

    pub(super) fn of_handshake(error: io::Error) -> Self {
        Self::of_stream(&error).unwrap_or(Self::Io(error))
    }

    /// Whether the peer said that it does not accept the certificate that we showed.
    #[must_use]
    pub fn refused_our_certificate(&self) -> bool {
        use AlertDescription as A;
        matches!(
            self,
            Self::Alert(
                A::BadCertificate
                    | A::UnsupportedCertificate
                    | A::CertificateRevoked
                    | A::CertificateExpired
                    | A::CertificateUnknown
                    | A::CertificateRequired
                    | A::UnknownCA
                    | A::AccessDenied
            )
        )
    }
}

/// What an alert means to an operator.
fn alert_text(alert: AlertDescription) -> String {
    use AlertDescription as A;
    let text = match alert {
        A::UnknownCA => "it does not know the authority of our certificate",
        A::BadCertificate | A::CertificateUnknown => "it does not accept our certificate",
        A::UnsupportedCertificate => {
            "it does not accept our kind of certificate (key type or usage)"
        }
        A::CertificateExpired => "it takes our certificate for expired",
        A::CertificateRevoked => "it takes our certificate for revoked",
        A::CertificateRequired => "it wants a certificate from us",
        A::AccessDenied => "it denies us access",
        A::UnrecognisedName => "it does not serve the name that we asked for",
        A::NoApplicationProtocol => "it speaks no xmpp-server on this port",
        A::ProtocolVersion => "no common TLS version",
        A::HandshakeFailure | A::InsufficientSecurity => "no common TLS parameters",
        A::CloseNotify => "it closed the connection",
        other => return format!("alert {other:?}"),
    };
    text.to_owned()
}
