//! The configuration, as streams ask for it: by domain.

use std::collections::HashMap;
use std::sync::Arc;

use portcullis_xmpp::jid::Domain;
use time::OffsetDateTime;

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

    /// The record of a domain: the one that names it, or else that of the nearest domain above which
    /// is one for subdomains. A record that has ended counts as absent.
    pub(crate) fn partner(&self, domain: &Domain) -> Option<&Partner> {
        let record = |name: &str| self.config.partners.get(*self.partners.get(name)?);
        let above = domain.parents().filter_map(record);
        let above = above.filter(|partner| partner.subdomains);
        (record(domain.as_str()).into_iter().chain(above)).find(|partner| {
            partner.valid_until.is_none() || partner.is_valid(OffsetDateTime::now_utc())
        })
    }

    /// The records that have ended after the first of these times, up to the second.
    pub(crate) fn ended(
        &self,
        after: OffsetDateTime,
        until: OffsetDateTime,
    ) -> impl Iterator<Item = &Partner> {
        let ended = move |end: OffsetDateTime| after < end && end <= until;
        (self.config.partners.iter()).filter(move |partner| partner.valid_until.is_some_and(ended))
    }

    /// When the next record ends of those that are still valid.
    pub(crate) fn next_end(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        let ends = self.config.partners.iter();
        let ends = ends.filter_map(|partner| partner.valid_until);
        ends.filter(|end| now < *end).min()
    }

    /// The internal server that this domain belongs to.
    pub(crate) fn server(&self, domain: &Domain) -> Option<&Server> {
        self.config.internal.servers.get(*self.servers.get(domain)?)
    }
}
