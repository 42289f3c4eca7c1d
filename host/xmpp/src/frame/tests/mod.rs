//! Bytes in, events out: what a script begins with, and what came of it.

mod boundaries;
mod headers;
mod limits;
mod xml;

use super::*;

const OPEN: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' \
                    xmlns:db='jabber:server:dialback' from='a.test' to='b.test' xml:lang='de' version='1.0'>";

fn limits() -> Limits {
    Limits {
        stanza_bytes: 20_000,
        ..Limits::default()
    }
}

/// All events of these pieces, with runs of whitespace joined, and the error that ended them.
fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Event>, Option<FrameError>) {
    let mut framer = Framer::new(limits());
    framer.authenticated();
    let mut events = Vec::new();
    for piece in pieces {
        framer.push(piece);
        loop {
            match framer.next() {
                Ok(None) => break,
                Ok(Some(Event::Whitespace)) if events.last() == Some(&Event::Whitespace) => {}
                Ok(Some(event)) => events.push(event),
                Err(error) => return (events, Some(error)),
            }
        }
    }
    (events, None)
}

fn after_open(content: &[u8]) -> (Vec<Event>, Option<FrameError>) {
    let (mut events, error) = read([OPEN.as_bytes(), content]);
    assert!(matches!(events.remove(0), Event::Open(_)));
    (events, error)
}

fn header(text: &str) -> Result<StreamHeader, FrameError> {
    match read([text.as_bytes()]) {
        (events, None) => match events.into_iter().next() {
            Some(Event::Open(header)) => Ok(*header),
            other => panic!("{other:?}"),
        },
        (_, Some(error)) => Err(error),
    }
}

fn condition(content: impl AsRef<[u8]>) -> StreamCondition {
    let (events, error) = after_open(content.as_ref());
    error
        .unwrap_or_else(|| panic!("{events:?}"))
        .stream_error()
        .condition
}

fn elements(content: &str) -> Vec<String> {
    let (events, error) = after_open(content.as_bytes());
    assert_eq!(error, None);
    events
        .into_iter()
        .filter_map(|event| match event {
            Event::Element(frame) => Some(Writer::new(ns::SERVER).to_xml(frame.element())),
            _ => None,
        })
        .collect()
}
