//! One table of the file while it is read.
//!
//! Opening a section reports every key that does not belong there. Each getter reports what is
//! wrong with its value and then returns nothing, so that reading goes on; whoever gets nothing
//! must not report again.

use std::{
    fmt::Display,
    net::SocketAddr,
    ops::{Range, RangeInclusive},
};

use portcullis_policy::schema::nearest;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    claims::{Claims, Listeners},
    problem::{Finding, Sink},
    shape::{PARTNERS, ROOT, Shape, suggestion},
};

/// A value of the file with its place.
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
}

/// A table whose keys have been checked.
pub(super) struct Section<'s> {
    shape: &'static Shape,
    table: Option<&'s DeTable<'s>>,
    span: Range<usize>,
    sink: &'s Sink<'s>,
}

impl<'s> Section<'s> {
    pub(super) fn open(
        shape: &'static Shape,
        table: &'s DeTable<'s>,
        span: Range<usize>,
        sink: &'s Sink<'s>,
    ) -> Self {
        for key in table.keys() {
            let name = key.get_ref().as_ref();
            if !shape.keys.contains(&name) {
                let top = [&ROOT, &PARTNERS]
                    .iter()
                    .any(|top| std::ptr::eq(shape, *top));
                let place = if top { "at" } else { "in" };
                let message = format!("unknown key `{name}` {place} {}", shape.header);
                sink.report(Finding::error(key.span(), message).help(suggestion(shape, name)));
            }
        }
        Self {
            shape,
            table: Some(table),
            span,
            sink,
        }
    }

    /// A section that the file leaves out: every key has its default.
    fn absent(shape: &'static Shape, span: Range<usize>, sink: &'s Sink<'s>) -> Self {
        Self {
            shape,
            table: None,
            span,
            sink,
        }
    }

    /// Where the section begins.
    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// How messages call the section.
    pub(super) fn header(&self) -> &'static str {
        self.shape.header
    }

    pub(super) fn report(&self, finding: Finding) {
        self.sink.report(finding);
    }

    /// Takes `named` for `holder`, or reports who has it already.
    pub(super) fn claim<K: Ord + Clone + Display>(
        &self,
        claims: &mut Claims<K>,
        named: &At<K>,
        holder: &str,
    ) {
        claims.claim(self.sink, &named.value, named.span.clone(), holder);
    }

    /// Adds a listening address, or reports which other one overlaps it.
    pub(super) fn add_listener(&self, all: &mut Listeners, address: &At<SocketAddr>) {
        all.add(
            self.sink,
            address.value,
            address.span.clone(),
            self.header(),
        );
    }

    /// Whether the file names the key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// Where the value of `key` stands, or the section if the file leaves it out.
    pub(super) fn place(&self, key: &str) -> Range<usize> {
        self.value(key).map_or_else(|| self.span(), Spanned::span)
    }

    pub(super) fn value(&self, key: &str) -> Option<&'s Spanned<DeValue<'s>>> {
        debug_assert!(self.shape.keys.contains(&key), "{key} is not in the shape");
        self.table?.get(key)
    }

    /// Reports that a key is needed, with an example of how to write it.
    pub(super) fn missing(&self, key: &str, example: &str) {
        let message = format!("{} needs `{key}`", self.shape.header);
        self.report(Finding::error(self.span(), message).help(format!("for example: {example}")));
    }

    pub(super) fn string(&self, key: &str) -> Option<At<&'s str>> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::String(text) => Some(At {
                value: text.as_ref(),
                span: value.span(),
            }),
            other => {
                self.wrong_type(key, value.span(), "a string in quotes", other);
                None
            }
        }
    }

    pub(super) fn strings(&self, key: &str) -> Option<Vec<At<&'s str>>> {
        let value = self.value(key)?;
        let DeValue::Array(items) = value.get_ref() else {
            let expected = "a list of strings, as in [\"…\"]";
            self.wrong_type(key, value.span(), expected, value.get_ref());
            return None;
        };
        let mut strings = Vec::new();
        for item in items.iter() {
            match item.get_ref() {
                DeValue::String(text) => strings.push(At {
                    value: text.as_ref(),
                    span: item.span(),
                }),
                other => self.wrong_type(key, item.span(), "a list of strings", other),
            }
        }
        (strings.len() == items.len()).then_some(strings)
    }

    pub(super) fn flag(&self, key: &str, default: bool) -> bool {
        let Some(value) = self.value(key) else {
            return default;
        };
        match value.get_ref() {
            DeValue::Boolean(flag) => *flag,
            other => {
                self.wrong_type(key, value.span(), "true or false", other);
                default
            }
        }
    }

    /// A whole number within `bounds`.
    pub(super) fn number(&self, key: &str, default: u64, bounds: RangeInclusive<u64>) -> u64 {
        let Some(value) = self.value(key) else {
            return default;
        };
        let DeValue::Integer(digits) = value.get_ref() else {
            self.wrong_type(key, value.span(), "a whole number", value.get_ref());
            return default;
        };
        match u64::from_str_radix(digits.as_str(), digits.radix()) {
            Ok(number) if bounds.contains(&number) => number,
            _ => {
                let (low, high) = bounds.into_inner();
                let message = format!(
                    "`{key}` in {} must be from {low} to {high}, not {digits}",
                    self.shape.header
                );
                self.report(Finding::error(value.span(), message));
                default
            }
        }
    }

    /// A point in time with its zone.
    pub(super) fn time(&self, key: &str) -> Option<OffsetDateTime> {
        let value = self.value(key)?;
        let example = "a date with time and zone without quotes, as in 2027-01-01T00:00:00Z";
        let DeValue::Datetime(written) = value.get_ref() else {
            self.wrong_type(key, value.span(), example, value.get_ref());
            return None;
        };
        let time = OffsetDateTime::parse(&written.to_string(), &Rfc3339).ok();
        if time.is_none() {
            let message = format!(
                "`{key}` in {} must be {example}, not {written}",
                self.shape.header
            );
            self.report(Finding::error(value.span(), message));
        }
        time
    }

    /// A string that `parse` understands.
    pub(super) fn parsed<T, E: Display>(
        &self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.string(key)?;
        self.understood(key, &text, parse)
    }

    /// A list of strings that `parse` understands, each with its place.
    pub(super) fn parsed_list<T, E: Display>(
        &self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Vec<At<T>>> {
        let texts = self.strings(key)?;
        let count = texts.len();
        let parsed: Vec<_> = texts
            .into_iter()
            .filter_map(|text| {
                let value = self.understood(key, &text, &parse)?;
                Some(At {
                    value,
                    span: text.span,
                })
            })
            .collect();
        (parsed.len() == count).then_some(parsed)
    }

    /// One of a few words; the first is the default.
    pub(super) fn choice<T: Copy + Default>(&self, key: &str, words: &[(&str, T)]) -> T {
        let Some(text) = self.string(key) else {
            return T::default();
        };
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text.value) {
            return *value;
        }
        let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        let help = match nearest(text.value, &known) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("one of \"{}\"", known.join("\", \"")),
        };
        let message = format!(
            "`{key}` in {} cannot be \"{}\"",
            self.shape.header, text.value
        );
        self.report(Finding::error(text.span, message).help(help));
        T::default()
    }

    /// The table at `key`; if the file leaves it out, an empty one.
    pub(super) fn section(&self, key: &str, shape: &'static Shape) -> Section<'s> {
        self.table_at(key, shape)
            .unwrap_or_else(|| Self::absent(shape, self.span(), self.sink))
    }

    /// The table at `key`, which the file must have.
    pub(super) fn needed_section(&self, key: &str, shape: &'static Shape) -> Option<Section<'s>> {
        if !self.has(key) {
            let message = format!("there is no {}", shape.header);
            let help = "docs/configuration.md begins with the smallest file that loads";
            self.report(Finding::of_the_whole_file(message).help(help));
        }
        self.table_at(key, shape)
    }

    /// The table at `key`, if the file has it.
    pub(super) fn table_at(&self, key: &str, shape: &'static Shape) -> Option<Section<'s>> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::Table(table) => Some(Section::open(shape, table, value.span(), self.sink)),
            other => {
                self.wrong_type(key, value.span(), "a table", other);
                None
            }
        }
    }

    /// The tables at `key`, each written with double brackets.
    pub(super) fn sections(&self, key: &str, shape: &'static Shape) -> Vec<Section<'s>> {
        let Some(value) = self.value(key) else {
            return Vec::new();
        };
        let DeValue::Array(items) = value.get_ref() else {
            let message = format!("`{key}` is a list of tables");
            let help = format!("each begins with {}", shape.header);
            self.report(Finding::error(value.span(), message).help(help));
            return Vec::new();
        };
        let mut sections = Vec::new();
        for item in items.iter() {
            match item.get_ref() {
                DeValue::Table(table) => {
                    sections.push(Section::open(shape, table, item.span(), self.sink));
                }
                other => self.wrong_type(key, item.span(), "a list of tables", other),
            }
        }
        sections
    }

    fn understood<T, E: Display>(
        &self,
        key: &str,
        text: &At<&str>,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        parse(text.value)
            .map_err(|error| {
                let message = format!(
                    "`{key}` in {}: \"{}\" {error}",
                    self.shape.header, text.value
                );
                self.report(Finding::error(text.span.clone(), message));
            })
            .ok()
    }

    fn wrong_type(&self, key: &str, span: Range<usize>, expected: &str, found: &DeValue<'_>) {
        let message = format!(
            "`{key}` in {} must be {expected}, not {}",
            self.shape.header,
            kind(found)
        );
        self.report(Finding::error(span, message));
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
