//! From the operator's `[plugin.config]` (as JSON) to the plugin's own type, and from that type to the
//! schema that the host compares the file with. What can fail: a key that is unknown, missing or of
//! the wrong type; the message names it and lists the known ones.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The configuration of a plugin that has none: any key is an error.
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
/// struct Quiet;
///
/// impl Plugin for Quiet {
///     type Config = NoConfig;
///
///     fn new(_: NoConfig) -> Result<Self, String> {
///         Ok(Self)
///     }
/// }
///
/// assert!(Host::new().load::<Quiet>(serde_json::json!({})).is_ok());
/// assert!(Host::new().load::<Quiet>(serde_json::json!({ "loud": true })).is_err());
/// ```
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
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

/// The JSON schema of a configuration, on one line.
#[cfg(any(target_family = "wasm", test))]
pub(crate) fn schema<C: JsonSchema>() -> String {
    schemars::schema_for!(C).as_value().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Config {
        /// Whom to let in.
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

    #[test]
    fn the_schema_says_what_serde_takes() {
        let schema: serde_json::Value = serde_json::from_str(&schema::<Config>()).unwrap();
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(schema["required"], serde_json::json!(["allow", "partners"]));
        let allow = &schema["properties"]["allow"];
        assert_eq!(allow["description"], "Whom to let in.");
        assert_eq!(allow["items"]["type"], "string");
    }
}
