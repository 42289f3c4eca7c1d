//! The rules, and whom they hold for.

use portcullis_plugin::prelude::*;

/// `[plugin.config]`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Which way the stanzas go.
    direction: Which,
    /// What holds for everybody whom no rule names.
    all: Rules,
    /// What holds for some partners instead; the first that matches.
    rule: Vec<Rule>,
}

/// `[[plugin.config.rule]]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Rule {
    partner: Vec<DomainPattern>,
    #[serde(default)]
    content: Rules,
}

/// `[plugin.config.all]`, `[plugin.config.rule.content]`: what is left out passes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Rules {
    /// The largest stanza of each kind, as it arrived.
    pub(crate) size: Sizes,
    /// Namespaces of payloads that are taken away.
    pub(crate) strip: Vec<String>,
    /// Namespaces of payloads whose stanza is refused.
    pub(crate) refuse: Vec<String>,
    /// Whether messages keep their text alone.
    pub(crate) plain_text: bool,
    /// Namespaces of payloads that a message keeps beside its text.
    pub(crate) keep: Vec<String>,
    /// Texts that may not pass.
    pub(crate) words: Vec<Glob>,
}

/// By kind.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Sizes {
    message: Option<Size>,
    presence: Option<Size>,
    iq: Option<Size>,
}

impl Sizes {
    pub(crate) fn of(&self, kind: Kind) -> Option<Size> {
        match kind {
            Kind::Message => self.message,
            Kind::Presence => self.presence,
            Kind::Iq => self.iq,
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Which {
    Inbound,
    Outbound,
    #[default]
    Both,
}

impl Config {
    pub(crate) fn directions(&self) -> Vec<Direction> {
        match self.direction {
            Which::Inbound => vec![Direction::Inbound],
            Which::Outbound => vec![Direction::Outbound],
            Which::Both => vec![Direction::Inbound, Direction::Outbound],
        }
    }

    /// What holds for this partner.
    pub(crate) fn rules(&self, partner: &str) -> &Rules {
        let named = |rule: &&Rule| rule.partner.iter().any(|pattern| pattern.matches(partner));
        self.rule
            .iter()
            .find(named)
            .map_or(&self.all, |rule| &rule.content)
    }
}
