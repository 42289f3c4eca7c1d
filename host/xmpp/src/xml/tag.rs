//! One start tag: its name, its declarations, its attributes.
//!
//! In: the text between `<` and `>`, and the declarations around it. Out: an empty element, with its own
//! declarations in the scope. Everything that Namespaces in XML 1.0 asks of names is checked here, and so
//! are the limits.

use std::borrow::Cow;
use std::sync::Arc;

use super::{
    chars::{is_ncname, is_space},
    element::{Attribute, Element, Name},
    parse::{Bounds, Parsed, XmlError},
    scope::{Scope, declare},
    text::unescape,
    words,
};

/// Reads the tags that belong together.
#[derive(Default)]
pub(super) struct Tags<'t> {
    elements: usize,
    namespaces: usize,
    redeclared: usize,
    /// The attributes of one tag, as they are written; kept for the next one.
    written: Vec<(&'t str, &'t str)>,
}

impl<'t> Tags<'t> {
    /// How many bytes of namespaces the serializer will declare for what was read.
    pub(super) fn redeclared(&self) -> usize {
        self.redeclared
    }

    /// A start tag: declarations first, then the names that need them.
    pub(super) fn start(
        &mut self,
        tag: &'t str,
        parent: Option<&Element>,
        scope: &mut Scope,
        bounds: &Bounds,
    ) -> Result<Parsed, XmlError> {
        self.elements += 1;
        if self.elements > bounds.elements {
            return Err(XmlError::Limit("elements"));
        }
        let (name, rest) = tag.split_at(tag.bytes().position(is_space).unwrap_or(tag.len()));
        let mut written = std::mem::take(&mut self.written);
        written.clear();
        split_attributes(rest, bounds.attributes, &mut written)?;
        let declared = self.declarations(&written, scope, bounds)?;

        let (prefix, local) = qname(name)?;
        let ns = match prefix {
            // Could not be written as a default namespace, and nobody needs it.
            Some("xml") => {
                return Err(XmlError::NotWellFormed("an element with the prefix `xml`"));
            }
            Some(prefix) => scope.lookup(prefix),
            None => scope.lookup(""),
        };
        let ns = ns.ok_or(XmlError::NotWellFormed("an undeclared prefix"))?;
        if parent.is_none_or(|parent| parent.name.ns != *ns) {
            self.redeclared += ns.len();
        }
        let mut element = Element {
            name: Name {
                ns: Arc::clone(ns),
                local,
            },
            attributes: Vec::with_capacity(written.len() - declared),
            nodes: Vec::new(),
        };
        for (name, value) in &written {
            if declaration(name).is_none() {
                let attribute = self.attribute(name, value, scope, &element)?;
                element.attributes.push(attribute);
            }
        }
        self.written = written;
        Ok(Parsed {
            element,
            prefixed: prefix.is_some(),
            redeclared: self.redeclared,
        })
    }

    /// Puts what a tag declares into the scope; says how many of its attributes do that.
    fn declarations(
        &mut self,
        written: &[(&str, &str)],
        scope: &mut Scope,
        bounds: &Bounds,
    ) -> Result<usize, XmlError> {
        let mut declared = 0;
        for (index, (name, value)) in written.iter().enumerate() {
            let mut earlier = written.iter().take(index);
            if earlier.any(|(earlier, _)| earlier == name) {
                return Err(XmlError::NotWellFormed("an attribute twice"));
            }
            let Some(prefix) = declaration(name) else {
                continue;
            };
            declared += 1;
            if declared > bounds.namespaces || self.namespaces + declared > bounds.all_namespaces {
                return Err(XmlError::Limit("namespace declarations"));
            }
            declare(prefix, &unescape(value)?, scope)?;
        }
        self.namespaces += declared;
        Ok(declared)
    }

    fn attribute(
        &mut self,
        name: &str,
        value: &str,
        scope: &Scope,
        element: &Element,
    ) -> Result<Attribute, XmlError> {
        let (prefix, local) = qname(name)?;
        let ns = match prefix {
            Some(prefix) => scope
                .lookup(prefix)
                .ok_or(XmlError::NotWellFormed("an undeclared prefix"))?,
            None => scope.none(),
        };
        let name = Name {
            ns: Arc::clone(ns),
            local,
        };
        if prefix.is_some() {
            self.redeclared += ns.len();
            if element.attributes.iter().any(|known| known.name == name) {
                return Err(XmlError::NotWellFormed("an attribute twice"));
            }
        }
        Ok(Attribute {
            name,
            value: unescape(value)?.into_owned(),
        })
    }
}

/// Splits ` name='value' name='value'` into names and values as they are written, `most` at most.
pub(crate) fn split_attributes<'t>(
    mut rest: &'t str,
    most: usize,
    attributes: &mut Vec<(&'t str, &'t str)>,
) -> Result<(), XmlError> {
    const MALFORMED: XmlError = XmlError::NotWellFormed("a malformed tag");
    loop {
        let next = trim_start(rest);
        if next.is_empty() {
            return Ok(());
        }
        if next.len() == rest.len() {
            return Err(XmlError::NotWellFormed("no space between attributes"));
        }
        if attributes.len() >= most {
            return Err(XmlError::Limit("attributes"));
        }
        let (name, after) = split_at_byte(next, b'=').ok_or(MALFORMED)?;
        let after = trim_start(after);
        let quote = *after.as_bytes().first().ok_or(MALFORMED)?;
        if !matches!(quote, b'"' | b'\'') {
            return Err(MALFORMED);
        }
        let value = after.get(1..).ok_or(MALFORMED)?;
        let (value, after) = split_at_byte(value, quote).ok_or(MALFORMED)?;
        attributes.push((trim_end(name), value));
        rest = after;
    }
}

/// What stands before and behind the first such byte, an ASCII one. Names and values are short: looking
/// at each byte is quicker than preparing to look at many.
fn split_at_byte(text: &str, byte: u8) -> Option<(&str, &str)> {
    let at = text.bytes().position(|b| b == byte)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// Without `S` of XML 1.0 §2.3 at its beginning.
pub(crate) fn trim_start(text: &str) -> &str {
    let spaces = text.bytes().take_while(|&b| is_space(b)).count();
    text.get(spaces..).unwrap_or_default()
}

/// Without `S` of XML 1.0 §2.3 at its end.
pub(crate) fn trim_end(text: &str) -> &str {
    let spaces = text.bytes().rev().take_while(|&b| is_space(b)).count();
    text.get(..text.len() - spaces).unwrap_or_default()
}

/// What an attribute of this name declares, if it declares anything: a prefix, or (inside, none) the
/// default namespace.
fn declaration(name: &str) -> Option<Option<&str>> {
    match name.strip_prefix("xmlns")? {
        "" => Some(None),
        rest => rest.strip_prefix(':').map(Some),
    }
}

/// Splits a qualified name into its prefix and its local name, which is kept.
fn qname(name: &str) -> Result<(Option<&str>, Cow<'static, str>), XmlError> {
    if let Some(word) = words::common(name) {
        return Ok((None, Cow::Borrowed(word)));
    }
    let (prefix, local) = match split_at_byte(name, b':') {
        Some((prefix, local)) => (Some(prefix), local),
        None => (None, name),
    };
    if prefix.is_none_or(is_ncname) && is_ncname(local) {
        Ok((prefix, words::local(local)))
    } else {
        Err(XmlError::NotWellFormed("a malformed name"))
    }
}
