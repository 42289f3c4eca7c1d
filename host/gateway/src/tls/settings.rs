//! What the TLS side of the gateway needs from the configuration.

use std::collections::BTreeSet;
use std::path::PathBuf;

use portcullis_xmpp::jid::Domain;

use crate::config::{Config, Identity, Mint, Revocation, Trust};

/// The part of the configuration that [`super::Tls`] is built from. All paths are absolute.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `[gateway].domains`: served by us, never minted.
    pub own_domains: BTreeSet<Domain>,
    /// What partners are shown, at least one; the first also where nobody says for which domain.
    pub identities: Vec<Identity>,
    /// `[federation].trust`.
    pub trust: Vec<Trust>,
    /// `trust` of the partner records that have one, by the record's main domain.
    pub partner_trust: Vec<(Domain, Vec<Trust>)>,
    /// `[federation].crls` and `.revocation`.
    pub crls: Vec<PathBuf>,
    /// What it means for a partner's certificate that no list covers it.
    pub revocation: Revocation,
    /// `[internal].certificate` and `.key`; its list of domains is empty.
    pub internal: Identity,
    /// `[internal].client_ca`: who may connect to the internal listener, and who may be there when
    /// the gateway connects in.
    pub client_ca: PathBuf,
    /// `[internal].crls` and `.revocation`.
    pub internal_crls: Vec<PathBuf>,
    /// What it means for an internal server's certificate that no list covers it.
    pub internal_revocation: Revocation,
    /// `[internal].mint`.
    pub mint: Option<Mint>,
}

impl From<&Config> for Settings {
    fn from(config: &Config) -> Self {
        let internal = &config.internal;
        let partner_trust = (config.partners.iter())
            .filter(|partner| !partner.trust.is_empty())
            .map(|partner| (partner.domain.clone(), partner.trust.clone()))
            .collect();
        Self {
            own_domains: config.gateway.domains.iter().cloned().collect(),
            identities: config.federation.identities.clone(),
            trust: config.federation.trust.clone(),
            partner_trust,
            crls: config.federation.crls.clone(),
            revocation: config.federation.revocation,
            internal: Identity {
                domains: Vec::new(),
                certificate: internal.certificate.clone(),
                key: internal.key.clone(),
            },
            client_ca: internal.client_ca.clone(),
            internal_crls: internal.crls.clone(),
            internal_revocation: internal.revocation,
            mint: internal.mint.clone(),
        }
    }
}
