//! What a policy reads. Names and namespaces are compared exactly; an empty one means any.

use super::{Kind, Stanza};
use crate::{ns, xml::Element};

impl Stanza {
    /// The text of the first `<body/>` of a message.
    pub fn body(&self) -> Option<String> {
        match self.kind {
            Kind::Message => self.root.child(ns::SERVER, "body").map(Element::text),
            Kind::Presence | Kind::Iq => None,
        }
    }

    /// The direct children, each as name and namespace.
    pub fn payloads(&self) -> impl Iterator<Item = (&str, &str)> {
        self.root.children().map(|child| (child.name(), child.ns()))
    }

    /// An attribute of the stanza element that is in no namespace.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.root.attribute(name)
    }

    /// How many direct children match.
    pub fn count(&self, name: &str, ns: &str) -> usize {
        self.root
            .children()
            .filter(|child| matches(child, name, ns))
            .count()
    }

    /// The text of the first matching direct child.
    pub fn child_text(&self, name: &str, ns: &str) -> Option<String> {
        self.first(name, ns).map(Element::text)
    }

    /// An attribute (in no namespace) of the first matching direct child.
    pub fn child_attribute(&self, name: &str, ns: &str, attribute: &str) -> Option<&str> {
        self.first(name, ns)?.attribute(attribute)
    }

    /// The first matching direct child as XML by itself.
    pub fn child_xml(&self, name: &str, ns: &str) -> Option<String> {
        self.first(name, ns).map(Element::to_xml)
    }

    /// Whether an element that matches exists anywhere below the stanza element.
    pub fn contains(&self, name: &str, ns: &str) -> bool {
        fn below(element: &Element, name: &str, ns: &str) -> bool {
            element
                .children()
                .any(|child| matches(child, name, ns) || below(child, name, ns))
        }
        below(&self.root, name, ns)
    }

    fn first(&self, name: &str, ns: &str) -> Option<&Element> {
        self.root.children().find(|child| matches(child, name, ns))
    }
}

pub(super) fn matches(element: &Element, name: &str, ns: &str) -> bool {
    (name.is_empty() || element.name() == name) && (ns.is_empty() || element.ns() == ns)
}
