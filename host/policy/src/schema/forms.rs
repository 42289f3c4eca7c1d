//! A value that may have several forms: optional ones, enums, tables that a key tells apart.

use serde_json::Value;

use super::fit::{Look, is_a, types};
use super::{Misfit, Step, words};

/// What one form says of a value.
struct Tried<'s> {
    form: &'s Value,
    misfits: Vec<Misfit>,
}

/// The misfits of the form that was meant; none if any form fits. A value that fits two forms of
/// `oneOf` is taken, as serde takes it.
pub(super) fn fit<'s>(
    look: &mut Look<'s>,
    forms: &'s [Value],
    value: &Value,
    path: &mut Vec<Step>,
    depth: usize,
) -> Vec<Misfit> {
    let mut tried = Vec::new();
    for form in forms {
        let misfits = look.at(form, value, path, depth);
        if misfits.is_empty() {
            return misfits;
        }
        tried.push(Tried { form, misfits });
    }
    // TOML cannot write null: that form only says that the key may be left out.
    tried.retain(|tried| tried.form.get("type") != Some(&Value::from("null")));
    let lists: Vec<_> = tried.iter().map(|it| listed(look, it.form)).collect();
    if lists.iter().all(|list| !list.is_empty()) {
        return vec![words::none_of(path, &lists.concat(), value)];
    }
    match meant(look, &tried, value, path.len()).as_slice() {
        [one] => one.misfits.clone(),
        _ => vec![words::must(path, &wanted(look, &tried), value)],
    }
}

/// The forms that the writer of the value may have had in mind.
fn meant<'t, 's>(
    look: &Look<'s>,
    tried: &'t [Tried<'s>],
    value: &Value,
    here: usize,
) -> Vec<&'t Tried<'s>> {
    let filtered = |meant: &dyn Fn(&Tried<'s>) -> bool| -> Vec<&'t Tried<'s>> {
        tried.iter().filter(|tried| meant(tried)).collect()
    };
    let named = filtered(&|tried| names(look, tried.form, value));
    if !named.is_empty() {
        return named;
    }
    let of_type = filtered(&|tried| {
        let of_type = look.resolved(tried.form).and_then(types);
        of_type.is_none_or(|names| names.iter().any(|name| is_a(name, value)))
    });
    match of_type.as_slice() {
        [] if tried.len() == 1 => tried.iter().collect(),
        [] | [_] => of_type,
        // Of several, those that lack nothing.
        _ => filtered(&|tried| tried.misfits.iter().all(|misfit| misfit.path.len() > here)),
    }
}

/// Whether the value has the key that tells this form from others (`type = "…"`), and says this one.
fn names(look: &Look<'_>, form: &Value, value: &Value) -> bool {
    let schema = look.resolved(form);
    let properties = schema.and_then(|schema| schema.get("properties")?.as_object());
    let mut constants = properties
        .into_iter()
        .flatten()
        .filter_map(|(key, schema)| {
            let constant = schema.get("const")?;
            Some(value.get(key) == Some(constant))
        });
    constants.any(|said| said)
}

/// The words that a form lists, if it is nothing but a list of words.
fn listed<'s>(look: &Look<'s>, form: &'s Value) -> Vec<&'s Value> {
    let Some(schema) = look.resolved(form) else {
        return Vec::new();
    };
    let words = schema.get("enum").and_then(Value::as_array);
    let words = words.into_iter().flatten().chain(schema.get("const"));
    words.collect()
}

/// The types of all forms, in words.
fn wanted(look: &Look<'_>, tried: &[Tried<'_>]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for form in tried {
        for name in look.resolved(form.form).and_then(types).unwrap_or_default() {
            let name = words::type_name(name);
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    match names.is_empty() {
        true => "of a form that the plugin knows".to_owned(),
        false => format!("of a form that the plugin knows ({})", names.join(" or ")),
    }
}
