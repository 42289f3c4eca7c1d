//! The one serializer: a tree flows in, XML flows out that a strict parser reads as the same tree.
//!
//! Elements get no prefix: a namespace that differs from the one around is declared as the default
//! (RFC 6120 §4.8.5 wants no prefix on stanzas, and this way nothing inside has one either), except
//! in the namespaces whose prefix the stream's header declares. Attributes in a namespace get the
//! prefixes `ns0`, `ns1`, ... on their element, in order.

use std::borrow::Cow;

use memchr::{memchr, memchr3};

use super::{Element, Node};
use crate::ns;

/// Writes elements for one place: what is declared around them there.
#[derive(Debug, Clone, Copy)]
pub struct Writer<'a> {
    default: &'a str,
    prefixes: &'a [(&'a str, &'a str)],
}

impl<'a> Writer<'a> {
    /// For a place where this is the default namespace (empty: there is none).
    pub fn new(default: &'a str) -> Self {
        Self {
            default,
            prefixes: &[],
        }
    }

    /// For a place where these prefixes, as (prefix, namespace), are declared too. Elements in these
    /// namespaces are written with them: some peers know `stream:` and `db:` by prefix only.
    ///
    /// `ns0`, `ns1`, ... must not be among them.
    #[must_use]
    pub fn with_prefixes(self, prefixes: &'a [(&'a str, &'a str)]) -> Self {
        Self { prefixes, ..self }
    }

    /// Appends the element.
    pub fn write(&self, element: &Element, out: &mut Vec<u8>) {
        self.write_with_lang(element, None, out);
    }

    /// Appends the element; if it has no `xml:lang` of its own, it gets this one.
    pub fn write_with_lang(&self, element: &Element, lang: Option<&str>, out: &mut Vec<u8>) {
        self.element(element, self.default, lang, out);
    }

    /// The element as a text.
    pub fn to_xml(&self, element: &Element) -> String {
        self.to_xml_with_lang(element, None)
    }

    /// The element as a text; if it has no `xml:lang` of its own, it gets this one.
    pub fn to_xml_with_lang(&self, element: &Element, lang: Option<&str>) -> String {
        let mut out = Vec::new();
        self.write_with_lang(element, lang, &mut out);
        into_string(out)
    }

    /// How many bytes [`Self::write_with_lang`] would append.
    pub fn size(&self, element: &Element, lang: Option<&str>) -> usize {
        let mut counted = Counted(0);
        self.element(element, self.default, lang, &mut counted);
        counted.0
    }

    fn element(&self, element: &Element, default: &str, lang: Option<&str>, out: &mut impl Sink) {
        let prefix = self
            .prefixes
            .iter()
            .find(|(_, ns)| *ns == element.ns())
            .map(|(prefix, _)| *prefix);
        let name = match prefix {
            Some(prefix) => Cow::Owned(format!("{prefix}:{}", element.name())),
            None => Cow::Borrowed(element.name()),
        };
        out.put(b"<");
        out.put(name.as_bytes());
        let inside = if prefix.is_none() && element.ns() != default {
            attribute(b"xmlns", element.ns(), out);
            element.ns()
        } else {
            default
        };
        attributes(element, out);
        if let (Some(lang), None) = (lang, element.lang()) {
            attribute(b"xml:lang", lang, out);
        }
        if element.nodes().is_empty() {
            out.put(b"/>");
            return;
        }
        out.put(b">");
        for node in element.nodes() {
            match node {
                Node::Element(child) => self.element(child, inside, None, out),
                Node::Text(value) => text(value, out),
            }
        }
        out.put(b"</");
        out.put(name.as_bytes());
        out.put(b">");
    }
}

/// Where the bytes go.
trait Sink {
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Nowhere; they are counted.
struct Counted(usize);

impl Sink for Counted {
    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }
}

fn attributes(element: &Element, out: &mut impl Sink) {
    let mut declared: Vec<&str> = Vec::new();
    for a in element.attributes() {
        match a.name().ns() {
            "" => attribute(a.name().local().as_bytes(), a.value(), out),
            ns::XML => attribute(
                format!("xml:{}", a.name().local()).as_bytes(),
                a.value(),
                out,
            ),
            ns => {
                let number = declared
                    .iter()
                    .position(|known| *known == ns)
                    .unwrap_or_else(|| {
                        attribute(format!("xmlns:ns{}", declared.len()).as_bytes(), ns, out);
                        declared.push(ns);
                        declared.len() - 1
                    });
                attribute(
                    format!("ns{number}:{}", a.name().local()).as_bytes(),
                    a.value(),
                    out,
                );
            }
        }
    }
}

/// Appends ` name='value'`.
fn attribute(name: &[u8], value: &str, out: &mut impl Sink) {
    out.put(b" ");
    out.put(name);
    out.put(b"='");
    let special = |bytes: &[u8]| {
        (bytes.iter())
            .position(|b| matches!(b, b'<' | b'>' | b'&' | b'\'' | b'"' | b'\t' | b'\n' | b'\r'))
    };
    escape(value, out, special);
    out.put(b"'");
}

fn text(value: &str, out: &mut impl Sink) {
    // `>` for `]]>`, which must not stand in text; most text has no carriage return.
    match memchr(b'\r', value.as_bytes()) {
        None => escape(value, out, |bytes| memchr3(b'<', b'>', b'&', bytes)),
        Some(_) => escape(value, out, |bytes| {
            (bytes.iter()).position(|b| matches!(b, b'<' | b'>' | b'&' | b'\r'))
        }),
    }
}

/// Copies in runs, since most text has nothing to escape. `special` finds the next byte that has.
fn escape(value: &str, out: &mut impl Sink, special: impl Fn(&[u8]) -> Option<usize>) {
    let mut rest = value.as_bytes();
    while let Some(at) = special(rest)
        && let Some((b, tail)) = rest.get(at..).and_then(<[u8]>::split_first)
    {
        out.put(rest.get(..at).unwrap_or_default());
        out.put(reference(*b));
        rest = tail;
    }
    out.put(rest);
}

fn reference(b: u8) -> &'static [u8] {
    match b {
        b'<' => b"&lt;",
        b'>' => b"&gt;",
        b'&' => b"&amp;",
        b'\'' => b"&apos;",
        b'"' => b"&quot;",
        // A parser would make them spaces in attributes (XML 1.0 §3.3.3), and a carriage return a line
        // feed everywhere (§2.11).
        b'\t' => b"&#9;",
        b'\n' => b"&#10;",
        _ => b"&#13;",
    }
}

/// What the writer appended is UTF-8, since names, values and markup are.
fn into_string(out: Vec<u8>) -> String {
    String::from_utf8(out).unwrap_or_default()
}
