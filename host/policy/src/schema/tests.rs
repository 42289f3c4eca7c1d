use serde_json::{Value, json};

use super::*;

/// As schemars writes it: an optional value, an enum with documented words, a list of tables, bounds.
fn schema() -> ConfigSchema {
    ConfigSchema::new(json!({
        "type": "object",
        "properties": {
            "limit": {
                "description": "The longest body, in characters.\nMore follows.",
                "type": "integer", "format": "uint16", "minimum": 0, "maximum": 65535,
            },
            "note": { "type": ["string", "null"] },
            "level": { "$ref": "#/$defs/Level", "default": "full" },
            "rule": { "type": "array", "items": { "$ref": "#/$defs/Rule" } },
            "action": { "$ref": "#/$defs/Action" },
        },
        "required": ["limit"],
        "additionalProperties": false,
        "$defs": {
            "Level": { "oneOf": [
                { "description": "All of it.", "type": "string", "const": "full" },
                { "type": "string", "enum": ["online", "none"] },
            ] },
            "Rule": {
                "type": "object",
                "properties": {
                    "partner": { "type": "string", "minLength": 1 },
                    "level": { "anyOf": [{ "$ref": "#/$defs/Level" }, { "type": "null" }] },
                },
                "required": ["partner"],
                "additionalProperties": false,
            },
            "Action": { "oneOf": [
                {
                    "type": "object",
                    "properties": { "type": { "type": "string", "const": "drop" } },
                    "required": ["type"],
                },
                {
                    "type": "object",
                    "properties": {
                        "type": { "type": "string", "const": "reject" },
                        "text": { "type": "string" },
                    },
                    "required": ["type", "text"],
                },
            ] },
        },
    }))
}

/// The misfits as they are told.
fn told(config: &Value) -> Vec<String> {
    let misfits = schema().misfits(config);
    misfits.iter().map(Misfit::to_string).collect()
}

fn key(name: &str) -> Step {
    Step::Key(name.to_owned())
}

#[test]
fn what_fits_has_no_misfit() {
    for config in [
        json!({ "limit": 3 }),
        json!({ "limit": 0, "note": "x", "level": "none" }),
        json!({ "limit": 65535, "rule": [{ "partner": "a", "level": "full" }, { "partner": "b" }] }),
        json!({ "limit": 1, "action": { "type": "reject", "text": "no" } }),
    ] {
        assert_eq!(told(&config), [""; 0], "{config}");
    }
}

#[test]
fn an_unknown_key_is_named_with_the_nearest_known_one() {
    assert_eq!(
        told(&json!({ "limit": 1, "leval": "full" })),
        ["unknown key `leval` (did you mean `level`?)"]
    );
    assert_eq!(
        told(&json!({ "limit": 1, "rule": [{ "partner": "a", "zzz": 1 }] })),
        ["unknown key `zzz` in `rule[0]` (the keys here are level, partner)"]
    );
    let misfits = schema().misfits(&json!({ "limit": 1, "rule": [{ "partner": "a", "zzz": 1 }] }));
    assert_eq!(misfits[0].subject, Subject::Key);
    assert_eq!(misfits[0].path, [key("rule"), Step::Index(0), key("zzz")]);
}

#[test]
fn a_wrong_type_is_named_with_the_right_one() {
    assert_eq!(
        told(&json!({ "limit": "3" })),
        ["`limit` must be a whole number, not the string \"3\""]
    );
    assert_eq!(
        told(&json!({ "limit": 1.5 })),
        ["`limit` must be a whole number, not 1.5"]
    );
    assert_eq!(
        told(&json!({ "limit": 1, "note": [], "rule": {} })),
        [
            "`note` must be a string in quotes, not a list",
            "`rule` must be a list, not a table"
        ]
    );
}

#[test]
fn a_missing_key_is_named_with_what_it_is() {
    assert_eq!(
        told(&json!({})),
        ["the plugin needs the key `limit` (`limit`: The longest body, in characters.)"]
    );
    assert_eq!(
        told(&json!({ "limit": 1, "rule": [{}] })),
        ["`rule[0]` needs the key `partner`"]
    );
}

#[test]
fn a_word_that_is_none_of_an_enum_is_named_with_the_nearest() {
    let wanted = "must be one of \"full\", \"online\", \"none\", not";
    assert_eq!(
        told(&json!({ "limit": 1, "level": "onlin" })),
        [format!(
            "`level` {wanted} the string \"onlin\" (did you mean \"online\"?)"
        )]
    );
    assert_eq!(
        told(&json!({ "limit": 1, "rule": [{ "partner": "a", "level": "x" }] })),
        [format!("`rule[0].level` {wanted} the string \"x\"")]
    );
}

#[test]
fn bounds_are_named() {
    assert_eq!(
        told(&json!({ "limit": -1 })),
        ["`limit` must be at least 0, not -1"]
    );
    assert_eq!(
        told(&json!({ "limit": 65536 })),
        ["`limit` must be at most 65535, not 65536"]
    );
    assert_eq!(
        told(&json!({ "limit": 1, "rule": [{ "partner": "" }] })),
        ["`rule[0].partner` must be at least 1 characters long, not the string \"\""]
    );
}

#[test]
fn of_several_forms_the_one_that_was_meant_is_spoken_of() {
    assert_eq!(
        told(&json!({ "limit": 1, "action": { "type": "reject" } })),
        ["`action` needs the key `text`"]
    );
    assert_eq!(
        told(&json!({ "limit": 1, "action": { "type": "reject", "text": 1 } })),
        ["`action.text` must be a string in quotes, not 1"]
    );
    assert_eq!(
        told(&json!({ "limit": 1, "action": 7 })),
        ["`action` must be of a form that the plugin knows (a table), not 7"]
    );
}

#[test]
fn a_hostile_schema_ends() {
    let circular = ConfigSchema::new(json!({ "$ref": "#" }));
    assert_eq!(circular.misfits(&json!({ "a": 1 })), []);
    // Two branches at each of 64 levels.
    let branching = json!({ "anyOf": [{ "$ref": "#" }, { "$ref": "#" }], "type": "object" });
    let _ = ConfigSchema::new(branching).misfits(&json!({}));
    let deep = ConfigSchema::new(json!({ "properties": { "a": { "$ref": "#/nowhere" } } }));
    assert_eq!(deep.misfits(&json!({ "a": { "a": [1, null] } })), []);
}

#[test]
fn keywords_that_are_not_known_count_as_fulfilled() {
    let schema = ConfigSchema::new(json!({
        "patternProperties": { "^a": {} }, "additionalProperties": false,
        "if": { "required": ["x"] }, "then": false,
    }));
    assert_eq!(schema.misfits(&json!({ "a": 1 })), []);
}
