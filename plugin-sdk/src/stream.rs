//! What a gatekeeper is asked about.

use std::net::{IpAddr, SocketAddr};

use crate::{Direction, host};

/// Someone is at the door, or the gateway is about to open a stream. Nothing is proven yet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Knock {
    /// The remote domain, normalised.
    pub domain: String,
    /// Inbound: the remote side connects; outbound: the gateway would.
    pub direction: Direction,
    /// Where it connects from (`address:port`); none if the gateway would connect.
    pub address: Option<String>,
}

impl Knock {
    /// Where it connects from, for a [`Network`](crate::Network).
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        ip(self.address.as_deref())
    }
}

/// The other end of a stream. What is not known (yet) is none.
pub struct Peer<'a> {
    handle: Handle<'a>,
}

enum Handle<'a> {
    #[cfg_attr(
        not(target_family = "wasm"),
        expect(
            dead_code,
            reason = "the mock lends nothing: its peers are plain values"
        )
    )]
    Lent(&'a host::Peer),
    Owned(host::Peer),
}

impl<'a> Peer<'a> {
    #[cfg(target_family = "wasm")]
    pub(crate) fn lent(handle: &'a host::Peer) -> Self {
        Self {
            handle: Handle::Lent(handle),
        }
    }

    pub(crate) fn owned(handle: host::Peer) -> Self {
        Self {
            handle: Handle::Owned(handle),
        }
    }

    fn get(&self) -> &host::Peer {
        match &self.handle {
            Handle::Lent(handle) => handle,
            Handle::Owned(handle) => handle,
        }
    }

    /// The remote domain, normalised.
    #[must_use]
    pub fn domain(&self) -> String {
        self.get().domain()
    }

    /// Our side's domain, normalised.
    #[must_use]
    pub fn local_domain(&self) -> String {
        self.get().local_domain()
    }

    /// Inbound: the remote side opened the stream; outbound: the gateway did.
    #[must_use]
    pub fn direction(&self) -> Direction {
        self.get().direction()
    }

    /// `address:port`.
    #[must_use]
    pub fn address(&self) -> Option<String> {
        self.get().address()
    }

    /// The IP address, for a [`Network`](crate::Network).
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        ip(self.address().as_deref())
    }

    /// The stream's id in logs and audit records.
    #[must_use]
    pub fn stream_id(&self) -> String {
        self.get().stream_id()
    }

    /// How it proved its domain: `external`, and in later versions other methods.
    #[must_use]
    pub fn method(&self) -> Option<String> {
        self.get().method()
    }

    /// `TLSv1.3` or `TLSv1.2`.
    #[must_use]
    pub fn tls_version(&self) -> Option<String> {
        self.get().tls_version()
    }

    /// The name of the cipher suite as IANA registers it.
    #[must_use]
    pub fn tls_cipher(&self) -> Option<String> {
        self.get().tls_cipher()
    }

    /// SHA-256 of the end entity certificate (DER), lower case hex.
    #[must_use]
    pub fn certificate_sha256(&self) -> Option<String> {
        self.get().certificate_sha256()
    }

    /// The end entity certificate, DER.
    #[must_use]
    pub fn certificate(&self) -> Option<Vec<u8>> {
        self.get().certificate()
    }
}

fn ip(address: Option<&str>) -> Option<IpAddr> {
    let address: SocketAddr = address?.parse().ok()?;
    Some(address.ip())
}
