//! What the gateway writes, read by rxml.

use rxml::{Event, Parse};

/// An element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its namespace.
    pub ns: String,
    /// Its name, without a prefix.
    pub name: String,
    /// Namespace, name and value of each attribute.
    pub attributes: Vec<(String, String, String)>,
    /// The elements in it.
    pub children: Vec<Node>,
    /// All text in it, not that of its children.
    pub text: String,
}

impl Node {
    /// Reads one element as it stands on a stream between servers.
    pub fn parse(xml: &str) -> Self {
        let mut elements = Self::all(xml.as_bytes());
        assert_eq!(elements.len(), 1, "{xml}");
        elements.remove(0)
    }

    /// The elements that stand on a stream between servers, up to the first thing that is no XML.
    pub fn all(bytes: &[u8]) -> Vec<Self> {
        let mut reader = Reader::new();
        reader.push(b"<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='jabber:server:dialback'>");
        reader.push(bytes);
        let mut elements = Vec::new();
        while let Ok(Some(read)) = reader.next() {
            match read {
                Read::Element(element) => elements.push(element),
                Read::Open(_) | Read::Whitespace => {}
                Read::Close => break,
            }
        }
        elements
    }

    /// The value of an attribute in no namespace.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attribute_in("", name)
    }

    /// The value of an attribute in a namespace.
    pub fn attribute_in(&self, ns: &str, name: &str) -> Option<&str> {
        let mut found = self.attributes.iter().filter(|a| a.0 == ns && a.1 == name);
        found.next().map(|a| a.2.as_str())
    }

    /// `xml:lang`
    pub fn lang(&self) -> Option<&str> {
        self.attribute_in("http://www.w3.org/XML/1998/namespace", "lang")
    }

    /// Whether it has this name.
    pub fn is(&self, ns: &str, name: &str) -> bool {
        self.ns == ns && self.name == name
    }

    /// The first child of this name.
    pub fn child(&self, ns: &str, name: &str) -> Option<&Node> {
        self.children.iter().find(|child| child.is(ns, name))
    }

    /// The name of the defined condition of a stream or stanza error, or of a SASL failure.
    pub fn condition(&self) -> Option<&str> {
        let known = [
            crate::ns::STREAM_ERRORS,
            crate::ns::STANZA_ERRORS,
            crate::ns::SASL,
        ];
        let mut conditions = self.children.iter();
        conditions
            .find(|child| known.contains(&child.ns.as_str()) && child.name != "text")
            .map(|child| child.name.as_str())
    }

    /// The condition and the type of an error stanza.
    pub fn stanza_error(&self) -> Option<(&str, &str)> {
        let error = self.child(crate::ns::SERVER, "error")?;
        Some((error.condition()?, error.attribute("type")?))
    }
}

/// What one reading step found.
#[derive(Debug)]
pub(super) enum Read {
    Open(Node),
    Element(Node),
    Close,
    Whitespace,
}

/// One stream as it is read.
pub(super) struct Reader {
    parser: rxml::Parser,
    unread: Vec<u8>,
    open: Vec<Node>,
}

impl Reader {
    pub(super) fn new() -> Self {
        Self {
            parser: rxml::Parser::default(),
            unread: Vec::new(),
            open: Vec::new(),
        }
    }

    /// What was not read yet is the beginning of a new stream.
    pub(super) fn restart(&mut self) {
        self.parser = rxml::Parser::default();
        self.open.clear();
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
    }

    /// The next whole part, if it is there.
    pub(super) fn next(&mut self) -> Result<Option<Read>, String> {
        loop {
            let mut rest = &self.unread[..];
            let event = self.parser.parse(&mut rest, false);
            let used = self.unread.len() - rest.len();
            self.unread.drain(..used);
            let event = match event {
                Ok(Some(event)) => event,
                Ok(None) => return Ok(None),
                Err(rxml::error::EndOrError::NeedMoreData) => return Ok(None),
                Err(rxml::error::EndOrError::Error(error)) => return Err(error.to_string()),
            };
            match event {
                Event::XmlDeclaration(..) => {}
                Event::StartElement(_, (ns, name), attributes) => {
                    let attributes = attributes.into_iter();
                    let node = Node {
                        ns: ns.to_string(),
                        name: name.to_string(),
                        attributes: attributes
                            .map(|((ns, name), value)| (ns.to_string(), name.to_string(), value))
                            .collect(),
                        children: Vec::new(),
                        text: String::new(),
                    };
                    self.open.push(node.clone());
                    if self.open.len() == 1 {
                        return Ok(Some(Read::Open(node)));
                    }
                }
                Event::Text(_, text) => match &mut self.open[..] {
                    [_] if text.trim().is_empty() => return Ok(Some(Read::Whitespace)),
                    [_, .., parent] => parent.text.push_str(&text),
                    _ => return Err(format!("text at the stream's level: {text:?}")),
                },
                Event::EndElement(_) => {
                    let node = self.open.pop().ok_or("an end without a start")?;
                    match &mut self.open[..] {
                        [] => return Ok(Some(Read::Close)),
                        [_] => return Ok(Some(Read::Element(node))),
                        [.., parent] => parent.children.push(node),
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_falls_into_its_parts() {
        let mut reader = Reader::new();
        reader.push(b"<?xml version='1.0'?><s:stream xmlns:s='urn:s' xmlns='urn:c' id='1'><a><b c='d'>t</b></a> ");
        assert!(
            matches!(reader.next(), Ok(Some(Read::Open(open))) if open.is("urn:s", "stream") && open.attribute("id") == Some("1"))
        );
        let Ok(Some(Read::Element(a))) = reader.next() else {
            panic!("no element");
        };
        assert_eq!(a.child("urn:c", "b").unwrap().text, "t");
        reader.push(b"</s:stream>");
        assert!(matches!(reader.next(), Ok(Some(Read::Whitespace))));
        assert!(matches!(reader.next(), Ok(Some(Read::Close))));
        let mut reader = Reader::new();
        reader.push(b"<s:stream>");
        assert!(reader.next().is_err());
    }
}
