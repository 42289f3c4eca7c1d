//! The strict parser of one complete element.
//!
//! quick-xml splits the text into tags, texts and references and matches the tags; everything else
//! that XML 1.0 and Namespaces in XML 1.0 ask for, and what RFC 6120 §11.1 forbids, is checked
//! here. The text is one element from its `<` to its `>`; anything before or after it is an error.

use memchr::memchr;
use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};

use super::{
    chars::are_chars,
    element::{Element, Node},
    scope::Scope,
    tag::Tags,
    text::{lines, resolve},
};

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
    let mut tags = Tags::default();
    let mut prefixed = false;
    loop {
        let event = reader
            .read_event()
            .map_err(|_| XmlError::NotWellFormed("tags do not match"))?;
        let closed = match event {
            Event::Start(tag) => {
                let mark = scope.mark();
                let tag = inside(text, ">", &reader, &tag)?;
                let parent = open.last().map(|(parent, _)| parent);
                let tag = tags.start(tag, parent, scope, bounds)?;
                prefixed |= open.is_empty() && tag.prefixed;
                if open.len() >= bounds.depth {
                    return Err(XmlError::Limit("depth"));
                }
                open.push((tag.element, mark));
                continue;
            }
            Event::Empty(tag) => {
                let mark = scope.mark();
                let tag = inside(text, "/>", &reader, &tag)?;
                let parent = open.last().map(|(parent, _)| parent);
                let tag = tags.start(tag, parent, scope, bounds)?;
                prefixed |= open.is_empty() && tag.prefixed;
                if open.len() >= bounds.depth {
                    return Err(XmlError::Limit("depth"));
                }
                scope.back_to(mark);
                tag.element
            }
            Event::End(_) => {
                let Some((element, mark)) = open.pop() else {
                    return Err(XmlError::NotWellFormed("an end without a beginning"));
                };
                scope.back_to(mark);
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
                    redeclared: tags.redeclared(),
                });
            }
            None => return Err(XmlError::NotWellFormed("something after the element")),
        }
    }
}

/// The start tag that was read last, without its `<` and what `closes` it: as a part of the text, which lives
/// longer than the event.
fn inside<'t>(
    text: &'t str,
    closes: &str,
    reader: &Reader<&[u8]>,
    tag: &BytesStart<'_>,
) -> Result<&'t str, XmlError> {
    usize::try_from(reader.buffer_position())
        .ok()
        .and_then(|position| position.checked_sub(closes.len()))
        .and_then(|end| text.get(end.checked_sub(tag.len())?..end))
        .ok_or(XmlError::NotWellFormed("a malformed tag"))
}

/// Parses a start tag alone, given without its `<` and `>`, and leaves its declarations in the scope.
/// Says whether the name had a prefix.
pub(crate) fn parse_tag(tag: &str, scope: &mut Scope, bounds: &Bounds) -> Result<Parsed, XmlError> {
    if !are_chars(tag) {
        return Err(XmlError::NotWellFormed(
            "a character that XML does not have",
        ));
    }
    Tags::default().start(tag, None, scope, bounds)
}

/// Text to the innermost open element; there must be one.
fn append(open: &mut [(Element, usize)], text: &str) -> Result<(), XmlError> {
    let Some((element, _)) = open.last_mut() else {
        return Err(XmlError::NotWellFormed("text outside of an element"));
    };
    match element.nodes.last_mut() {
        _ if text.is_empty() => {}
        Some(Node::Text(last)) => last.push_str(text),
        last => {
            if last.is_none() {
                // Most elements that begin with text have nothing else.
                element.nodes.reserve_exact(1);
            }
            element.nodes.push(Node::Text(text.to_owned()));
        }
    }
    Ok(())
}
