//! The operator's exceptions.

use portcullis_plugin::prelude::*;

/// `[plugin.config]`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Whom anybody may speak to: rooms, a help desk.
    open: Vec<AddressPattern>,
    /// How long after a user's last word to a contact it is a stranger again; none: never.
    pub(crate) forget_after: Option<Span>,
    /// Types that are not those of the partner records; the first that matches holds.
    rule: Vec<Rule>,
}

/// `[[plugin.config.rule]]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Rule {
    partner: DomainPattern,
    #[serde(rename = "type")]
    partner_type: PartnerType,
}

impl Config {
    pub(crate) fn is_open(&self, address: &Address) -> bool {
        self.open.iter().any(|pattern| pattern.matches(address))
    }

    /// A rule's, a record's, or what a record has by default.
    pub(crate) fn partner_type(&self, partner: &str) -> PartnerType {
        let rule = self.rule.iter().find(|rule| rule.partner.matches(partner));
        rule.map(|rule| rule.partner_type)
            .or_else(|| partners::lookup(partner))
            .unwrap_or(PartnerType::PublicUnverified)
    }
}
