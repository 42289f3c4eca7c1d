//! The other end of a stream.

use sha2::{Digest, Sha256};
use wasmtime::component::Resource;

use super::Host;
use crate::bindings::portcullis::policy::types;
use crate::instance::{Guest, PeerHandle, convert};

impl types::HostPeer for Guest {
    fn domain(&mut self, peer: Resource<PeerHandle>) -> Host<String> {
        Ok(Guest::peer(self, &peer)?.remote.as_str().to_owned())
    }

    fn local_domain(&mut self, peer: Resource<PeerHandle>) -> Host<String> {
        Ok(Guest::peer(self, &peer)?.local.as_str().to_owned())
    }

    fn direction(&mut self, peer: Resource<PeerHandle>) -> Host<types::Direction> {
        Ok(convert::direction(Guest::peer(self, &peer)?.direction))
    }

    fn address(&mut self, peer: Resource<PeerHandle>) -> Host<Option<String>> {
        Ok(Guest::peer(self, &peer)?
            .address
            .map(|address| address.to_string()))
    }

    fn stream_id(&mut self, peer: Resource<PeerHandle>) -> Host<String> {
        Ok(Guest::peer(self, &peer)?.stream_id.to_string())
    }

    fn method(&mut self, peer: Resource<PeerHandle>) -> Host<Option<String>> {
        Ok(Guest::peer(self, &peer)?
            .method
            .map(|method| method.as_str().to_owned()))
    }

    fn tls_version(&mut self, peer: Resource<PeerHandle>) -> Host<Option<String>> {
        Ok(Guest::peer(self, &peer)?
            .tls
            .as_ref()
            .map(|tls| tls.version.to_owned()))
    }

    fn tls_cipher(&mut self, peer: Resource<PeerHandle>) -> Host<Option<String>> {
        Ok(Guest::peer(self, &peer)?
            .tls
            .as_ref()
            .map(|tls| tls.cipher.to_owned()))
    }

    fn certificate_sha256(&mut self, peer: Resource<PeerHandle>) -> Host<Option<String>> {
        self.context.unknowns.content();
        let certificate = Guest::peer(self, &peer)?
            .tls
            .as_ref()
            .and_then(|tls| tls.certificate.as_deref());
        Ok(certificate.map(|der| format!("{:x}", Sha256::digest(der))))
    }

    fn certificate(&mut self, peer: Resource<PeerHandle>) -> Host<Option<Vec<u8>>> {
        self.context.unknowns.content();
        let certificate = Guest::peer(self, &peer)?
            .tls
            .as_ref()
            .and_then(|tls| tls.certificate.as_deref());
        Ok(certificate.map(<[u8]>::to_vec))
    }

    fn drop(&mut self, peer: Resource<PeerHandle>) -> Host<()> {
        self.table.delete(peer)?;
        Ok(())
    }
}

impl Guest {
    fn peer(&self, handle: &Resource<PeerHandle>) -> Host<&portcullis_xmpp::stream::Peer> {
        Ok(&self.table.get(handle)?.0)
    }
}
