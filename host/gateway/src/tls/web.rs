//! A client for web servers, whose certificates are judged inside the handshake like anybody's.

use std::sync::Arc;

use rustls::ClientConfig;

use super::{Side, Tls};

/// RFC 7301 §6
const HTTP: &[u8] = b"http/1.1";

impl Tls {
    /// For a request in nobody's name: no certificate of ours is shown, and the server must prove its
    /// name to the authorities of the outside.
    ///
    /// # Errors
    /// The TLS library offers no version that is safe.
    pub(crate) fn web_client(&self) -> Result<Arc<ClientConfig>, rustls::Error> {
        let anchors = self.trust.load().anchors(Side::Federation).clone();
        let mut client = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(anchors)
            .with_no_client_auth();
        client.alpn_protocols = vec![HTTP.to_vec()];
        Ok(Arc::new(client))
    }
}
