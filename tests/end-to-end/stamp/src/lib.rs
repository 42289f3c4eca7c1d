//! A filter that signs each message with the word of its configuration.
//!
//! Out: the message with one more `<stamp xmlns='urn:stamp'>`. So who gets it sees which plugins have
//! judged it, in which order, each by which configuration, and whether one did so twice.

use portcullis_plugin::prelude::*;

/// `[plugin.config]`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What it signs with; without markup.
    word: String,
}

/// The plugin.
#[derive(Debug)]
pub struct Stamp {
    element: String,
}

impl Plugin for Stamp {
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        let element = format!("<stamp xmlns='urn:stamp'>{}</stamp>", config.word);
        Ok(Self { element })
    }

    fn subscription(&self) -> Subscription {
        Subscription::everything().kinds([Kind::Message])
    }
}

impl Filter for Stamp {
    fn decide(&mut self, _: &Header, stanza: &mut Stanza) -> Verdict {
        match stanza.insert(&self.element) {
            Ok(()) => Verdict::pass(),
            Err(error) => Verdict::drop(error.message()),
        }
    }
}

export!(Stamp: Filter);
