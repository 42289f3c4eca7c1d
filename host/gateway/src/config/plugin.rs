//! `[[plugin]]`.

use std::{
    collections::BTreeMap,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

use portcullis_policy::files::MAX_FILES;
use serde_json::{Map, Number, Value};
use toml::de::{DeTable, DeValue};

use super::{
    claims::Claims,
    model::{Mode, OnFailure, Plugin},
    problem::Finding,
    section::{At, Section},
    values,
};

/// Budgets are measured in milliseconds; above a second, one stanza could hold its stream for long.
const BUDGET: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(1);
/// Below, Rust's runtime does not fit; above, a few plugins fill a machine.
const MEMORY: RangeInclusive<u64> = (1 << 20)..=(1 << 30);
/// CPU time for one call where the file says nothing: a hundred times what the default set needs.
const DEFAULT_BUDGET: Duration = Duration::from_millis(10);
/// Linear memory where the file says nothing.
const DEFAULT_MEMORY: u64 = 16 << 20;
/// Below, Rust's std does not fit; above is no interpreter that anybody ships.
const COMPONENT_SIZE: RangeInclusive<u64> = (64 << 10)..=(64 << 20);
/// The largest component where the file says nothing: eight times what std, serde and a regex engine need.
const DEFAULT_COMPONENT_SIZE: u64 = 8 << 20;
/// All of it is in memory.
const STATE_BYTES: RangeInclusive<u64> = (1 << 10)..=(256 << 20);
/// A plugin's share of state where the file says nothing.
const DEFAULT_STATE_BYTES: u64 = 16 << 20;
/// A key costs about 200 bytes beside its own length and its value's.
const STATE_KEYS: RangeInclusive<u64> = 1..=1_000_000;
/// Keys where the file says nothing.
const DEFAULT_STATE_KEYS: u64 = 100_000;
/// None at all is for a plugin whose log nobody wants.
const LOG_LINES: RangeInclusive<u64> = 0..=10_000;
/// Lines in a second where the file says nothing.
const DEFAULT_LOG_LINES: u64 = 100;
/// None at all is for a plugin that may judge but not change.
const EDITS: RangeInclusive<u64> = 0..=4096;
/// Edits in one call where the file says nothing.
const DEFAULT_EDITS: u64 = 256;
/// Names stand in logs, metrics and audit records.
const NAME_BYTES: usize = 64;

/// What `[gateway]` says to every plugin.
pub(super) struct Shared<'g> {
    /// Where relative paths of components start.
    pub(super) plugins_dir: &'g Path,
    /// Where relative paths of `[plugin.files]` start.
    pub(super) base: &'g Path,
    /// Whose signatures are taken.
    pub(super) keys: &'g [PathBuf],
}

pub(super) fn read(
    section: &Section<'_>,
    shared: &Shared<'_>,
    names: &mut Claims<String>,
) -> Option<Plugin> {
    for (key, example) in [
        ("name", "name = \"allowlist\""),
        ("component", "component = \"partner_allowlist.wasm\""),
    ] {
        if !section.has(key) {
            section.missing(key, example);
        }
    }
    let name = section.parsed("name", name);
    if let Some(name) = &name {
        let named = At {
            value: name.clone(),
            span: section.place("name"),
        };
        section.claim(names, &named, "the chain");
    }
    let component = section.parsed("component", |text| values::path(text, shared.plugins_dir));
    let on_failure = section.choice(
        "on_failure",
        &[("closed", OnFailure::Closed), ("open", OnFailure::Open)],
    );
    let mode = section.choice(
        "mode",
        &[("active", Mode::Active), ("shadow", Mode::Shadow)],
    );
    let budget = section.parsed("budget", |text| {
        let budget = values::duration(text)?;
        let fits = BUDGET.contains(&budget);
        fits.then_some(budget)
            .ok_or_else(|| String::from("is not from 1ms to 1s"))
    });
    let memory = size(section, "memory", MEMORY, "is not from 1MiB to 1GiB");
    let component_size = size(
        section,
        "component_size",
        COMPONENT_SIZE,
        "is not from 64KiB to 64MiB",
    );
    let state_bytes = size(
        section,
        "state_bytes",
        STATE_BYTES,
        "is not from 1KiB to 256MiB",
    );
    let state_keys = section.number("state_keys", DEFAULT_STATE_KEYS, STATE_KEYS);
    let log_lines = section.number("log_lines", DEFAULT_LOG_LINES, LOG_LINES);
    let edits = section.number("edits", DEFAULT_EDITS, EDITS);
    let grants = section.strings("grants").unwrap_or_default();
    for grant in &grants {
        let message = format!(
            "`grants` in [[plugin]]: \"{}\" cannot be granted",
            grant.value
        );
        let help = "this version has nothing to grant: no plugin reaches a network, HTTP or a directory; \
                    files are given by name in [plugin.files]";
        section.report(Finding::error(grant.span.clone(), message).help(help));
    }
    let config = config(section);
    let files = files(section, shared.base);
    let sha256 = section.parsed("sha256", values::sha256);
    let signature = section.parsed("signature", |text| values::path(text, shared.plugins_dir));
    if signature.is_some() && shared.keys.is_empty() {
        let message = "`signature` in [[plugin]] is compared with no key";
        let help = "name the public keys that you trust in `plugin_keys` of [gateway]";
        section.report(Finding::error(section.place("signature"), message).help(help));
    }
    Some(Plugin {
        name: name?,
        component: component?,
        on_failure,
        mode,
        budget: budget.unwrap_or(DEFAULT_BUDGET),
        memory: usize::try_from(memory.unwrap_or(DEFAULT_MEMORY)).ok()?,
        grants: grants.iter().map(|grant| grant.value.to_owned()).collect(),
        config,
        component_size: usize::try_from(component_size.unwrap_or(DEFAULT_COMPONENT_SIZE)).ok()?,
        state_bytes: usize::try_from(state_bytes.unwrap_or(DEFAULT_STATE_BYTES)).ok()?,
        state_keys: usize::try_from(state_keys).ok()?,
        log_lines: u32::try_from(log_lines).ok()?,
        edits: u32::try_from(edits).ok()?,
        files: files?,
        sha256,
        signature,
    })
}

/// A number of bytes with its unit, within `bounds`.
fn size(
    section: &Section<'_>,
    key: &str,
    bounds: RangeInclusive<u64>,
    outside: &str,
) -> Option<u64> {
    section.parsed(key, |text| {
        let bytes = values::bytes(text)?;
        let fits = bounds.contains(&bytes);
        fits.then_some(bytes).ok_or_else(|| String::from(outside))
    })
}

fn name(text: &str) -> Result<String, String> {
    let legal = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_'
    };
    if text.is_empty() || text.len() > NAME_BYTES || !text.bytes().all(legal) {
        return Err(format!(
            "is not a name of 1 to {NAME_BYTES} of a-z, 0-9, - and _"
        ));
    }
    Ok(text.to_owned())
}

/// `[plugin.files]`: names of the plugin's own, and paths that begin at the configuration file. Whether the
/// files are there is seen when a generation is built.
fn files(section: &Section<'_>, base: &Path) -> Option<BTreeMap<String, PathBuf>> {
    let Some(value) = section.value("files") else {
        return Some(BTreeMap::new());
    };
    let wrong = |span, message: String| {
        let help =
            "write it as [plugin.files] below its [[plugin]], as in blocked = \"blocked.txt\"";
        section.report(Finding::error(span, message).help(help));
    };
    let DeValue::Table(table) = value.get_ref() else {
        let message = "`files` in [[plugin]] must be a table";
        wrong(value.span(), message.to_owned());
        return None;
    };
    if table.len() > MAX_FILES {
        let message = format!("[plugin.files] names more than {MAX_FILES} files");
        wrong(value.span(), message);
    }
    let mut files = BTreeMap::new();
    for (key, path) in table.iter() {
        let file = key.get_ref().as_ref();
        if let Err(reason) = name(file) {
            wrong(key.span(), format!("[plugin.files]: \"{file}\" {reason}"));
            continue;
        }
        let DeValue::String(text) = path.get_ref() else {
            let message = format!("`{file}` in [plugin.files] must be a path in quotes");
            wrong(path.span(), message);
            continue;
        };
        match values::path(text, base) {
            Ok(path) => drop(files.insert(file.to_owned(), path)),
            Err(reason) => wrong(path.span(), format!("`{file}` in [plugin.files] {reason}")),
        }
    }
    Some(files)
}

/// The plugin's own table as JSON; an empty object if the file leaves it out.
fn config(section: &Section<'_>) -> Value {
    let Some(value) = section.value("config") else {
        return Value::Object(Map::new());
    };
    let DeValue::Table(table) = value.get_ref() else {
        let message = "`config` in [[plugin]] must be a table";
        let finding = Finding::error(value.span(), message);
        section.report(finding.help("write it as [plugin.config] below its [[plugin]]"));
        return Value::Null;
    };
    object(section, table)
}

fn object(section: &Section<'_>, table: &DeTable<'_>) -> Value {
    let member = |(key, value): (&toml::Spanned<_>, &toml::Spanned<DeValue<'_>>)| {
        let key: &std::borrow::Cow<'_, str> = key.get_ref();
        (key.to_string(), json(section, value))
    };
    Value::Object(table.iter().map(member).collect())
}

/// TOML as JSON. Dates become strings; what JSON has no number for is reported.
fn json(section: &Section<'_>, value: &toml::Spanned<DeValue<'_>>) -> Value {
    match value.get_ref() {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Datetime(when) => Value::String(when.to_string()),
        DeValue::Array(items) => items.iter().map(|item| json(section, item)).collect(),
        DeValue::Table(table) => object(section, table),
        DeValue::Integer(digits) => match i64::from_str_radix(digits.as_str(), digits.radix()) {
            Ok(number) => number.into(),
            Err(_) => no_number(section, value),
        },
        DeValue::Float(digits) => {
            let number = digits.as_str().parse().ok().and_then(Number::from_f64);
            number.map_or_else(|| no_number(section, value), Value::Number)
        }
    }
}

fn no_number(section: &Section<'_>, value: &toml::Spanned<DeValue<'_>>) -> Value {
    let message = "a plugin's config can hold only finite numbers of 64 bits";
    section.report(Finding::error(value.span(), message));
    Value::Null
}
