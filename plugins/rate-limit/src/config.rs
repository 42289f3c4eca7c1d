//! The rates, and whom they hold for.

use std::fmt;

use portcullis_plugin::prelude::*;

/// `[plugin.config]`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// All users of a partner's domain together.
    partner: Rates,
    /// Each of them: a bare address, or somebody in a room.
    sender: Rates,
    /// Which way the limited stanzas go.
    direction: Which,
    /// Domains that are not limited.
    exempt: Vec<DomainPattern>,
}

/// `[plugin.config.partner]`, `[plugin.config.sender]`: what is left out is not limited.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Rates {
    messages: Option<Rate>,
    presence: Option<Rate>,
    subscriptions: Option<Rate>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Which {
    #[default]
    Inbound,
    Outbound,
    Both,
}

/// Who is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Partner,
    Sender,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Partner => "partner",
            Self::Sender => "sender",
        })
    }
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Messages,
    /// That somebody is there, and probes.
    Presence,
    /// Requests to see somebody's presence.
    Subscriptions,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Messages => "messages",
            Self::Presence => "presences",
            Self::Subscriptions => "subscription requests",
        })
    }
}

impl Config {
    pub(crate) fn limits_nothing(&self) -> bool {
        let nothing = |rates: &Rates| {
            rates.messages.is_none() && rates.presence.is_none() && rates.subscriptions.is_none()
        };
        nothing(&self.partner) && nothing(&self.sender)
    }

    pub(crate) fn directions(&self) -> Vec<Direction> {
        match self.direction {
            Which::Inbound => vec![Direction::Inbound],
            Which::Outbound => vec![Direction::Outbound],
            Which::Both => vec![Direction::Inbound, Direction::Outbound],
        }
    }

    pub(crate) fn is_exempt(&self, domain: &str) -> bool {
        self.exempt.iter().any(|pattern| pattern.matches(domain))
    }

    /// The limit, if there is one.
    pub(crate) fn limit(&self, scope: Scope, what: What) -> Option<RateLimit> {
        let (rates, names) = match scope {
            Scope::Partner => (&self.partner, ["pm", "pp", "ps"]),
            Scope::Sender => (&self.sender, ["sm", "sp", "ss"]),
        };
        let [messages, presence, subscriptions] = names;
        let (name, rate) = match what {
            What::Messages => (messages, rates.messages),
            What::Presence => (presence, rates.presence),
            What::Subscriptions => (subscriptions, rates.subscriptions),
        };
        rate.map(|rate| RateLimit::new(name, rate))
    }
}
