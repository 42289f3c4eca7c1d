//! The operator's rules, and the terms that they give for one partner.

use portcullis_plugin::prelude::*;

/// `[plugin.config]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How much of a partner's presence comes in.
    #[serde(default)]
    inbound: Level,
    /// How much of the organisation's presence goes out.
    #[serde(default)]
    outbound: Level,
    /// What becomes of directed presence.
    #[serde(default)]
    directed: Directed,
    /// Exceptions; the first that matches holds.
    #[serde(default)]
    rule: Vec<Rule>,
}

/// `[[plugin.config.rule]]`: what it leaves out is as above.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Rule {
    partner: DomainPattern,
    inbound: Option<Level>,
    outbound: Option<Level>,
    directed: Option<Directed>,
    #[serde(rename = "type")]
    partner_type: Option<PartnerType>,
}

/// How much of a presence passes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// All of it.
    #[default]
    Full,
    /// Available or not, and the kind of availability.
    Show,
    /// Available or not.
    Online,
    /// Nothing.
    None,
}

/// What becomes of directed presence (joining a room, being in it, leaving it).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Directed {
    /// It passes at every level, reduced like any other but for what makes a room work.
    #[default]
    Keep,
    /// It is presence like any other.
    Filter,
}

/// What holds between the organisation and one partner.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    inbound: Level,
    outbound: Level,
    pub(crate) directed: Directed,
    /// The rule's, if it says.
    partner_type: Option<PartnerType>,
}

impl Terms {
    /// How much passes that way.
    pub(crate) fn level(&self, direction: Direction) -> Level {
        match direction {
            Direction::Inbound => self.inbound,
            Direction::Outbound => self.outbound,
        }
    }

    /// Who may invite whom. `partner` is the domain that these terms are for.
    pub(crate) fn partner_type(&self, partner: &str) -> PartnerType {
        self.partner_type
            .or_else(|| partners::lookup(partner))
            // The default of a record, so also of a domain that a plugin alone allows.
            .unwrap_or(PartnerType::PublicUnverified)
    }
}

impl Config {
    /// What holds for this domain.
    pub(crate) fn terms(&self, partner: &str) -> Terms {
        let rule = self.rule.iter().find(|rule| rule.partner.matches(partner));
        Terms {
            inbound: rule.and_then(|rule| rule.inbound).unwrap_or(self.inbound),
            outbound: rule.and_then(|rule| rule.outbound).unwrap_or(self.outbound),
            directed: rule.and_then(|rule| rule.directed).unwrap_or(self.directed),
            partner_type: rule.and_then(|rule| rule.partner_type),
        }
    }
}
