//! What each level keeps of a presence.

use portcullis_plugin::prelude::*;

use crate::config::Level;
use crate::memory::Failure;
use crate::room::Context;

/// The values of `<show/>` (RFC 6121 §4.7.2.1). Anything else there is free text, that is, a status.
const SHOWS: [&str; 4] = ["away", "chat", "dnd", "xa"];

/// `show` keeps how available someone is, and since when (XEP-0203: stripping that would make an old
/// presence look new). Not `<status/>`, XEP-0115 capabilities, XEP-0153 avatar hashes, XEP-0172
/// nicknames, signatures over the status, idle times, or anything else.
const SHOW: [(&str, &str); 3] = [
    ("show", Stanza::XMPP),
    ("priority", Stanza::XMPP),
    ("delay", "urn:xmpp:delay"),
];

/// What makes a room work (XEP-0045, XEP-0421): joining, who is who, why someone left.
const ROOM: [(&str, &str); 3] = [
    ("x", "http://jabber.org/protocol/muc"),
    ("x", "http://jabber.org/protocol/muc#user"),
    ("occupant-id", "urn:xmpp:occupant-id:0"),
];

/// Takes away what the level hides. Directed presence at level `none` is reduced to `online`.
pub(crate) fn to_level(stanza: &mut Stanza, level: Level, context: Context) -> Result<(), Failure> {
    let mut keep: Vec<(&str, &str)> = match level {
        Level::Full => return Ok(()),
        Level::Show => SHOW.to_vec(),
        Level::Online | Level::None => Vec::new(),
    };
    if context == Context::Room {
        keep.extend(ROOM);
    }
    stanza.retain(&keep)?;
    let show = stanza.child_text("show", Stanza::XMPP);
    if show.is_some_and(|show| !SHOWS.contains(&show.trim()))
        || stanza.count("show", Stanza::XMPP) > 1
    {
        stanza.remove("show", Stanza::XMPP)?;
    }
    Ok(())
}
