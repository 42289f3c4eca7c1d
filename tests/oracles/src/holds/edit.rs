//! What plugins change.

use portcullis_xmpp::{Event, Framer, Limits, Stanza, Subtype};

use super::script::pieces;

/// How long an edited stanza may be.
const LIMIT: usize = 4096;

/// A stanza, and edits as a plugin makes them: what the edits leave is legal, has the same addresses,
/// and is written so that it is read as the same.
pub fn edit(data: &[u8]) {
    let mut pieces = pieces(data);
    let Some(mut stanza) = pieces.next().and_then(read) else {
        return;
    };
    check(&stanza);
    for edit in pieces {
        let Some((kind, rest)) = edit.split_first() else {
            continue;
        };
        let Ok(rest) = std::str::from_utf8(rest) else {
            continue;
        };
        let mut words = rest.split('|');
        let mut word = || words.next().unwrap_or_default();
        let before = stanza.to_bytes().len();
        let copy = stanza.clone();
        let done = match kind {
            b'r' => stanza.remove(word(), word()).map(|_| ()),
            b'k' => stanza.retain(&[(word(), word())]).map(|_| ()),
            b't' => stanza.set_text(word(), word(), word(), LIMIT),
            b'a' => stanza.set_child_attribute(word(), word(), word(), word(), LIMIT),
            b'i' => stanza.insert(rest, LIMIT),
            _ => stanza.set_subtype(
                SUBTYPES
                    .get(rest.len() % SUBTYPES.len())
                    .copied()
                    .unwrap_or(Subtype::Chat),
            ),
        };
        check(&stanza);
        let after = stanza.to_bytes().len();
        // A changed type is the only one that is not counted: its names are about as long.
        assert!(after <= before.max(LIMIT) + 16, "{before} {after}");
        if done.is_err() {
            assert_eq!(stanza.to_bytes(), copy.to_bytes());
        }
        assert_eq!((stanza.from(), stanza.to()), (copy.from(), copy.to()));
        assert_eq!(stanza.id(), copy.id());
    }
}

const SUBTYPES: &[Subtype] = &[
    Subtype::Chat,
    Subtype::Groupchat,
    Subtype::Available,
    Subtype::Unavailable,
    Subtype::Subscribe,
    Subtype::Unsubscribed,
    Subtype::Get,
    Subtype::Set,
    Subtype::Result,
    Subtype::Error,
];

fn check(stanza: &Stanza) {
    let bytes = stanza.to_bytes();
    let again = read(&bytes);
    assert!(again.is_some(), "{}", bytes.escape_ascii());
    let Some(again) = again else { return };
    assert_eq!(again.to_bytes(), bytes);
    assert_eq!((again.from(), again.to()), (stanza.from(), stanza.to()));
    assert_eq!(again.id(), stanza.id());
    assert_eq!(
        (again.kind(), again.subtype()),
        (stanza.kind(), stanza.subtype())
    );
}

fn read(bytes: &[u8]) -> Option<Stanza> {
    // Many attributes can be set one by one.
    let limits = Limits {
        attributes: 10_000,
        unauthenticated_bytes: 64 * 1024,
        ..Limits::default()
    };
    let mut framer = Framer::new(limits);
    framer.push(
        b"<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' xml:lang='de'>",
    );
    framer.next().ok()?;
    framer.push(bytes);
    match framer.next().ok()? {
        Some(Event::Element(frame)) => Stanza::parse(frame).ok(),
        _ => None,
    }
}
