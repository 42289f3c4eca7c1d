//! What a gatekeeper is asked about.

use std::net::{IpAddr, SocketAddr};

use crate::{Direction, host};

/// Someone is at the door, or the gateway is about to open a stream. Nothing is proven yet.
///
/// ```
/// use portcullis_plugin::prelude::*;
/// # struct X;
/// # impl Plugin for X {
/// #     type Config = NoConfig;
/// #     fn new(_: NoConfig) -> Result<Self, String> { Ok(Self) }
/// # }
/// impl Gatekeeper for X {
///     fn knock(&mut self, knock: &Knock) -> Admission {
///         let spoken = Network::parse("192.0.2.0/24").is_ok_and(|network| {
///             knock.ip().is_some_and(|ip| network.contains(ip))
///         });
///         match (knock.direction, spoken) {
///             (Direction::Inbound, false) => Admission::refuse(format!("{} calls from elsewhere", knock.domain)),
///             _ => Admission::Abstain,
///         }
///     }
///
///     fn admit(&mut self, peer: &Peer) -> Admission {
///         // Now it is proven: how, and by what.
///         log::info!(
///             "{} -> {} at {:?}: {:?}, {:?} {:?}, certificate {:?}",
///             peer.domain(), peer.local_domain(), peer.ip(), peer.method(), peer.tls_version(),
///             peer.tls_cipher(), peer.certificate_sha256(),
///         );
///         Admission::Abstain
///     }
/// }
/// # #[cfg(not(target_family = "wasm"))] {
/// # let mut host = portcullis_plugin::mock::Host::new().own("org.test");
/// # let mut plugin = host.load::<X>(serde_json::json!({}))?;
/// // The mock's peers connect from 192.0.2.1.
/// assert_eq!(host.knock(&mut plugin, "alpha.test", Direction::Inbound), Admission::Abstain);
/// assert_eq!(host.admit(&mut plugin, "alpha.test", Direction::Inbound), Admission::Abstain);
/// assert!(host.log().iter().any(|(_, line)| line.starts_with("alpha.test -> org.test")));
/// # }
/// # Ok::<(), String>(())
/// ```
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
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// # struct X;
    /// # impl Plugin for X {
    /// #     type Config = NoConfig;
    /// #     fn new(_: NoConfig) -> Result<Self, String> { Ok(Self) }
    /// # }
    /// # impl Gatekeeper for X {
    /// fn knock(&mut self, knock: &Knock) -> Admission {
    ///     match knock.ip() {
    ///         Some(ip) if ip.is_ipv6() => Admission::refuse("IPv4 only"),
    ///         _ => Admission::Abstain,
    ///     }
    /// }
    /// # }
    /// # assert_eq!(host().knock(&mut X, "alpha.test", Direction::Inbound), Admission::Abstain);
    /// ```
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        ip(self.address.as_deref())
    }
}

/// The other end of a stream. What is not known (yet) is none.
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
/// # let peer = proven("alpha.test");
/// assert_eq!((peer.domain(), peer.local_domain()), ("alpha.test".into(), "org.test".into()));
/// assert_eq!(peer.method().as_deref(), Some("external"));
/// ```
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
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// # let peer = proven("alpha.test");
    /// assert_eq!(peer.domain(), "alpha.test");
    /// ```
    #[must_use]
    pub fn domain(&self) -> String {
        self.get().domain()
    }

    /// Our side's domain, normalised.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// # let peer = proven("alpha.test");
    /// assert_eq!(peer.local_domain(), "org.test");
    /// ```
    #[must_use]
    pub fn local_domain(&self) -> String {
        self.get().local_domain()
    }

    /// Inbound: the remote side opened the stream; outbound: the gateway did.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// # let peer = proven("alpha.test");
    /// assert_eq!(peer.direction(), Direction::Inbound);
    /// ```
    #[must_use]
    pub fn direction(&self) -> Direction {
        self.get().direction()
    }

    /// `address:port`.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// # let peer = proven("alpha.test");
    /// assert_eq!(peer.address().as_deref(), Some("192.0.2.1:40000"));
    /// ```
    #[must_use]
    pub fn address(&self) -> Option<String> {
        self.get().address()
    }

    /// The IP address, for a [`Network`](crate::Network).
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// # let peer = proven("alpha.test");
    /// let network = Network::parse("192.0.2.0/24")?;
    /// assert!(peer.ip().is_some_and(|ip| network.contains(ip)));
    /// # Ok::<(), portcullis_plugin::NetworkError>(())
    /// ```
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        ip(self.address().as_deref())
    }

    /// The stream's id in logs and audit records.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// # let peer = proven("alpha.test");
    /// assert!(!peer.stream_id().is_empty());
    /// ```
    #[must_use]
    pub fn stream_id(&self) -> String {
        self.get().stream_id()
    }

    /// How it proved its domain: `external`, and in later versions other methods.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// # let peer = proven("alpha.test");
    /// assert_eq!(peer.method().as_deref(), Some("external"));
    /// ```
    #[must_use]
    pub fn method(&self) -> Option<String> {
        self.get().method()
    }

    /// `TLSv1.3` or `TLSv1.2`.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// # let peer = proven("alpha.test");
    /// assert_eq!(peer.tls_version().as_deref(), Some("TLSv1.3"));
    /// ```
    #[must_use]
    pub fn tls_version(&self) -> Option<String> {
        self.get().tls_version()
    }

    /// The name of the cipher suite as IANA registers it.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// # let peer = proven("alpha.test");
    /// assert_eq!(peer.tls_cipher().as_deref(), Some("TLS_AES_256_GCM_SHA384"));
    /// ```
    #[must_use]
    pub fn tls_cipher(&self) -> Option<String> {
        self.get().tls_cipher()
    }

    /// SHA-256 of the end entity certificate (DER), lower case hex.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// # let peer = proven("alpha.test");
    /// // The mock's peers have no certificate.
    /// assert_eq!(peer.certificate_sha256(), None);
    /// ```
    #[must_use]
    pub fn certificate_sha256(&self) -> Option<String> {
        self.get().certificate_sha256()
    }

    /// The end entity certificate, DER.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// # let peer = proven("alpha.test");
    /// // The mock's peers have no certificate.
    /// assert_eq!(peer.certificate(), None);
    /// ```
    #[must_use]
    pub fn certificate(&self) -> Option<Vec<u8>> {
        self.get().certificate()
    }
}

fn ip(address: Option<&str>) -> Option<IpAddr> {
    let address: SocketAddr = address?.parse().ok()?;
    Some(address.ip())
}
