//! Directed presence: a user joins a room, is in it, leaves it (RFC 6121 §4.6, XEP-0045). No roster
//! knows of it, so a filter that stopped it would break rooms (PRS-06).
//!
//! What tells it from other presence is that it began with a join: `<x/>` of the MUC namespace, sent to
//! an address with a nickname. From then on presence between that user and that room is the room's.
//! The room's own mark alone proves nothing: anybody may put it on their presence.

use portcullis_plugin::prelude::*;

use crate::config::{Directed, Terms};
use crate::memory::{self, Failure, Table};

/// What joins a room (XEP-0045 §7.2).
const JOIN: &str = "http://jabber.org/protocol/muc";

/// What a room puts on each occupant's presence (XEP-0045 §7.2.2).
const OCCUPANT: &str = "http://jabber.org/protocol/muc#user";

/// Whose presence it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Context {
    /// A room's, and rooms are to work.
    Room,
    /// Anything else.
    Plain,
}

/// Whether a stanza belongs to a room.
pub(crate) fn context(terms: &Terms, header: &Header) -> Result<Context, Failure> {
    // Both ways it is sent to a resource: the nickname in the room, or the client that joined. What
    // a server sends to all subscribers goes to bare addresses and costs nothing here.
    let of_a_room = terms.directed == Directed::Keep
        && header.to_resource().is_some()
        && (is_join(header) || from_occupant(header)? || from_room(header)?);
    Ok(if of_a_room {
        Context::Room
    } else {
        Context::Plain
    })
}

/// Remembers a join, so that the room may answer and the user may leave.
pub(crate) fn remember(header: &Header) -> Result<(), Failure> {
    if is_join(header) {
        memory::remember(
            Table::Room,
            header.direction(),
            header,
            header.from(),
            header.to(),
        )?;
    }
    Ok(())
}

/// Forgets the join if it was the user who left.
pub(crate) fn forget(header: &Header) -> Result<(), Failure> {
    if header.to_resource().is_none() {
        return Ok(());
    }
    memory::forget(Table::Room, header.direction(), header.from(), header.to())
}

fn is_join(header: &Header) -> bool {
    header.subtype() == Subtype::Available && header.payloads().any(|it| it == ("x", JOIN))
}

fn from_occupant(header: &Header) -> Result<bool, Failure> {
    memory::knows(Table::Room, header.direction(), header.from(), header.to())
}

fn from_room(header: &Header) -> Result<bool, Failure> {
    let marked = header.payloads().any(|it| it == ("x", OCCUPANT));
    if header.subtype() == Subtype::Available && !marked {
        return Ok(false);
    }
    let back = match header.direction() {
        Direction::Inbound => Direction::Outbound,
        Direction::Outbound => Direction::Inbound,
    };
    memory::knows(Table::Room, back, header.to(), header.from())
}
