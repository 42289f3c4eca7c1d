//! XML as XMPP uses it (RFC 6120 §11): one strict parser, one small tree, one serializer.
//!
//! Text of one complete element flows in, an [`Element`] flows out, and the other way. Prefixes do
//! not survive: the tree has namespaces, and [`Writer`] declares them anew. Lost with them are
//! declarations that only a value uses (QNames in content), as in every server that parses.
//!
//! What is refused is told by [`XmlError`]. An `Element` never holds what cannot be written.
//!
//! Well-formed, and refused nevertheless, because another parser behind the gateway would refuse it
//! or read something else, and close a stream that many use for what one has sent:
//!
//! - names that only the fifth edition of XML 1.0 allows (`names.rs` says which those are);
//! - namespaces with spaces or control characters;
//! - elements with the prefix `xml`.

mod chars;
mod element;
mod names;
mod parse;
mod scope;
mod tag;
mod text;
mod words;
mod write;

pub(crate) use chars::{are_chars, is_ncname, is_space};
pub use element::{Attribute, Element, Name, Node};
pub use parse::{Bounds, XmlError};
pub(crate) use parse::{Parsed, parse_element, parse_tag};
pub use scope::Scope;
pub(crate) use tag::{split_attributes, trim_end, trim_start};
pub use write::Writer;

#[cfg(test)]
pub(crate) mod generate;
#[cfg(test)]
mod tests;
