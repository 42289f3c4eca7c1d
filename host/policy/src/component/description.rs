//! What a component says of itself, made fit to be shown and used.
//!
//! In: two texts from a guest, hostile. Out: [`Description`], bounded, the schema parsed. What can fail
//! is the plugin's fault and refuses it: a schema that is no JSON object would check nothing.

use serde_json::Value;

use crate::instance::cut;
use crate::schema::ConfigSchema;

/// Versions are cut here (WIT, `description.version`).
const VERSION_BYTES: usize = 64;
/// Larger schemas are refused (WIT, `description.config-schema`).
const SCHEMA_BYTES: usize = 256 * 1024;

/// What a component says of itself; empty if it does not export `description`.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Description {
    /// Its version, as its author counts; at most 64 bytes, without control characters.
    pub version: Option<String>,
    /// What its configuration may hold.
    pub config_schema: Option<ConfigSchema>,
}

impl Description {
    /// Reads what the guest said.
    pub(crate) fn read(version: &str, schema: Option<&str>) -> Result<Self, String> {
        let version = cut(version, VERSION_BYTES)
            .chars()
            .filter(|c| !c.is_control())
            .collect();
        Ok(Self {
            version: Some(version),
            config_schema: schema.map(parsed).transpose()?,
        })
    }
}

fn parsed(text: &str) -> Result<ConfigSchema, String> {
    if text.len() > SCHEMA_BYTES {
        return Err(format!(
            "its config schema is larger than {SCHEMA_BYTES} bytes"
        ));
    }
    match serde_json::from_str(text) {
        Ok(schema @ Value::Object(_)) => Ok(ConfigSchema::new(schema)),
        Ok(_) => Err("its config schema is no JSON object".to_owned()),
        Err(error) => Err(format!("its config schema is no JSON: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_that_could_check_nothing_is_refused() {
        let large = format!("{{\"title\":\"{}\"}}", "x".repeat(SCHEMA_BYTES));
        for (schema, why) in [
            ("true", "no JSON object"),
            ("{", "no JSON: "),
            (&large, "larger than"),
        ] {
            let error = Description::read("1.0.0", Some(schema)).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_version_is_bounded_and_cannot_control_a_terminal() {
        let said = Description::read(&format!("1\u{1b}[2J{}", "9".repeat(100)), None).unwrap();
        let version = said.version.unwrap();
        assert!(version.starts_with("1[2J9") && version.len() < VERSION_BYTES);
        assert_eq!(said.config_schema, None);
    }
}
