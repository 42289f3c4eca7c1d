//! Elements in, stanzas or faults out: how a text is read, and what came of it.

mod addresses;
mod answers;
mod edits;
mod passing;

use super::*;
use crate::{
    error::{StanzaCondition, StanzaError, StreamCondition},
    frame::{Event, Framer, Limits},
    jid::{Domain, Strictness},
};

const OPEN: &str = "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' xml:lang='de'>";
const LIMIT: usize = 10_000;

fn parse(text: &str) -> Result<Stanza, StanzaFault> {
    parse_as(text, Strictness::Tolerant)
}

fn parse_as(text: &str, addresses: Strictness) -> Result<Stanza, StanzaFault> {
    let mut framer = Framer::new(Limits {
        unauthenticated_bytes: LIMIT,
        stanza_bytes: LIMIT,
        addresses,
        ..Limits::default()
    });
    framer.push(OPEN.as_bytes());
    framer.push(text.as_bytes());
    assert!(matches!(framer.next(), Ok(Some(Event::Open(_)))));
    match framer.next() {
        Ok(Some(Event::Element(frame))) => Stanza::parse(frame),
        other => panic!("{text}: {other:?}"),
    }
}

fn stanza(kind: &str, inside: &str) -> Stanza {
    parse(&format!(
        "<{kind} from='a@alpha.test/r' to='b@beta.test' id='7' {inside}"
    ))
    .unwrap()
}

fn closes(text: &str) -> StreamCondition {
    match parse(text) {
        Err(StanzaFault::Stream(error)) => error.condition,
        other => panic!("{text}: {other:?}"),
    }
}

fn bad(text: &str) -> Box<BadStanza> {
    match parse(text) {
        Err(StanzaFault::Stanza(bad)) => bad,
        other => panic!("{text}: {other:?}"),
    }
}

fn written(stanza: &Stanza) -> String {
    String::from_utf8(stanza.to_bytes()).unwrap()
}
