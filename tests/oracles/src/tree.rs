//! What all three are compared as.

/// An element without its prefixes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// Namespace and local name.
    pub name: (String, String),
    /// Namespace, local name and value; sorted, since their order means nothing.
    pub attributes: Vec<(String, String, String)>,
    /// What it contains, in order.
    pub nodes: Vec<Node>,
}

/// What an element contains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// An element.
    Element(Tree),
    /// Text; neighbouring ones are one.
    Text(String),
}

/// How far a parser got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It wants more bytes.
    Open,
    /// The stream's end tag was there.
    Closed,
    /// It refused a byte.
    Refused,
}

/// What a parser read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// The start tag of the stream, without anything inside.
    pub header: Option<Tree>,
    /// The complete first-level elements.
    pub elements: Vec<Tree>,
    /// How far it got.
    pub end: End,
}

/// Builds a [`Read`] of the events that both other parsers give.
#[derive(Debug)]
pub(crate) struct Builder {
    open: Vec<Tree>,
    pub(crate) read: Read,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            open: Vec::new(),
            read: Read {
                header: None,
                elements: Vec::new(),
                end: End::Open,
            },
        }
    }

    pub(crate) fn start(
        &mut self,
        name: (String, String),
        mut attributes: Vec<(String, String, String)>,
    ) {
        attributes.sort();
        let element = Tree {
            name,
            attributes,
            nodes: Vec::new(),
        };
        if self.open.is_empty() {
            self.read.header = Some(element.clone());
        }
        self.open.push(element);
    }

    /// Text of the stream itself is left out: it may be whitespace, and our parser refuses the rest.
    pub(crate) fn text(&mut self, text: &str) {
        let [_, .., parent] = &mut self.open[..] else {
            return;
        };
        match parent.nodes.last_mut() {
            _ if text.is_empty() => {}
            Some(Node::Text(last)) => last.push_str(text),
            _ => parent.nodes.push(Node::Text(text.to_owned())),
        }
    }

    pub(crate) fn end(&mut self) {
        let Some(element) = self.open.pop() else {
            return;
        };
        match &mut self.open[..] {
            [] => self.read.end = End::Closed,
            [_] => self.read.elements.push(element),
            [_, .., parent] => parent.nodes.push(Node::Element(element)),
        }
    }
}
