//! From the operator's `[plugin.config]` (as JSON) to the plugin's own type. What can fail: a key
//! that is unknown, missing or of the wrong type; the message names it and lists the known ones.

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The configuration of a plugin that has none: any key is an error.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}

/// Reads the configuration.
pub(crate) fn read<C: DeserializeOwned>(json: &str) -> Result<C, String> {
    // By way of a value, so that no error points at a line and column of a JSON text that the
    // operator, who wrote TOML, has never seen.
    let value: serde_json::Value =
        serde_json::from_str(json).map_err(|error| format!("config is no JSON: {error}"))?;
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        match path.as_str() {
            "." => error.into_inner().to_string(),
            _ => format!("`{path}`: {}", error.into_inner()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Config {
        #[expect(dead_code, reason = "only its errors are looked at")]
        allow: Vec<String>,
        #[expect(dead_code, reason = "only its errors are looked at")]
        partners: bool,
    }

    #[test]
    fn an_unknown_key_is_named_with_the_known_ones() {
        let error = read::<Config>(r#"{"alow":[],"partners":true}"#).unwrap_err();
        assert!(error.contains("unknown field `alow`"), "{error}");
        assert!(error.contains("`allow` or `partners`"), "{error}");
    }

    #[test]
    fn a_wrong_type_is_named_with_its_place() {
        let error = read::<Config>(r#"{"allow":["a",1],"partners":true}"#).unwrap_err();
        assert!(error.starts_with("`allow[1]`: "), "{error}");
        assert!(!error.contains("line"), "{error}");
    }

    #[test]
    fn a_plugin_without_configuration_takes_no_key() {
        assert!(read::<NoConfig>("{}").is_ok());
        assert!(read::<NoConfig>(r#"{"x":1}"#).is_err());
    }
}
