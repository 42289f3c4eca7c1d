//! Which files are lists.

use portcullis_plugin::prelude::*;

/// `[plugin.config]`: names of `[plugin.files]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Lists of who is blocked.
    pub(crate) block: Vec<String>,
    /// Lists of who is not, whatever the others say.
    pub(crate) except: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            block: vec!["blocked".to_owned()],
            except: Vec::new(),
        }
    }
}
