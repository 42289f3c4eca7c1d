//! The verifiers that rustls calls inside a handshake.
//!
//! In: whatever chain the peer presents. Out: consent to any chain, together with a real check of
//! the handshake signature, which proves that the peer holds the private key of the certificate it
//! showed. What can fail: that signature, or a certificate that does not parse. What is *not*
//! promised: that the chain leads anywhere or names anybody. That is decided by
//! [`super::Tls::judge`] when the stream says which domain it speaks for, because one connection
//! may carry a domain that its certificate does not name (dialback) and because a refusal inside
//! XMPP can say why, while a TLS alert cannot.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

/// Whether a peer that connects in may come without a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientCertificate {
    /// Requested; a partner without one is told so inside XMPP, where there are words for it.
    Requested,
    /// Demanded by the handshake itself: the internal listener is mutual TLS or nothing.
    Required,
}

/// Accepts any chain, but only from a peer that proves it holds the key. Serves both roles.
#[derive(Debug)]
pub(super) struct AnyChain {
    provider: Arc<CryptoProvider>,
    client: ClientCertificate,
}

impl AnyChain {
    /// For the role of the client: the server always has a certificate.
    pub(super) fn of_servers(provider: Arc<CryptoProvider>) -> Arc<Self> {
        Self::of_clients(provider, ClientCertificate::Required)
    }

    /// For the role of the server.
    pub(super) fn of_clients(
        provider: Arc<CryptoProvider>,
        client: ClientCertificate,
    ) -> Arc<Self> {
        Arc::new(Self { provider, client })
    }
}

/// What both traits ask in the same words: is the handshake signed with the certificate's key?
macro_rules! handshake_signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let algorithms = &self.provider.signature_verification_algorithms;
            verify_tls12_signature(message, certificate, signature, algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let algorithms = &self.provider.signature_verification_algorithms;
            verify_tls13_signature(message, certificate, signature, algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.provider
                .signature_verification_algorithms
                .supported_schemes()
        }
    };
}

impl ServerCertVerifier for AnyChain {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    handshake_signatures!();
}

impl ClientCertVerifier for AnyChain {
    fn client_auth_mandatory(&self) -> bool {
        self.client == ClientCertificate::Required
    }

    // Empty: "send whatever you have". A server that chooses its certificate by this list would
    // otherwise send none, since partners' certificates come from many authorities.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    handshake_signatures!();
}
