//! The rustls configurations: one pair per presented certificate, shared by all its connections.
//!
//! TLS 1.2 and 1.3, no 0-RTT and **no resumption**, in neither role. A resumed session calls no
//! verifier and carries the identity of another connection; federation streams live for hours, so
//! a handshake saved is worth nothing. As a client there is a second reason: OpenSSL servers that
//! ask for client certificates but set no session id context break a resumed handshake off.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ServerConfig, SupportedProtocolVersion};

use super::verifier::{AnyChain, ClientCertificate};

/// XEP-0368 §3: the application protocol of a server-to-server stream.
pub(super) const ALPN: &[u8] = b"xmpp-server";

static VERSIONS: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];

/// One certificate, ready for both roles.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    pub(super) server: Arc<ServerConfig>,
    pub(super) client: Arc<ClientConfig>,
}

impl Endpoint {
    pub(super) fn new(
        provider: &Arc<CryptoProvider>,
        certified: CertifiedKey,
        from_clients: ClientCertificate,
    ) -> Result<Self, rustls::Error> {
        let certified = Arc::new(SingleCertAndKey::from(certified));

        let mut server = ServerConfig::builder_with_provider(Arc::clone(provider))
            .with_protocol_versions(VERSIONS)?
            .with_client_cert_verifier(AnyChain::of_clients(Arc::clone(provider), from_clients))
            .with_cert_resolver(Arc::clone(&certified) as _);
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        // With this list rustls accepts a client that names no protocol, and refuses one that
        // names only others (`no_application_protocol`).
        server.alpn_protocols = vec![ALPN.to_vec()];

        let mut client = ClientConfig::builder_with_provider(Arc::clone(provider))
            .with_protocol_versions(VERSIONS)?
            .dangerous()
            .with_custom_certificate_verifier(AnyChain::of_servers(Arc::clone(provider)))
            .with_client_cert_resolver(certified);
        client.resumption = Resumption::disabled();

        Ok(Self {
            server: Arc::new(server),
            client: Arc::new(client),
        })
    }
}
