//! The comparison itself.

use std::fmt;

use portcullis_xmpp::{
    Limits, ns,
    xml::{Element, Writer},
};

use crate::{
    End, Read, Separator, Tree, expat,
    ours::{self, read_elements},
    rxml,
};

/// The header of the gateway's own streams.
const OPEN: &str =
    "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams'>";

/// Two parsers read the same bytes differently. That is a bug, in ours until it is shown otherwise.
#[derive(Debug)]
pub struct Disagreement {
    /// Who with whom, and about what.
    pub about: String,
    /// What was read.
    pub bytes: Vec<u8>,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\nin: {}", self.about, self.bytes.escape_ascii())
    }
}

/// Reads one stream with all parsers.
///
/// # Errors
/// Says where they part.
pub fn compare(bytes: &[u8]) -> Result<(), Disagreement> {
    let (ours, elements) = read_elements(bytes, usize::MAX);
    let disagreement = |about: String| Disagreement {
        about,
        bytes: bytes.to_owned(),
    };
    for piece in [1, 7] {
        let pieces = ours::read(bytes, piece);
        if pieces != ours {
            return Err(disagreement(format!(
                "ours in pieces of {piece}: {pieces:?}\nin one: {ours:?}"
            )));
        }
    }
    for (name, theirs) in [
        ("rxml", rxml::read(bytes)),
        ("expat", expat::read(bytes, Separator::Never)),
        (
            "expat as in ejabberd",
            expat::read(bytes, Separator::LineFeed),
        ),
    ] {
        same(&ours, &theirs).map_err(|why| disagreement(format!("{name}: {why}")))?;
    }
    for (element, tree) in elements.iter().zip(&ours.elements) {
        written(element, tree).map_err(disagreement)?;
    }
    Ok(())
}

/// Whether theirs has all of ours, and no more unless we have closed the stream.
fn same(ours: &Read, theirs: &Read) -> Result<(), String> {
    if let Some(header) = &ours.header {
        let Some(other) = &theirs.header else {
            return Err(format!("no header, but ours is {header:?}"));
        };
        let attribute_differs = ["from", "to", "id", "lang"].into_iter().find(|name| {
            let value = |tree: &Tree| {
                let found = tree.attributes.iter().find(|(ns, local, _)| {
                    local == name && ns == if *name == "lang" { ns::XML } else { "" }
                });
                found.map(|(_, _, value)| value.clone())
            };
            let (ours, theirs) = (value(header), value(other));
            // An empty or endless language counts as none.
            let ignored = *name == "lang"
                && ours.is_none()
                && theirs
                    .as_ref()
                    .is_some_and(|lang| lang.is_empty() || lang.len() > 255);
            ours != theirs && !ignored
        });
        if header.name != other.name || attribute_differs.is_some() {
            return Err(format!("the header {other:?}, but ours is {header:?}"));
        }
    }
    for (at, element) in ours.elements.iter().enumerate() {
        match theirs.elements.get(at) {
            Some(other) if other == element => {}
            other => {
                return Err(format!(
                    "element {at} is {other:?}, but ours is {element:?}"
                ));
            }
        }
    }
    if ours.end == End::Refused {
        return Ok(());
    }
    if let Some(more) = theirs.elements.get(ours.elements.len()) {
        return Err(format!("one element more: {more:?}"));
    }
    if theirs.end == End::Closed && ours.end != End::Closed {
        return Err(String::from("closed, but ours is open"));
    }
    if ours.end == End::Closed && theirs.end != End::Closed {
        return Err(format!("{:?}, but ours is closed", theirs.end));
    }
    Ok(())
}

/// What the gateway writes must be read as the same, by everybody. Elements that are too long when
/// they are written are not.
fn written(element: &Element, tree: &Tree) -> Result<(), String> {
    let writer = Writer::new(ns::SERVER);
    if writer.size(element, None) > Limits::default().stanza_bytes {
        return Ok(());
    }
    let text = format!("{OPEN}{}", writer.to_xml(element));
    let bytes = text.as_bytes();
    for (name, read) in [
        ("ours", ours::read(bytes, usize::MAX)),
        ("rxml", rxml::read(bytes)),
        ("expat", expat::read(bytes, Separator::Never)),
        (
            "expat as in ejabberd",
            expat::read(bytes, Separator::LineFeed),
        ),
    ] {
        if read.elements != [tree.clone()] || read.end != End::Open {
            return Err(format!(
                "{name} reads {read:?}\nof what we write: {text}\nfor {tree:?}"
            ));
        }
    }
    Ok(())
}

/// A shorter input about which they still disagree.
pub fn smallest(found: Disagreement) -> Disagreement {
    let mut smallest = found;
    let mut cut = smallest.bytes.len() / 2;
    while cut > 0 {
        let mut at = 0;
        while at + cut <= smallest.bytes.len() {
            let mut shorter = smallest.bytes.clone();
            shorter.drain(at..at + cut);
            match compare(&shorter) {
                Err(found) => smallest = found,
                Ok(()) => at += cut,
            }
        }
        cut /= 2;
    }
    smallest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Node;

    fn read(elements: &[&str], end: End) -> Read {
        let tree = |text: &&str| Tree {
            name: (String::new(), String::from("a")),
            attributes: Vec::new(),
            nodes: vec![Node::Text(String::from(*text))],
        };
        Read {
            header: None,
            elements: elements.iter().map(tree).collect(),
            end,
        }
    }

    #[test]
    fn every_difference_is_one_unless_we_closed_the_stream() {
        let one = || read(&["a"], End::Open);
        assert_eq!(same(&one(), &one()), Ok(()));
        assert!(same(&one(), &read(&["b"], End::Open)).is_err());
        assert!(same(&one(), &read(&[], End::Refused)).is_err());
        assert!(same(&one(), &read(&["a", "a"], End::Open)).is_err());
        assert!(same(&one(), &read(&["a"], End::Closed)).is_err());
        assert!(same(&read(&["a"], End::Closed), &one()).is_err());
        // Ours waits for the rest of an element that the others have refused already.
        assert_eq!(same(&one(), &read(&["a"], End::Refused)), Ok(()));
        // Ours is stricter.
        let refused = read(&["a"], End::Refused);
        assert_eq!(same(&refused, &read(&["a", "a"], End::Closed)), Ok(()));
        assert!(same(&refused, &read(&["b", "a"], End::Closed)).is_err());
    }
}
