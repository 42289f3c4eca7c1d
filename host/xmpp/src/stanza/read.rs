//! What a policy reads. Names and namespaces are compared exactly; an empty one means any.

use super::{Kind, Stanza};
use crate::{
    ns,
    xml::{Element, Node},
};

impl Stanza {
    /// The text of the first `<body/>` of a message.
    pub fn body(&self) -> Option<String> {
        match self.whole.kind {
            Kind::Message => self.whole.root.child(ns::SERVER, "body").map(Element::text),
            Kind::Presence | Kind::Iq => None,
        }
    }

    /// The direct children, each as name and namespace.
    pub fn payloads(&self) -> impl Iterator<Item = (&str, &str)> {
        self.whole
            .root
            .children()
            .map(|child| (child.name(), child.ns()))
    }

    /// An attribute of the stanza element that is in no namespace.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.whole.root.attribute(name)
    }

    /// How many direct children match.
    pub fn count(&self, name: &str, ns: &str) -> usize {
        self.whole
            .root
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
        below(&self.whole.root, name, ns)
    }

    /// Language and text of every element that a path reaches, in document order: `path` is name and
    /// namespace of a direct child, then of a child of it, and so on; the empty path is the stanza
    /// itself. The text is all that stands inside, at any depth; the language is inherited, empty if
    /// unknown.
    pub fn texts<S: AsRef<str>>(&self, path: &[(S, S)]) -> Vec<(&str, String)> {
        let mut texts = Vec::new();
        let lang = self.lang().unwrap_or_default();
        reach(&self.whole.root, path, lang, &mut |element, lang| {
            let mut text = String::new();
            text_inside(element, &mut text);
            texts.push((lang, text));
        });
        texts
    }

    /// An attribute (in no namespace) of every element that a path reaches and that has it.
    pub fn attributes<S: AsRef<str>>(&self, path: &[(S, S)], attribute: &str) -> Vec<&str> {
        let mut values = Vec::new();
        reach(&self.whole.root, path, "", &mut |element, _| {
            values.extend(element.attribute(attribute));
        });
        values
    }

    fn first(&self, name: &str, ns: &str) -> Option<&Element> {
        self.whole
            .root
            .children()
            .find(|child| matches(child, name, ns))
    }
}

pub(super) fn matches(element: &Element, name: &str, ns: &str) -> bool {
    (name.is_empty() || element.name() == name) && (ns.is_empty() || element.ns() == ns)
}

/// Each element is visited at most once; the recursion is as deep as the path, and no deeper than the
/// stanza.
fn reach<'e, S: AsRef<str>>(
    element: &'e Element,
    path: &[(S, S)],
    lang: &'e str,
    found: &mut impl FnMut(&'e Element, &'e str),
) {
    let lang = element.lang().unwrap_or(lang);
    let Some(((name, ns), rest)) = path.split_first() else {
        return found(element, lang);
    };
    for child in element.children() {
        if matches(child, name.as_ref(), ns.as_ref()) {
            reach(child, rest, lang, found);
        }
    }
}

fn text_inside(element: &Element, text: &mut String) {
    for node in element.nodes() {
        match node {
            Node::Text(own) => text.push_str(own),
            Node::Element(child) => text_inside(child, text),
        }
    }
}
