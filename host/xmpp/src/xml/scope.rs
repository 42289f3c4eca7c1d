//! Which namespaces are declared at one place of a stream.
//!
//! In: declarations as they are read, the innermost last. Out: the namespace that a prefix stands for. A
//! declaration that Namespaces in XML 1.0 forbids is an error of its writer.

use std::sync::Arc;

use super::{
    chars::{is_namespace, is_ncname},
    parse::XmlError,
};
use crate::ns;

/// The namespace declarations that are in force somewhere.
#[derive(Debug, Clone)]
pub struct Scope {
    /// Prefix (empty: the default namespace) and namespace; the last one of a prefix is in force.
    bindings: Vec<(Box<str>, Arc<str>)>,
    none: Arc<str>,
    xml: Arc<str>,
}

impl Scope {
    /// Nothing is declared.
    pub fn empty() -> Self {
        Self {
            bindings: Vec::new(),
            none: Arc::from(""),
            xml: Arc::from(ns::XML),
        }
    }

    /// Only a default namespace is declared.
    pub fn with_default(default: &str) -> Self {
        let mut scope = Self::empty();
        scope.bind("", default);
        scope
    }

    /// Whether some prefix stands for this namespace, or it is the default.
    pub fn declares(&self, ns: &str) -> bool {
        self.bindings.iter().any(|(_, bound)| &**bound == ns)
    }

    /// The default namespace; empty if there is none.
    pub fn default_namespace(&self) -> &str {
        self.lookup("").map_or("", |ns| &**ns)
    }

    /// What a name without a prefix is in that is not in the default namespace.
    pub(super) fn none(&self) -> &Arc<str> {
        &self.none
    }

    /// Where to come [`back_to`](Self::back_to) when the element ends.
    pub(super) fn mark(&self) -> usize {
        self.bindings.len()
    }

    /// Forgets what was declared since.
    pub(super) fn back_to(&mut self, mark: usize) {
        self.bindings.truncate(mark);
    }

    pub(super) fn bind(&mut self, prefix: &str, ns: &str) {
        // One namespace declared twice is one allocation.
        let ns = match self.bindings.iter().rev().find(|(_, bound)| &**bound == ns) {
            Some((_, bound)) => Arc::clone(bound),
            None => Arc::from(ns),
        };
        self.bindings.push((Box::from(prefix), ns));
    }

    pub(super) fn lookup(&self, prefix: &str) -> Option<&Arc<str>> {
        // Nearly always. Two empty texts are not compared byte by byte: their places are no memory, and a
        // comparison that reads many bytes at once takes a hundred times as long to find that out.
        let bound = match prefix.is_empty() {
            true => self.bound(str::is_empty),
            false => self.bound(|bound| bound == prefix),
        };
        match bound {
            Some(ns) => Some(ns),
            None if prefix.is_empty() => Some(&self.none),
            None if prefix == "xml" => Some(&self.xml),
            None => None,
        }
    }

    /// The namespace of the innermost prefix that fits.
    fn bound(&self, fits: impl Fn(&str) -> bool) -> Option<&Arc<str>> {
        let mut inside_first = self.bindings.iter().rev();
        let (_, ns) = inside_first.find(|(prefix, _)| fits(prefix))?;
        Some(ns)
    }
}

/// Namespaces in XML 1.0 §3 and §2.2.
pub(super) fn declare(prefix: Option<&str>, ns: &str, scope: &mut Scope) -> Result<(), XmlError> {
    let mistake = match (prefix, ns) {
        (Some("xml"), ns::XML) => return Ok(()),
        (Some("xml"), _) | (_, ns::XML) => "the prefix `xml` is bound anew",
        (Some("xmlns"), _) | (_, ns::XMLNS) => "the prefix `xmlns` is bound anew",
        (_, ns) if !is_namespace(ns) => "a namespace with a space in it",
        (None, _) => {
            scope.bind("", ns);
            return Ok(());
        }
        (Some(_), "") => "a prefix is unbound",
        (Some(prefix), ns) if is_ncname(prefix) => {
            scope.bind(prefix, ns);
            return Ok(());
        }
        (Some(_), _) => "a malformed prefix",
    };
    Err(XmlError::NotWellFormed(mistake))
}
