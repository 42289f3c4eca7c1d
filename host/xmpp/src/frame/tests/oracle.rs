//! The second parser: rxml, which was written for XMPP by others.

use rxml::{Event, Parse};

/// What both trees are compared as.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tree {
    name: (String, String),
    attributes: Vec<(String, String, String)>,
    nodes: Vec<Node>,
}

#[derive(Debug, PartialEq, Eq)]
enum Node {
    Element(Tree),
    Text(String),
}

/// The first-level elements of a stream, up to the first that rxml refuses or the first text that
/// does not belong there.
///
/// Line ends are made line feeds first, as XML 1.0 §2.11 has it: rxml 0.13 refuses or loses a carriage
/// return alone in an attribute.
pub(super) fn elements(bytes: &[u8]) -> Vec<Tree> {
    let mut lines = Vec::with_capacity(bytes.len());
    for (at, &b) in bytes.iter().enumerate() {
        match b {
            b'\r' if bytes.get(at + 1) == Some(&b'\n') => {}
            b'\r' => lines.push(b'\n'),
            b => lines.push(b),
        }
    }
    let mut bytes = &lines[..];
    let mut parser = rxml::Parser::default();
    let mut open: Vec<Tree> = Vec::new();
    let mut elements = Vec::new();
    while let Ok(Some(event)) = parser.parse(&mut bytes, false) {
        match event {
            Event::XmlDeclaration(..) => {}
            Event::StartElement(_, (ns, name), attributes) => {
                let mut attributes: Vec<_> = attributes
                    .into_iter()
                    .map(|((ns, name), value)| (ns.to_string(), name.to_string(), value))
                    .collect();
                attributes.sort();
                open.push(Tree {
                    name: (ns.to_string(), name.to_string()),
                    attributes,
                    nodes: Vec::new(),
                });
            }
            Event::Text(_, text) => match &mut open[..] {
                [_] if text.chars().all(|c| " \t\r\n".contains(c)) => {}
                [_, .., parent] => match parent.nodes.last_mut() {
                    Some(Node::Text(last)) => last.push_str(&text),
                    _ if text.is_empty() => {}
                    _ => parent.nodes.push(Node::Text(text)),
                },
                _ => return elements,
            },
            Event::EndElement(_) => match (open.pop(), &mut open[..]) {
                (Some(element), [_]) => elements.push(element),
                (Some(element), [_, .., parent]) => parent.nodes.push(Node::Element(element)),
                _ => return elements,
            },
        }
    }
    elements
}

/// Our tree in the same shape.
pub(super) fn sorted(element: &crate::xml::Element) -> Tree {
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
        crate::xml::Node::Element(child) => Node::Element(sorted(child)),
        crate::xml::Node::Text(text) => Node::Text(text.clone()),
    });
    Tree {
        name: (element.ns().to_owned(), element.name().to_owned()),
        attributes,
        nodes: nodes.collect(),
    }
}
