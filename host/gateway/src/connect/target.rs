//! A server to look up and try, and how far a connection to it may go.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hickory_resolver::proto::rr::Name;
use portcullis_xmpp::stream::{Need, Terms, TlsMode};
use tokio::net::TcpStream;

use super::ask::Security;
use super::tlsa::Tlsa;

/// One address, and how TLS begins there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Candidate {
    /// Where.
    pub address: SocketAddr,
    /// Direct TLS or STARTTLS.
    pub mode: TlsMode,
    /// The name that led there: an SRV target, the domain itself, or a configured host.
    pub target: Arc<str>,
    /// What DNSSEC says about the certificate there.
    pub tlsa: Tlsa,
}

impl Candidate {
    /// The terms of the partner's record, as strict as this place demands: usable TLSA records
    /// promise TLS, whatever the record allows (RFC 7673 §3.3).
    #[must_use]
    pub fn narrowed(&self, terms: Terms) -> Terms {
        match self.tlsa {
            Tlsa::Records(_) => Terms {
                tls: Need::Required,
                tcp_dialback: false,
                ..terms
            },
            Tlsa::NotAsked | Tlsa::Absent(_) => terms,
        }
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({}, {})",
            self.address,
            self.target,
            self.mode.as_str()
        )
    }
}

/// A TCP connection that stands. Nothing was said on it yet.
#[derive(Debug)]
pub struct Connection {
    /// The connection, without Nagle's delay: we flush whole batches.
    pub stream: TcpStream,
    /// Where it leads.
    pub candidate: Candidate,
}

/// A server to look up and try.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) host: TargetHost,
    pub(super) port: u16,
    pub(super) mode: TlsMode,
}

#[derive(Clone, Debug)]
pub(super) enum TargetHost {
    Address(IpAddr),
    Name(Name),
}

impl Target {
    pub(super) fn name(name: Name, port: u16, mode: TlsMode) -> Self {
        Self {
            host: TargetHost::Name(name),
            port,
            mode,
        }
    }

    pub(super) fn address(address: IpAddr, port: u16, mode: TlsMode) -> Self {
        Self {
            host: TargetHost::Address(address),
            port,
            mode,
        }
    }
}

/// Whether DNSSEC is asked about the certificate of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dane {
    Off,
    /// Taken where it is there; the servers' names are so secure.
    Offered(Security),
    /// No connection without it: who sent us there was proven by it.
    Demanded,
}

/// From where and how far connections may go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    pub(super) source: Option<IpAddr>,
    pub(super) private: bool,
    /// Whether DNS named no servers and the domain's own addresses are tried instead.
    pub(super) fallback: bool,
    pub(super) dane: Dane,
}

impl Reach {
    /// For places that the operator named.
    pub(super) fn anywhere(source: Option<IpAddr>) -> Self {
        Self {
            source,
            private: true,
            fallback: false,
            dane: Dane::Off,
        }
    }
}
