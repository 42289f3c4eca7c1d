//! The configuration, as streams ask for it: by domain.

use std::collections::HashMap;
use std::sync::Arc;

use portcullis_xmpp::jid::Domain;

use crate::config::{Config, Partner, Server};

/// A configuration with its partners and internal servers by domain.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) config: Arc<Config>,
    partners: HashMap<Domain, usize>,
    servers: HashMap<Domain, usize>,
}

impl Directory {
    pub(crate) fn new(config: Config) -> Self {
        let partners = (config.partners.iter().enumerate())
            .flat_map(|(nth, partner)| partner.domains().map(move |domain| (domain.clone(), nth)))
            .collect();
        let servers = (config.internal.servers.iter().enumerate())
            .flat_map(|(nth, server)| {
                server
                    .domains
                    .iter()
                    .map(move |domain| (domain.clone(), nth))
            })
            .collect();
        Self {
            config: Arc::new(config),
            partners,
            servers,
        }
    }

    /// The record that names this domain.
    pub(crate) fn partner(&self, domain: &Domain) -> Option<&Partner> {
        self.config.partners.get(*self.partners.get(domain)?)
    }

    /// The internal server that this domain belongs to.
    pub(crate) fn server(&self, domain: &Domain) -> Option<&Server> {
        self.config.internal.servers.get(*self.servers.get(domain)?)
    }
}
