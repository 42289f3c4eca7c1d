//! A filter that lets every stanza pass, and looks at none of it.

use portcullis_plugin::prelude::*;

/// `[plugin.config]`: nothing.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {}

/// The plugin.
#[derive(Debug)]
pub struct Passing;

impl Plugin for Passing {
    type Config = Config;

    fn new(_: Config) -> Result<Self, String> {
        Ok(Self)
    }
}

impl Filter for Passing {
    fn decide(&mut self, _: &Header, _: &mut Stanza) -> Verdict {
        Verdict::pass()
    }
}

export!(Passing: Filter);
