//! TLS on all three ports: who we are, whom we believe, and the handshakes in between.
//!
//! In: sockets and the operator's certificates. Out: encrypted streams with the facts about them,
//! and judgements about whom a peer's chain proves. What can fail: files ([`Problem`]), handshakes
//! ([`TlsError`]), proofs ([`Unproven`]). What is not here: deadlines; a caller bounds
//! [`Tls::accept`] and [`Tls::connect`] with its own.
//!
//! Three things reload apart from each other: the gateway's own certificates ([`Tls::reload`]) and
//! the revocation lists ([`Tls::set_revocations`]) at once, the trust anchors with the policy
//! generation ([`Tls::set_trust`]). Running streams keep the certificates that they were made with;
//! whether their peers are still proven is `prove`'s to ask again.

pub mod ca;
mod chain;
mod endpoint;
mod error;
mod files;
mod fingerprint;
mod judge;
mod known;
mod material;
mod mint;
mod problem;
mod revocation;
mod said;
mod settings;
mod trust;
mod unproven;
mod verifier;
mod web;

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::stream::{TlsFacts, TlsMode};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::server::Acceptor;
use rustls::{CommonState, ProtocolVersion};
use time::{Duration, OffsetDateTime};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_rustls::{LazyConfigAcceptor, TlsConnector, TlsStream};

pub use chain::PeerChain;
pub use error::TlsError;
pub use fingerprint::Fingerprint;
pub use material::Expiring;
pub use mint::MintError;
pub use problem::{Problem, Severity};
pub use revocation::Revocations;
pub use settings::Settings;
pub use trust::Trust;
pub use unproven::Unproven;

use endpoint::{ALPN, Endpoint};
use known::Known;
use material::Material;

/// The outside or the inside: which certificates are shown, and which authorities are believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Partners.
    Federation,
    /// The organisation's own servers.
    Internal,
}

impl Side {
    /// As in metrics and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Federation => "federation",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a connection that was accepted came to TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opening {
    /// With its first byte: the SNI says which certificate is wanted.
    Direct,
    /// After `<starttls/>`: the stream's `to` says which certificate is wanted.
    StartTls {
        /// The `to` of the stream header before TLS.
        to: Domain,
    },
}

/// An encrypted connection and what is known about it.
#[derive(Debug)]
pub struct Secured<IO> {
    /// The connection. Its first read may still bring a refusal: see [`TlsError::of_stream`].
    pub stream: TlsStream<IO>,
    /// What the stream machine and the audit record want to know.
    pub facts: TlsFacts,
    /// The peer's certificates, for [`Tls::judge`]. Empty if it showed none.
    pub chain: PeerChain,
}

/// The TLS of the whole gateway. Shared by reference; everything inside is swapped atomically.
#[derive(Debug)]
pub struct Tls {
    provider: Arc<CryptoProvider>,
    settings: ArcSwap<Settings>,
    material: ArcSwap<Material>,
    trust: ArcSwap<Trust>,
    revocations: ArcSwap<Revocations>,
    known: Known,
}

/// Has the library gather its first randomness, so that nobody waits for it later: it takes tens of
/// milliseconds of processor time, once in the life of a process. Blocks.
pub(crate) fn gather_randomness() {
    let mut byte = [0];
    // Whoever needs randomness next says what is wrong with it.
    let _ = rustls::crypto::aws_lc_rs::default_provider()
        .secure_random
        .fill(&mut byte);
}

impl Tls {
    /// Reads all certificates, keys and trust anchors.
    ///
    /// # Errors
    /// Everything that is wrong with them at once, warnings included.
    pub fn load(settings: Settings) -> Result<Self, Vec<Problem>> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let material = Material::load(&settings, &provider, OffsetDateTime::now_utc());
        let trust = Trust::load(&settings);
        let revocations = Revocations::load(&settings);
        match (material, trust, revocations) {
            (Ok(material), Ok(trust), Ok(revocations)) => Ok(Self {
                provider,
                settings: ArcSwap::from_pointee(settings),
                material: ArcSwap::from_pointee(material),
                trust: ArcSwap::from_pointee(trust),
                revocations: ArcSwap::from_pointee(revocations),
                known: Known::default(),
            }),
            (material, trust, revocations) => {
                let mut problems = material.err().unwrap_or_default();
                problems.extend(trust.err().unwrap_or_default());
                problems.extend(revocations.err().unwrap_or_default());
                Err(problems)
            }
        }
    }

    /// What is questionable about the certificates, keys and revocation lists in use.
    #[must_use]
    pub fn warnings(&self) -> Vec<Problem> {
        let mut warnings = self.material.load().warnings.clone();
        warnings.extend(self.revocations.load().expired(OffsetDateTime::now_utc()));
        warnings
    }

    /// The server's side of a handshake, after the listener saw which kind of connection it is.
    ///
    /// `peer` is the address at the other end: inside, new partner names are counted against it.
    /// Cancel-safe in the sense that dropping the future drops the connection.
    ///
    /// # Errors
    /// [`TlsError`]; the peer was sent an alert where TLS has one.
    pub async fn accept<IO>(
        &self,
        side: Side,
        io: IO,
        opening: Opening,
        peer: IpAddr,
    ) -> Result<Secured<IO>, TlsError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let mut start = LazyConfigAcceptor::new(Acceptor::default(), io)
            .await
            .map_err(TlsError::of_handshake)?;
        let sni = start.client_hello().server_name().map(str::to_owned);
        let (mode, chosen) = match &opening {
            Opening::Direct => (TlsMode::Direct, self.by_sni(side, sni.as_deref(), peer)),
            Opening::StartTls { to } => (
                TlsMode::StartTls,
                self.by_to(side, sni.as_deref(), to, peer),
            ),
        };
        let endpoint = match chosen {
            Ok(endpoint) => endpoint,
            Err(error) => {
                // The connection is lost either way; whether the alert arrives changes nothing.
                let _ = start.io.write_all(UNRECOGNISED_NAME).await;
                let _ = start.io.shutdown().await;
                return Err(error);
            }
        };
        let stream = start
            .into_stream(endpoint.server)
            .await
            .map_err(TlsError::of_handshake)?;
        let sni = sni.and_then(|sni| Domain::parse(&sni).ok());
        Ok(secured(TlsStream::Server(stream), mode, sni))
    }

    /// The client's side: to a partner in the name of our domain `local`, or inside, in the name of
    /// the partner `local`.
    ///
    /// The peer's certificate is *not* judged yet: that is [`Tls::judge`]'s, when the stream asks.
    ///
    /// # Errors
    /// [`TlsError`].
    pub async fn connect<IO>(
        &self,
        side: Side,
        io: IO,
        mode: TlsMode,
        local: &Domain,
        remote: &Domain,
    ) -> Result<Secured<IO>, TlsError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let endpoint = match side {
            Side::Federation => self.for_partners(Some(local))?,
            Side::Internal => self.for_inside(Some(local), None)?,
        };
        let name = ServerName::try_from(remote.as_str().to_owned())
            .map_err(|_| TlsError::InvalidName(remote.clone()))?;
        let connector = TlsConnector::from(endpoint.client);
        let connecting = match mode {
            TlsMode::Direct => connector.with_alpn(vec![ALPN.to_vec()]).connect(name, io),
            // XEP-0368 speaks of ALPN for direct TLS only, and a server that knows other protocols
            // on the same TLS stack might refuse one that it does not.
            TlsMode::StartTls => connector.connect(name, io),
        };
        let stream = connecting.await.map_err(TlsError::of_handshake)?;
        Ok(secured(
            TlsStream::Client(stream),
            mode,
            Some(remote.clone()),
        ))
    }

    /// The files of our own certificates and keys that hold something else than what is in use.
    #[must_use]
    pub fn changed_files(&self) -> Vec<PathBuf> {
        self.material.load().files.changed()
    }

    /// All files that matter here, trust anchors and revocation lists included, for a watcher.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let material = self.material.load();
        let trust = self.trust.load();
        let revocations = self.revocations.load();
        material
            .files
            .paths()
            .chain(trust.files())
            .chain(revocations.files())
            .map(PathBuf::from)
            .collect()
    }

    /// Reads our own certificates and keys again and shows the new ones from the next handshake on.
    /// Minted certificates are forgotten. Returns the warnings.
    ///
    /// # Errors
    /// Everything that is wrong; nothing changes then.
    pub fn reload(&self) -> Result<Vec<Problem>, Vec<Problem>> {
        let settings = self.settings.load();
        let material = Material::load(&settings, &self.provider, OffsetDateTime::now_utc())?;
        let warnings = material.warnings.clone();
        self.material.store(Arc::new(material));
        Ok(warnings)
    }

    /// [`Tls::reload`] with another configuration, which is kept for later reloads if it loads.
    ///
    /// # Errors
    /// As [`Tls::reload`].
    pub fn reconfigure(&self, settings: Settings) -> Result<Vec<Problem>, Vec<Problem>> {
        let material = Material::load(&settings, &self.provider, OffsetDateTime::now_utc())?;
        let warnings = material.warnings.clone();
        self.settings.store(Arc::new(settings));
        self.material.store(Arc::new(material));
        Ok(warnings)
    }

    /// Our certificates, and the mint's authority, that end before `now + within`; soonest first.
    #[must_use]
    pub fn expiring(&self, now: OffsetDateTime, within: Duration) -> Vec<Expiring> {
        self.material.load().expiring(now.saturating_add(within))
    }

    /// Direct TLS: a name that is not served is refused; none means the default.
    fn by_sni(&self, side: Side, sni: Option<&str>, peer: IpAddr) -> Result<Endpoint, TlsError> {
        let Some(sni) = sni else {
            return match side {
                Side::Federation => self.for_partners(None),
                Side::Internal => self.for_inside(None, Some(peer)),
            };
        };
        let unknown = || TlsError::UnknownName(sni.to_owned());
        let domain = Domain::parse(sni).map_err(|_| unknown())?;
        match side {
            Side::Federation if self.settings.load().own_domains.contains(&domain) => {
                self.for_partners(Some(&domain))
            }
            Side::Federation => Err(unknown()),
            Side::Internal => self.for_inside(Some(&domain), Some(peer)),
        }
    }

    /// STARTTLS: the stream's `to` decides, and an SNI may only repeat it.
    fn by_to(
        &self,
        side: Side,
        sni: Option<&str>,
        to: &Domain,
        peer: IpAddr,
    ) -> Result<Endpoint, TlsError> {
        if let Some(sni) = sni
            && Domain::parse(sni).ok().as_ref() != Some(to)
        {
            return Err(TlsError::NameMismatch {
                sni: sni.to_owned(),
                to: to.clone(),
            });
        }
        self.by_sni(side, Some(to.as_str()), peer)
    }

    fn for_partners(&self, domain: Option<&Domain>) -> Result<Endpoint, TlsError> {
        let material = self.material.load();
        let identity = material.for_partners(domain);
        let name = || domain.map_or_else(String::new, Domain::to_string);
        identity
            .map(|identity| identity.endpoint.clone())
            .ok_or_else(|| TlsError::UnknownName(name()))
    }

    /// What an internal server is shown for `name`: minted for a partner, the gateway's own
    /// certificate where nothing is minted: without a mint, without a name, for our own domains. `asking`
    /// is the server if it is the one that connects.
    fn for_inside(
        &self,
        name: Option<&Domain>,
        asking: Option<IpAddr>,
    ) -> Result<Endpoint, TlsError> {
        let material = self.material.load();
        let fixed = || material.internal.endpoint.clone();
        let (Some(mint), Some(name)) = (&material.mint, name) else {
            return Ok(fixed());
        };
        match mint.endpoint(name, asking, OffsetDateTime::now_utc(), Instant::now()) {
            Err(MintError::OwnDomain(_)) => Ok(fixed()),
            other => Ok(other?),
        }
    }
}

/// A TLS 1.2 record with the alert fatal `unrecognized_name` (RFC 6066 §3), in the clear: the
/// handshake has not begun for our side, so rustls has no state to send it from.
const UNRECOGNISED_NAME: &[u8] = &[21, 3, 3, 0, 2, 2, 112];

fn secured<IO>(stream: TlsStream<IO>, mode: TlsMode, sni: Option<Domain>) -> Secured<IO> {
    let (_, state) = stream.get_ref();
    let chain = PeerChain::new(state.peer_certificates().unwrap_or_default());
    let facts = facts(state, mode, sni, &chain);
    Secured {
        stream,
        facts,
        chain,
    }
}

fn facts(state: &CommonState, mode: TlsMode, sni: Option<Domain>, chain: &PeerChain) -> TlsFacts {
    TlsFacts {
        version: match state.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
            Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "unknown",
        },
        cipher: state
            .negotiated_cipher_suite()
            .and_then(|suite| suite.suite().as_str())
            .unwrap_or("unknown"),
        sni,
        mode,
        certificate: chain
            .end_entity()
            .map(|certificate| certificate.as_ref().into()),
    }
}

#[cfg(test)]
pub(crate) mod tests;
