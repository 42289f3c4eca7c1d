//! The strict parser of one complete element.
//!
//! quick-xml splits the text into tags, texts and references and matches the tags; everything else
//! that XML 1.0 and Namespaces in XML 1.0 ask for, and what RFC 6120 §11.1 forbids, is checked
//! here. The text is one element from its `<` to its `>`; anything before or after it is an error.

use std::sync::Arc;

use memchr::memchr;
use quick_xml::{Reader, events::Event};

use super::{
    chars::{are_chars, is_char, is_namespace, is_ncname, is_space},
    element::{Attribute, Element, Name, Node},
    words,
};
use crate::ns;

/// Why a text was refused. Its writer is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    /// Not well-formed, or not namespace-well-formed (RFC 6120 §11.3).
    #[error("not well-formed: {0}")]
    NotWellFormed(&'static str),
    /// What RFC 6120 §11.1 forbids.
    #[error("restricted XML: {0}")]
    Restricted(&'static str),
    /// Too many or too deep.
    #[error("beyond the limit: {0}")]
    Limit(&'static str),
}

/// How much one element may hold, beside its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Elements inside each other; the outermost is at depth 1.
    pub depth: usize,
    /// Elements in all.
    pub elements: usize,
    /// Attributes of one element, namespace declarations included.
    pub attributes: usize,
    /// Namespace declarations of one element.
    pub namespaces: usize,
    /// Namespace declarations in all.
    pub all_namespaces: usize,
}

/// The namespace declarations that are in force somewhere.
#[derive(Debug, Clone)]
pub struct Scope {
    /// Prefix (empty: the default namespace) and namespace; the last one of a prefix is in force.
    bindings: Vec<(Box<str>, Arc<str>)>,
    none: Arc<str>,
    xml: Arc<str>,
}

impl Scope {
    /// Nothing is declared.
    pub fn empty() -> Self {
        Self {
            bindings: Vec::new(),
            none: Arc::from(""),
            xml: Arc::from(ns::XML),
        }
    }

    /// Only a default namespace is declared.
    pub fn with_default(default: &str) -> Self {
        let mut scope = Self::empty();
        scope.bind("", default);
        scope
    }

    /// Whether some prefix stands for this namespace, or it is the default.
    pub fn declares(&self, ns: &str) -> bool {
        self.bindings.iter().any(|(_, bound)| &**bound == ns)
    }

    /// The default namespace; empty if there is none.
    pub fn default_namespace(&self) -> &str {
        self.lookup("").map_or("", |ns| &**ns)
    }

    fn bind(&mut self, prefix: &str, ns: &str) {
        // One namespace declared twice is one allocation.
        let ns = match self.bindings.iter().rev().find(|(_, bound)| &**bound == ns) {
            Some((_, bound)) => Arc::clone(bound),
            None => Arc::from(ns),
        };
        self.bindings.push((Box::from(prefix), ns));
    }

    fn lookup(&self, prefix: &str) -> Option<&Arc<str>> {
        match self
            .bindings
            .iter()
            .rev()
            .find(|(bound, _)| &**bound == prefix)
        {
            Some((_, ns)) => Some(ns),
            None if prefix.is_empty() => Some(&self.none),
            None if prefix == "xml" => Some(&self.xml),
            None => None,
        }
    }
}

/// An element and how it was written.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) element: Element,
    /// Whether the outermost name has a prefix.
    pub(crate) prefixed: bool,
    /// How many bytes of namespaces the serializer will declare, unescaped. One long namespace with a
    /// short prefix can be used thousands of times, and is declared as often.
    pub(crate) redeclared: usize,
}

/// Parses one complete element. The scope is as it was when this returns `Ok`.
pub(crate) fn parse_element(
    text: &str,
    scope: &mut Scope,
    bounds: &Bounds,
) -> Result<Parsed, XmlError> {
    if !are_chars(text) {
        return Err(XmlError::NotWellFormed(
            "a character that XML does not have",
        ));
    }
    let mut reader = Reader::from_str(text);
    let mut open: Vec<(Element, usize)> = Vec::new();
    let mut counts = Counts::default();
    let mut prefixed = false;
    loop {
        let event = reader
            .read_event()
            .map_err(|_| XmlError::NotWellFormed("tags do not match"))?;
        let closed = match event {
            Event::Start(tag) => {
                let mark = scope.bindings.len();
                let tag = start(&tag, open.last(), scope, bounds, &mut counts)?;
                prefixed |= open.is_empty() && tag.prefixed;
                if open.len() >= bounds.depth {
                    return Err(XmlError::Limit("depth"));
                }
                open.push((tag.element, mark));
                continue;
            }
            Event::Empty(tag) => {
                let mark = scope.bindings.len();
                let tag = start(&tag, open.last(), scope, bounds, &mut counts)?;
                prefixed |= open.is_empty() && tag.prefixed;
                if open.len() >= bounds.depth {
                    return Err(XmlError::Limit("depth"));
                }
                scope.bindings.truncate(mark);
                tag.element
            }
            Event::End(_) => {
                let Some((element, mark)) = open.pop() else {
                    return Err(XmlError::NotWellFormed("an end without a beginning"));
                };
                scope.bindings.truncate(mark);
                element
            }
            Event::Text(text) => {
                if memchr(b']', text.as_bytes()).is_some() && text.contains("]]>") {
                    return Err(XmlError::NotWellFormed("`]]>` in text"));
                }
                append(&mut open, &lines(&text))?;
                continue;
            }
            Event::CData(text) => {
                append(&mut open, &lines(&text))?;
                continue;
            }
            Event::GeneralRef(name) => {
                append(&mut open, resolve(&name)?.encode_utf8(&mut [0; 4]))?;
                continue;
            }
            Event::Comment(_) => return Err(XmlError::Restricted("a comment")),
            Event::PI(_) | Event::Decl(_) => {
                return Err(XmlError::Restricted("a processing instruction"));
            }
            Event::DocType(_) => return Err(XmlError::Restricted("a document type")),
            Event::Eof => return Err(XmlError::NotWellFormed("the element is not closed")),
        };
        match open.last_mut() {
            Some((parent, _)) => parent.nodes.push(Node::Element(closed)),
            // The outermost element is complete: nothing may follow.
            None if reader.buffer_position() == text.len() as u64 => {
                return Ok(Parsed {
                    element: closed,
                    prefixed,
                    redeclared: counts.redeclared,
                });
            }
            None => return Err(XmlError::NotWellFormed("something after the element")),
        }
    }
}

/// Parses a start tag alone, given without its `<` and `>`, and leaves its declarations in the scope.
/// Says whether the name had a prefix.
pub(crate) fn parse_tag(tag: &str, scope: &mut Scope, bounds: &Bounds) -> Result<Parsed, XmlError> {
    if !are_chars(tag) {
        return Err(XmlError::NotWellFormed(
            "a character that XML does not have",
        ));
    }
    start(tag, None, scope, bounds, &mut Counts::default())
}

#[derive(Default)]
struct Counts {
    elements: usize,
    namespaces: usize,
    redeclared: usize,
}

/// Text to the innermost open element; there must be one.
fn append(open: &mut [(Element, usize)], text: &str) -> Result<(), XmlError> {
    let Some((element, _)) = open.last_mut() else {
        return Err(XmlError::NotWellFormed("text outside of an element"));
    };
    match element.nodes.last_mut() {
        _ if text.is_empty() => {}
        Some(Node::Text(last)) => last.push_str(text),
        _ => element.nodes.push(Node::Text(text.to_owned())),
    }
    Ok(())
}

/// A start tag: declarations first, then the names that need them.
fn start(
    tag: &str,
    parent: Option<&(Element, usize)>,
    scope: &mut Scope,
    bounds: &Bounds,
    counts: &mut Counts,
) -> Result<Parsed, XmlError> {
    counts.elements += 1;
    if counts.elements > bounds.elements {
        return Err(XmlError::Limit("elements"));
    }
    let (name, rest) = tag.split_at(tag.bytes().position(is_space).unwrap_or(tag.len()));
    let written = split_attributes(rest, bounds.attributes)?;
    let mut declared = 0;
    for (index, (name, value)) in written.iter().enumerate() {
        if written
            .iter()
            .take(index)
            .any(|(earlier, _)| earlier == name)
        {
            return Err(XmlError::NotWellFormed("an attribute twice"));
        }
        let Some(prefix) = declaration(name) else {
            continue;
        };
        declared += 1;
        if declared > bounds.namespaces || counts.namespaces + declared > bounds.all_namespaces {
            return Err(XmlError::Limit("namespace declarations"));
        }
        declare(prefix, &unescape(value)?, scope)?;
    }
    counts.namespaces += declared;

    let (prefix, local) = qname(name)?;
    let ns = match prefix {
        // Could not be written as a default namespace, and nobody needs it.
        Some("xml") => return Err(XmlError::NotWellFormed("an element with the prefix `xml`")),
        Some(prefix) => scope.lookup(prefix),
        None => scope.lookup(""),
    };
    let ns = ns.ok_or(XmlError::NotWellFormed("an undeclared prefix"))?;
    if parent.is_none_or(|(parent, _)| parent.name.ns != *ns) {
        counts.redeclared += ns.len();
    }
    let mut element = Element {
        name: Name {
            ns: Arc::clone(ns),
            local: words::local(local),
        },
        attributes: Vec::with_capacity(written.len() - declared),
        nodes: Vec::new(),
    };
    for (name, value) in written {
        if declaration(name).is_some() {
            continue;
        }
        let (prefix, local) = qname(name)?;
        let ns = match prefix {
            Some(prefix) => scope
                .lookup(prefix)
                .ok_or(XmlError::NotWellFormed("an undeclared prefix"))?,
            None => &scope.none,
        };
        if prefix.is_some() {
            counts.redeclared += ns.len();
        }
        let name = Name {
            ns: Arc::clone(ns),
            local: words::local(local),
        };
        if prefix.is_some()
            && element
                .attributes
                .iter()
                .any(|earlier| earlier.name == name)
        {
            return Err(XmlError::NotWellFormed("an attribute twice"));
        }
        element.attributes.push(Attribute {
            name,
            value: unescape(value)?,
        });
    }
    Ok(Parsed {
        element,
        prefixed: prefix.is_some(),
        redeclared: counts.redeclared,
    })
}

/// Splits ` name='value' name='value'` into names and values as they are written.
pub(crate) fn split_attributes(mut rest: &str, most: usize) -> Result<Vec<(&str, &str)>, XmlError> {
    const MALFORMED: XmlError = XmlError::NotWellFormed("a malformed tag");
    // As many as a stanza usually has.
    let mut attributes = Vec::with_capacity(if rest.is_empty() { 0 } else { 6 });
    loop {
        let next = rest.trim_start_matches(SPACE);
        if next.is_empty() {
            return Ok(attributes);
        }
        if next.len() == rest.len() {
            return Err(XmlError::NotWellFormed("no space between attributes"));
        }
        if attributes.len() >= most {
            return Err(XmlError::Limit("attributes"));
        }
        let (name, after) = next.split_once('=').ok_or(MALFORMED)?;
        let after = after.trim_start_matches(SPACE);
        let quote = after
            .chars()
            .next()
            .filter(|c| matches!(c, '"' | '\''))
            .ok_or(MALFORMED)?;
        let (value, after) = after
            .get(1..)
            .and_then(|after| after.split_once(quote))
            .ok_or(MALFORMED)?;
        attributes.push((name.trim_end_matches(SPACE), value));
        rest = after;
    }
}

/// `S` of XML 1.0 §2.3.
pub(crate) const SPACE: [char; 4] = [' ', '\t', '\n', '\r'];

/// What an attribute of this name declares, if it declares anything: a prefix, or (inside, none) the
/// default namespace.
fn declaration(name: &str) -> Option<Option<&str>> {
    match name.strip_prefix("xmlns")? {
        "" => Some(None),
        rest => rest.strip_prefix(':').map(Some),
    }
}

/// Namespaces in XML 1.0 §3 and §2.2.
fn declare(prefix: Option<&str>, ns: &str, scope: &mut Scope) -> Result<(), XmlError> {
    let mistake = match (prefix, ns) {
        (Some("xml"), ns::XML) => return Ok(()),
        (Some("xml"), _) | (_, ns::XML) => "the prefix `xml` is bound anew",
        (Some("xmlns"), _) | (_, ns::XMLNS) => "the prefix `xmlns` is bound anew",
        (_, ns) if !is_namespace(ns) => "a namespace with a space in it",
        (None, _) => {
            scope.bind("", ns);
            return Ok(());
        }
        (Some(_), "") => "a prefix is unbound",
        (Some(prefix), ns) if is_ncname(prefix) => {
            scope.bind(prefix, ns);
            return Ok(());
        }
        (Some(_), _) => "a malformed prefix",
    };
    Err(XmlError::NotWellFormed(mistake))
}

/// Splits a qualified name.
fn qname(name: &str) -> Result<(Option<&str>, &str), XmlError> {
    let (prefix, local) = match name.split_once(':') {
        Some((prefix, local)) => (Some(prefix), local),
        None => (None, name),
    };
    if prefix.is_none_or(is_ncname) && is_ncname(local) {
        Ok((prefix, local))
    } else {
        Err(XmlError::NotWellFormed("a malformed name"))
    }
}

/// Line ends as XML 1.0 §2.11 wants them.
fn lines(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains('\r') {
        text.replace("\r\n", "\n").replace('\r', "\n").into()
    } else {
        text.into()
    }
}

/// An attribute's value: references resolved, space normalised (XML 1.0 §3.3.3).
fn unescape(raw: &str) -> Result<String, XmlError> {
    // Nearly always.
    if !(raw.bytes()).any(|b| matches!(b, b'<' | b'&' | b'\t' | b'\n' | b'\r')) {
        return Ok(raw.to_owned());
    }
    if raw.contains('<') {
        return Err(XmlError::NotWellFormed("`<` in an attribute"));
    }
    let raw = lines(raw);
    let mut value = String::with_capacity(raw.len());
    let mut rest: &str = &raw;
    while let Some(at) = rest.find(['&', '\t', '\n']) {
        let (run, special) = rest.split_at(at);
        value.push_str(run);
        if let Some(reference) = special.strip_prefix('&') {
            let (name, after) = reference
                .split_once(';')
                .ok_or(XmlError::NotWellFormed("a reference without an end"))?;
            value.push(resolve(name)?);
            rest = after;
        } else {
            value.push(' ');
            rest = special.get(1..).unwrap_or_default();
        }
    }
    value.push_str(rest);
    Ok(value)
}

/// The character that a reference stands for, given without its `&` and `;`.
fn resolve(name: &str) -> Result<char, XmlError> {
    const MALFORMED: XmlError = XmlError::NotWellFormed("a malformed reference");
    let number = match name {
        "lt" => return Ok('<'),
        "gt" => return Ok('>'),
        "amp" => return Ok('&'),
        "apos" => return Ok('\''),
        "quot" => return Ok('"'),
        name => match name.strip_prefix('#') {
            Some(number) => number,
            None if is_ncname(name) => return Err(XmlError::Restricted("an entity reference")),
            None => return Err(MALFORMED),
        },
    };
    let (digits, radix) = match number.strip_prefix('x') {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    // `from_str_radix` would also take a sign.
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return Err(MALFORMED);
    }
    u32::from_str_radix(digits, radix)
        .ok()
        .and_then(char::from_u32)
        .filter(|&c| is_char(c))
        .ok_or(XmlError::NotWellFormed("a reference to no character"))
}
