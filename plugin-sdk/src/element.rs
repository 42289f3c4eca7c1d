//! XML that a plugin adds to a stanza, without writing markup by hand.

use std::fmt;

/// An element to [`inject`](crate::Stanza::inject). Texts and values are escaped; a name that is no XML
/// name, or a character that XML does not have, is found when it is injected.
///
/// ```
/// use portcullis_plugin::prelude::*;
/// let label = Element::new("label", "urn:example:label")
///     .attribute("level", "internal & more")
///     .child(Element::new("title", "urn:example:label").text("Not for <everybody>"));
/// assert_eq!(
///     label.to_string(),
///     "<label xmlns=\"urn:example:label\" level=\"internal &amp; more\">\
///      <title xmlns=\"urn:example:label\">Not for &lt;everybody&gt;</title></label>"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Element {
    name: String,
    namespace: String,
    attributes: Vec<(String, String)>,
    inside: Vec<Inside>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Inside {
    Text(String),
    Element(Element),
}

impl Element {
    /// An empty element.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// let label = Element::new("label", "urn:example:label");
    /// assert_eq!(label.to_string(), "<label xmlns=\"urn:example:label\"/>");
    /// ```
    pub fn new(name: impl Into<String>, namespace: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            namespace: namespace.into(),
            attributes: Vec::new(),
            inside: Vec::new(),
        }
    }

    /// With an attribute in no namespace.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// let label = Element::new("label", "urn:example:label").attribute("level", "3 & up");
    /// assert_eq!(label.to_string(), "<label xmlns=\"urn:example:label\" level=\"3 &amp; up\"/>");
    /// ```
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.push((name.into(), value.into()));
        self
    }

    /// With this text behind what it holds.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// let label = Element::new("label", "urn:example:label").text("1 < 2");
    /// assert_eq!(label.to_string(), "<label xmlns=\"urn:example:label\">1 &lt; 2</label>");
    /// ```
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.inside.push(Inside::Text(text.into()));
        self
    }

    /// With this child behind what it holds.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// let label = Element::new("label", "urn:x").child(Element::new("title", "urn:x"));
    /// assert_eq!(label.to_string(), "<label xmlns=\"urn:x\"><title xmlns=\"urn:x\"/></label>");
    /// ```
    pub fn child(mut self, child: Self) -> Self {
        self.inside.push(Inside::Element(child));
        self
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, .. } = self;
        write!(f, "<{name} xmlns=\"{}\"", Escaped(&self.namespace))?;
        for (name, value) in &self.attributes {
            write!(f, " {name}=\"{}\"", Escaped(value))?;
        }
        if self.inside.is_empty() {
            return f.write_str("/>");
        }
        f.write_str(">")?;
        for inside in &self.inside {
            match inside {
                Inside::Text(text) => Escaped(text).fmt(f)?,
                Inside::Element(child) => child.fmt(f)?,
            }
        }
        write!(f, "</{name}>")
    }
}

struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|sign| match sign {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            // A parser would make spaces of them in an attribute.
            '\t' => f.write_str("&#9;"),
            '\n' => f.write_str("&#10;"),
            '\r' => f.write_str("&#13;"),
            other => write!(f, "{other}"),
        })
    }
}
