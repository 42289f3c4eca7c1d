//! One value against one schema.

use serde_json::{Map, Value};

use super::{Misfit, Step, forms, words};

/// How deep schemas are followed; references may be circular.
const DEPTH: usize = 64;
/// How many schemas are looked at for one configuration; alternatives may branch at every level.
const WORK: usize = 100_000;
/// More misfits are not told.
const MOST: usize = 100;

/// Where `config` does not fit `root`.
pub(super) fn misfits(root: &Value, config: &Value) -> Vec<Misfit> {
    let mut look = Look { root, work: WORK };
    let mut found = look.at(root, config, &mut Vec::new(), DEPTH);
    found.truncate(MOST);
    found
}

/// One comparison, with what is left of its share.
pub(super) struct Look<'s> {
    root: &'s Value,
    work: usize,
}

impl<'s> Look<'s> {
    /// The misfits of `value`, which stands at `path`. None if the share is used up.
    pub(super) fn at(
        &mut self,
        schema: &'s Value,
        value: &Value,
        path: &mut Vec<Step>,
        depth: usize,
    ) -> Vec<Misfit> {
        let (Some(work), Some(depth)) = (self.work.checked_sub(1), depth.checked_sub(1)) else {
            return Vec::new();
        };
        self.work = work;
        let schema = match schema {
            Value::Object(schema) => schema,
            Value::Bool(false) => return vec![words::must(path, "left out", value)],
            _ => return Vec::new(),
        };
        if let Some(wanted) = types(schema)
            && !wanted.iter().any(|name| is_a(name, value))
        {
            let names: Vec<_> = wanted
                .iter()
                .filter(|name| **name != "null")
                .map(|name| words::type_name(name))
                .collect();
            return vec![words::must(path, &names.join(" or "), value)];
        }
        let mut found = Vec::new();
        if let Some(target) = schema.get("$ref").and_then(|name| self.target(name)) {
            found.extend(self.at(target, value, path, depth));
        }
        for part in list(schema, "allOf") {
            found.extend(self.at(part, value, path, depth));
        }
        for key in ["oneOf", "anyOf"] {
            if let Some(all) = schema.get(key).and_then(Value::as_array) {
                found.extend(forms::fit(self, all, value, path, depth));
            }
        }
        let listed = list(schema, "enum").chain(schema.get("const"));
        let listed: Vec<_> = listed.collect();
        if !listed.is_empty() && !listed.contains(&value) {
            found.push(words::none_of(path, &listed, value));
        }
        match value {
            Value::Object(table) => self.table(schema, table, path, depth, &mut found),
            Value::Array(items) => self.items(schema, value, items, path, depth, &mut found),
            Value::Number(_) => found.extend(range(schema, value, path)),
            Value::String(text) => {
                let length = text.chars().count();
                let bounds = ["minLength", "maxLength"];
                found.extend(size(schema, bounds, length, "characters", value, path));
            }
            Value::Null | Value::Bool(_) => {}
        }
        found
    }

    fn table(
        &mut self,
        schema: &'s Map<String, Value>,
        table: &Map<String, Value>,
        path: &mut Vec<Step>,
        depth: usize,
        found: &mut Vec<Misfit>,
    ) {
        let properties = schema.get("properties").and_then(Value::as_object);
        let property = |key: &str| properties.and_then(|all| all.get(key));
        for key in list(schema, "required").filter_map(Value::as_str) {
            if !table.contains_key(key) {
                let about = property(key).and_then(|schema| schema.get("description"));
                found.push(words::missing(path, key, about.and_then(Value::as_str)));
            }
        }
        let patterns = schema.contains_key("patternProperties");
        let others = schema.get("additionalProperties").filter(|_| !patterns);
        for (key, value) in table {
            let inside = match (property(key), others) {
                (Some(schema), _) => schema,
                (None, Some(Value::Bool(false))) => {
                    let known = properties.into_iter().flat_map(Map::keys);
                    let known: Vec<_> = known.map(String::as_str).collect();
                    found.push(words::unknown(path, key, &known));
                    continue;
                }
                (None, Some(schema)) => schema,
                (None, None) => continue,
            };
            path.push(Step::Key(key.clone()));
            found.extend(self.at(inside, value, path, depth));
            path.pop();
        }
    }

    fn items(
        &mut self,
        schema: &'s Map<String, Value>,
        value: &Value,
        items: &[Value],
        path: &mut Vec<Step>,
        depth: usize,
        found: &mut Vec<Misfit>,
    ) {
        let bounds = ["minItems", "maxItems"];
        found.extend(size(schema, bounds, items.len(), "items", value, path));
        let first: Vec<_> = list(schema, "prefixItems").collect();
        for (index, item) in items.iter().enumerate() {
            let Some(inside) = first.get(index).copied().or_else(|| schema.get("items")) else {
                continue;
            };
            path.push(Step::Index(index));
            found.extend(self.at(inside, item, path, depth));
            path.pop();
        }
    }

    /// What a reference within the schema means.
    fn target(&self, name: &Value) -> Option<&'s Value> {
        self.root.pointer(name.as_str()?.strip_prefix('#')?)
    }

    /// A schema behind its references, as far as it is an object.
    pub(super) fn resolved<'a>(&self, schema: &'a Value) -> Option<&'a Map<String, Value>>
    where
        's: 'a,
    {
        let mut schema = schema;
        for _ in 0..DEPTH {
            match schema.get("$ref") {
                Some(name) => schema = self.target(name)?,
                None => return schema.as_object(),
            }
        }
        None
    }
}

/// The types that a schema allows; none if it does not say.
pub(super) fn types(schema: &Map<String, Value>) -> Option<Vec<&str>> {
    match schema.get("type")? {
        Value::String(name) => Some(vec![name]),
        Value::Array(names) => Some(names.iter().filter_map(Value::as_str).collect()),
        _ => None,
    }
}

/// Whether the value is of this type; a type that is not known is any.
pub(super) fn is_a(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        // 1.0 is an integer by the letter of the draft (§6.1.1 of its validation part).
        "integer" => match value.as_f64() {
            Some(number) => number.fract() == 0.0,
            None => false,
        },
        "null" => value.is_null(),
        _ => true,
    }
}

fn list<'s>(schema: &'s Map<String, Value>, key: &str) -> impl Iterator<Item = &'s Value> {
    let list = schema.get(key).and_then(Value::as_array);
    list.into_iter().flatten()
}

fn range(schema: &Map<String, Value>, value: &Value, path: &[Step]) -> Option<Misfit> {
    let number = value.as_f64()?;
    let bound = |key| schema.get(key).and_then(Value::as_f64);
    let said = |key| schema.get(key).map(Value::to_string).unwrap_or_default();
    let wanted = if bound("minimum").is_some_and(|least| number < least) {
        format!("at least {}", said("minimum"))
    } else if bound("maximum").is_some_and(|most| number > most) {
        format!("at most {}", said("maximum"))
    } else if bound("exclusiveMinimum").is_some_and(|low| number <= low) {
        format!("more than {}", said("exclusiveMinimum"))
    } else if bound("exclusiveMaximum").is_some_and(|high| number >= high) {
        format!("less than {}", said("exclusiveMaximum"))
    } else {
        return None;
    };
    Some(words::must(path, &wanted, value))
}

fn size(
    schema: &Map<String, Value>,
    [least, most]: [&str; 2],
    size: usize,
    what: &str,
    value: &Value,
    path: &[Step],
) -> Option<Misfit> {
    let bound = |key| schema.get(key).and_then(Value::as_u64);
    let size = u64::try_from(size).unwrap_or(u64::MAX);
    let wanted = match (bound(least), bound(most)) {
        (Some(least), _) if size < least => format!("at least {least} {what} long"),
        (_, Some(most)) if size > most => format!("at most {most} {what} long"),
        _ => return None,
    };
    Some(words::must(path, &wanted, value))
}
