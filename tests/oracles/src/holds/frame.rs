//! Framing.

use portcullis_xmpp::{Event, Framer, Limits, Stanza, ns, xml::Writer};

const OPEN: &[u8] =
    b"<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams'>";

/// Any bytes: the same events however they are cut, memory within the limit, and every element that is
/// taken is written so that it is read as the same.
pub fn frame(data: &[u8]) {
    let (whole, _) = read([data]);
    assert_eq!(read(data.chunks(1)).0, whole);
    for event in whole {
        let Event::Element(frame) = event else {
            continue;
        };
        let written = Writer::new(ns::SERVER).to_xml(frame.element());
        if written.len() < Limits::default().unauthenticated_bytes {
            let (again, failed) = read([OPEN, written.as_bytes()]);
            assert!(!failed, "{written}");
            assert!(
                matches!(again.last(), Some(Event::Element(again)) if again.element() == frame.element()),
                "{written}"
            );
        }
        if let Ok(stanza) = Stanza::parse(frame) {
            assert!(!stanza.to_xml().is_empty());
        }
    }
}

fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Event>, bool) {
    let limits = Limits::default();
    let mut framer = Framer::new(limits);
    let mut events = Vec::new();
    for piece in pieces {
        framer.push(piece);
        loop {
            match framer.next() {
                Ok(None) => break,
                Ok(Some(Event::Whitespace)) if events.last() == Some(&Event::Whitespace) => {}
                Ok(Some(event)) => events.push(event),
                Err(_) => return (events, true),
            }
        }
        assert!(framer.buffered() < limits.unauthenticated_bytes);
    }
    (events, false)
}
