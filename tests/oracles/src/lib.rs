//! The parser compared with two that others wrote: rxml, made for XMPP, and expat, which Prosody and
//! ejabberd read with.
//!
//! Bytes of one stream flow in; either all three read the same from them, or ours has closed the
//! stream, or a [`Disagreement`] flows out (federation rule V02: what two parsers read differently
//! carries a stanza past the one that judges). Compared are the stream's header, and of each
//! first-level element names, namespaces, attributes and text. What we read is then written as the
//! gateway writes it, and the other two must read that, and read the same.
//!
//! [`generate`] makes streams and spoils them; a number makes the same stream each time. The tests of
//! this crate go through such numbers for a while.
//!
//! [`holds`] has what else must hold whatever is received. The fuzz targets of `host/xmpp/fuzz` are its
//! functions; how to run them is in the README there.

mod compare;
mod expat;
pub mod generate;
pub mod holds;
mod ours;
mod random;
mod rxml;
mod tree;

pub use compare::{Disagreement, compare, smallest};
pub use expat::Separator;
pub use random::Random;
pub use tree::{End, Node, Read, Tree};

/// What expat reads from these bytes.
pub fn read_with_expat(bytes: &[u8], separator: Separator) -> Read {
    expat::read(bytes, separator)
}

/// What rxml reads from these bytes.
pub fn read_with_rxml(bytes: &[u8]) -> Read {
    rxml::read(bytes)
}

/// What our parser reads from these bytes, given to it in pieces of at most so many.
pub fn read_with_ours(bytes: &[u8], piece: usize) -> Read {
    ours::read(bytes, piece)
}
