//! What the TLS side of the gateway needs from the configuration.

use std::collections::BTreeSet;
use std::path::PathBuf;

use portcullis_xmpp::jid::Domain;

use crate::config::{Config, Identity, Mint, Trust};

/// The part of the configuration that [`super::Tls`] is built from. All paths are absolute.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `[gateway].domains`: served by us, never minted.
    pub own_domains: BTreeSet<Domain>,
    /// What partners are shown, at least one; the first also where nobody says for which domain.
    pub identities: Vec<Identity>,
    /// `[federation].trust`.
    pub trust: Vec<Trust>,
    /// `[internal].certificate` and `.key`; its list of domains is empty.
    pub internal: Identity,
    /// `[internal].client_ca`: who may connect to the internal listener, and who may be there when
    /// the gateway connects in.
    pub client_ca: PathBuf,
    /// `[internal].mint`.
    pub mint: Option<Mint>,
}

impl From<&Config> for Settings {
    fn from(config: &Config) -> Self {
        let internal = &config.internal;
        Self {
            own_domains: config.gateway.domains.iter().cloned().collect(),
            identities: config.federation.identities.clone(),
            trust: config.federation.trust.clone(),
            internal: Identity {
                domains: Vec::new(),
                certificate: internal.certificate.clone(),
                key: internal.key.clone(),
            },
            client_ca: internal.client_ca.clone(),
            mint: internal.mint.clone(),
        }
    }
}
