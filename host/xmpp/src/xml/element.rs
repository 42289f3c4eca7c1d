//! The tree.
//!
//! Whatever is put into it can be written as XML: characters that XML 1.0 has no way to write are
//! left out, and a name that is none is made one. Parsed elements are at most as deep as
//! [`super::Bounds`] allowed, so that walking them may recurse. Dropping one does not, however deep
//! it was built by hand.

use std::borrow::Cow;
use std::sync::Arc;

use super::{chars, write::Writer};
use crate::ns;

/// An expanded name: a namespace (empty: none) and a local name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name {
    pub(super) ns: Arc<str>,
    pub(super) local: Cow<'static, str>,
}

impl Name {
    /// The namespace; empty if the name is in none.
    pub fn ns(&self) -> &str {
        &self.ns
    }

    /// The local name.
    pub fn local(&self) -> &str {
        &self.local
    }
}

/// An attribute that is no namespace declaration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    pub(super) name: Name,
    pub(super) value: String,
}

impl Attribute {
    /// Its name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Its value, with all references resolved.
    pub fn value(&self) -> &str {
        &self.value
    }
}

/// What stands inside an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// An element.
    Element(Element),
    /// Text, with all references resolved; neighbouring texts and CDATA sections are one.
    Text(String),
}

/// An element with all that it contains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    pub(super) name: Name,
    pub(super) attributes: Vec<Attribute>,
    pub(super) nodes: Vec<Node>,
}

impl Drop for Element {
    /// Takes the tree apart from above: without it, each level would be a call inside another.
    fn drop(&mut self) {
        let mut pending = std::mem::take(&mut self.nodes);
        while let Some(node) = pending.pop() {
            if let Node::Element(mut element) = node {
                pending.append(&mut element.nodes);
            }
        }
    }
}

impl Element {
    /// An empty element.
    pub fn new(ns: &str, name: &str) -> Self {
        let name = Name {
            ns: Arc::from(chars::to_namespace(ns)),
            local: chars::to_ncname(name),
        };
        Self {
            name,
            attributes: Vec::new(),
            nodes: Vec::new(),
        }
    }

    /// The same element with an attribute in no namespace.
    #[must_use]
    pub fn with_attribute(mut self, name: &str, value: &str) -> Self {
        self.set_attribute(name, value);
        self
    }

    /// The same element with an `xml:lang`.
    #[must_use]
    pub fn with_lang(mut self, lang: &str) -> Self {
        self.set(ns::XML, "lang", lang);
        self
    }

    /// The same element with this text at its end.
    #[must_use]
    pub fn with_text(mut self, text: &str) -> Self {
        self.push_text(text);
        self
    }

    /// The same element with this child at its end.
    #[must_use]
    pub fn with_child(mut self, child: Self) -> Self {
        self.push(child);
        self
    }

    /// The local name.
    pub fn name(&self) -> &str {
        &self.name.local
    }

    /// The namespace; empty if it is in none.
    pub fn ns(&self) -> &str {
        &self.name.ns
    }

    /// Whether it has this namespace and this local name.
    pub fn is(&self, ns: &str, name: &str) -> bool {
        &*self.name.local == name && &*self.name.ns == ns
    }

    /// The attribute of this name that is in no namespace.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attribute_in("", name)
    }

    /// The attribute of this name in this namespace.
    pub fn attribute_in(&self, ns: &str, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|attribute| &*attribute.name.local == name && &*attribute.name.ns == ns)
            .map(Attribute::value)
    }

    /// Its own `xml:lang`; what it inherits is not looked at.
    pub fn lang(&self) -> Option<&str> {
        self.attribute_in(ns::XML, "lang")
    }

    /// All attributes, in the order in which they were written.
    pub fn attributes(&self) -> impl Iterator<Item = &Attribute> {
        self.attributes.iter()
    }

    /// Everything inside, in order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The direct children, in order.
    pub fn children(&self) -> impl Iterator<Item = &Self> {
        self.nodes.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// The first direct child of this name.
    pub fn child(&self, ns: &str, name: &str) -> Option<&Self> {
        self.children().find(|child| child.is(ns, name))
    }

    /// Its own text: all text nodes joined, without those of its children.
    pub fn text(&self) -> String {
        let mut all = String::new();
        for node in &self.nodes {
            if let Node::Text(text) = node {
                all.push_str(text);
            }
        }
        all
    }

    /// Sets an attribute in no namespace.
    pub fn set_attribute(&mut self, name: &str, value: &str) {
        self.set("", name, value);
    }

    pub(super) fn set(&mut self, ns: &str, name: &str, value: &str) {
        let value = chars::to_chars(value);
        let local = chars::to_ncname(name);
        match self
            .attributes
            .iter_mut()
            .find(|a| a.name.local == local && &*a.name.ns == ns)
        {
            Some(attribute) => attribute.value = value,
            None => self.attributes.push(Attribute {
                name: Name {
                    ns: Arc::from(ns),
                    local,
                },
                value,
            }),
        }
    }

    /// Appends a child.
    pub fn push(&mut self, child: Self) {
        self.nodes.push(Node::Element(child));
    }

    /// Appends text.
    pub fn push_text(&mut self, text: &str) {
        let text = chars::to_chars(text);
        match self.nodes.last_mut() {
            _ if text.is_empty() => {}
            Some(Node::Text(last)) => last.push_str(&text),
            _ => self.nodes.push(Node::Text(text)),
        }
    }

    /// Takes away the attribute of this name that is in no namespace.
    pub fn remove_attribute(&mut self, name: &str) {
        self.attributes
            .retain(|attribute| !(attribute.name.ns.is_empty() && &*attribute.name.local == name));
    }

    /// A copy with its attributes and nothing inside.
    pub(crate) fn without_nodes(&self) -> Self {
        Self {
            name: self.name.clone(),
            attributes: self.attributes.clone(),
            nodes: Vec::new(),
        }
    }

    /// The first direct child that fits, for a change.
    pub(crate) fn child_mut(&mut self, fits: impl Fn(&Self) -> bool) -> Option<&mut Self> {
        self.nodes.iter_mut().find_map(|node| match node {
            Node::Element(element) if fits(element) => Some(element),
            _ => None,
        })
    }

    /// Keeps the nodes that fit, joining texts that become neighbours.
    pub(crate) fn retain_nodes(&mut self, mut fits: impl FnMut(&Node) -> bool) {
        for node in std::mem::take(&mut self.nodes) {
            match node {
                node if !fits(&node) => {}
                Node::Text(text) => self.push_text(&text),
                node @ Node::Element(_) => self.nodes.push(node),
            }
        }
    }

    /// The element by itself, with every namespace declared.
    pub fn to_xml(&self) -> String {
        Writer::new("").to_xml(self)
    }
}
