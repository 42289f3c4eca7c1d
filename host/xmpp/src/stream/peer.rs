//! The other end of a stream: who it is, how that was proven, and what TLS it speaks.

use std::{net::SocketAddr, sync::Arc};

use crate::{jid::Domain, stanza::Direction};

/// How TLS came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TlsMode {
    /// From the first byte (XEP-0368).
    Direct,
    /// By STARTTLS (RFC 6120 §5).
    StartTls,
}

impl TlsMode {
    /// For logs and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::StartTls => "starttls",
        }
    }
}

/// What is known of a TLS session once its handshake is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFacts {
    /// Such as `TLSv1.3`.
    pub version: &'static str,
    /// Such as `TLS13_AES_256_GCM_SHA384`.
    pub cipher: &'static str,
    /// The name that the client asked for, if it did. A header's `to` that differs closes the stream.
    pub sni: Option<Domain>,
    /// How it came about.
    pub mode: TlsMode,
    /// The peer's own certificate in DER, if it showed one.
    pub certificate: Option<Arc<[u8]>>,
}

/// How a certificate was found good for a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Proof {
    /// A chain to a certification authority that is trusted for this domain (RFC 6120 §13.7.2).
    Pkix,
    /// Its fingerprint is pinned in the configuration.
    Pinned,
    /// TLSA records that DNSSEC secures (RFC 7673).
    Dane,
    /// The domain's own web site names it (RFC 7711).
    Posh,
}

impl Proof {
    /// For logs and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pkix => "pkix",
            Self::Pinned => "pinned",
            Self::Dane => "dane",
            Self::Posh => "posh",
        }
    }
}

/// How a pair of domains was authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// By the certificate of the TLS session: SASL EXTERNAL (XEP-0178), or dialback that found the
    /// certificate good and had nothing left to ask (XEP-0344).
    External(Proof),
    /// By dialback on a stream with TLS (XEP-0220).
    TlsDialback,
    /// By dialback on a stream without TLS.
    TcpDialback,
}

impl Method {
    /// For logs and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::External(_) => "external",
            Self::TlsDialback => "tls-dialback",
            Self::TcpDialback => "tcp-dialback",
        }
    }

    /// How the certificate was found good, if it was the certificate.
    pub fn proof(self) -> Option<Proof> {
        match self {
            Self::External(proof) => Some(proof),
            Self::TlsDialback | Self::TcpDialback => None,
        }
    }
}

/// The other end of a stream, for one pair of domains. An `Arc<Peer>` travels with each stanza.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The peer's domain.
    pub remote: Domain,
    /// The domain at our end that it speaks to: the organisation's own, or on streams with internal
    /// servers the partner's that the gateway stands for.
    pub local: Domain,
    /// Which way the stanzas go that this is the peer of, seen from the organisation. This is not who
    /// opened the stream: what an internal server opens carries outbound stanzas.
    pub direction: Direction,
    /// On which side of the gateway the peer is.
    pub party: Party,
    /// Who opened the stream.
    pub initiator: Initiator,
    /// The peer's network address.
    pub address: Option<SocketAddr>,
    /// The stream's id (RFC 6120 §4.7.3). It changes when authentication restarts the stream: the
    /// peer of [`Question::Admit`](super::Question::Admit) on an inbound stream has another one than the established peer.
    pub stream_id: Arc<str>,
    /// How the remote domain was proven; none before that.
    pub method: Option<Method>,
    /// The TLS session; none on a stream without TLS.
    pub tls: Option<TlsFacts>,
    /// Whether stanzas flow both ways on this stream (XEP-0288).
    pub bidi: bool,
}

impl Peer {
    /// The partner's domain: of the two, the one outside of the organisation. (Between two internal
    /// servers, the one that is spoken to.)
    pub fn partner(&self) -> &Domain {
        match self.party {
            Party::Partner => &self.remote,
            Party::Internal => &self.local,
        }
    }

    /// The same pair of domains in the other direction, for what a peer sends us on a stream of ours
    /// (XEP-0288).
    #[must_use]
    pub fn reversed(&self) -> Self {
        Self {
            direction: match self.direction {
                Direction::Inbound => Direction::Outbound,
                Direction::Outbound => Direction::Inbound,
            },
            ..self.clone()
        }
    }

    /// The organisation's domain.
    pub fn organisation(&self) -> &Domain {
        match self.party {
            Party::Partner => &self.local,
            Party::Internal => &self.remote,
        }
    }
}

/// On which side of the gateway a peer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Party {
    /// Outside: another organisation's server.
    Partner,
    /// Inside: one of the organisation's own servers.
    Internal,
}

/// Who opened a stream: the initiating entity of RFC 6120 §1.4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Initiator {
    /// The other end did.
    Peer,
    /// We did.
    Gateway,
}
