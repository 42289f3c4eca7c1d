//! The product's own parser.

use portcullis_xmpp::{
    Event, Framer, Limits, StreamHeader,
    xml::{self, Element},
};

use crate::tree::{End, Node, Read, Tree};

/// What our parser reads, and what the gateway would write of each element.
pub(crate) fn read(bytes: &[u8], piece: usize) -> Read {
    let (read, _) = read_elements(bytes, piece);
    read
}

/// The same, with the elements themselves.
pub(crate) fn read_elements(bytes: &[u8], piece: usize) -> (Read, Vec<Element>) {
    let mut framer = Framer::new(Limits::default());
    framer.authenticated();
    let mut read = Read {
        header: None,
        elements: Vec::new(),
        end: End::Open,
    };
    let mut elements = Vec::new();
    for piece in bytes.chunks(piece.max(1)) {
        framer.push(piece);
        loop {
            match framer.next() {
                Ok(None) => break,
                Ok(Some(Event::Open(opened))) => read.header = Some(header(&opened)),
                Ok(Some(Event::Element(frame))) => {
                    let element = frame.into_element();
                    read.elements.push(tree(&element));
                    elements.push(element);
                }
                Ok(Some(Event::Whitespace)) => {}
                Ok(Some(Event::Close)) => {
                    read.end = End::Closed;
                    return (read, elements);
                }
                Err(_) => {
                    read.end = End::Refused;
                    return (read, elements);
                }
            }
        }
    }
    (read, elements)
}

/// Only what the gateway uses of a header is kept by it.
fn header(header: &StreamHeader) -> Tree {
    let mut attributes: Vec<_> = [
        ("", "from", &header.from),
        ("", "to", &header.to),
        ("", "id", &header.id),
        (portcullis_xmpp::ns::XML, "lang", &header.lang),
    ]
    .into_iter()
    .filter_map(|(ns, name, value)| Some((ns.to_owned(), name.to_owned(), value.clone()?)))
    .collect();
    attributes.sort();
    Tree {
        name: (portcullis_xmpp::ns::STREAM.to_owned(), "stream".to_owned()),
        attributes,
        nodes: Vec::new(),
    }
}

fn tree(element: &Element) -> Tree {
    let mut attributes: Vec<_> = element
        .attributes()
        .map(|a| {
            (
                a.name().ns().to_owned(),
                a.name().local().to_owned(),
                a.value().to_owned(),
            )
        })
        .collect();
    attributes.sort();
    let nodes = element.nodes().iter().map(|node| match node {
        xml::Node::Element(child) => Node::Element(tree(child)),
        xml::Node::Text(text) => Node::Text(text.clone()),
    });
    Tree {
        name: (element.ns().to_owned(), element.name().to_owned()),
        attributes,
        nodes: nodes.collect(),
    }
}
