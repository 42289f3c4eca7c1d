//! Streams that somebody else opens.

use std::sync::Arc;

use portcullis_xmpp::{
    Direction, Domain, Limits,
    dialback::Verification,
    stream::{Inbound, InboundAction, InboundSettings, Method, Need, Peer, Start},
};

use super::script::{Choices, ENDLESS, check_output, pieces};

/// A conversation that somebody else opens: only stanzas of pairs that were authenticated, on the terms
/// that were given, come out; the peer reads well-formed XML; and the stream ends when it is ended.
pub fn inbound(data: &[u8]) {
    let Some((choices, rest)) = Choices::of(data) else {
        return;
    };
    let start = match choices.starts_with_tls() {
        true => Start::Tls(choices.facts()),
        false => Start::Plain,
    };
    let mut number = 0_u64;
    let ids = Box::new(move || {
        number += 1;
        format!("id{number:032}")
    });
    let settings = InboundSettings {
        limits: Limits::default(),
        direction: Direction::Inbound,
        address: None,
        fallback: Domain::parse("b.test").ok(),
        pairs: 4,
        idle_seconds: Some(600),
    };
    let mut driver = Driver {
        choices,
        stream: Inbound::new(settings, ids, start),
        output: Vec::new(),
        established: Vec::new(),
        asked: Vec::new(),
        over: false,
    };
    for piece in pieces(rest) {
        driver.stream.receive(piece);
        driver.run();
        for asked in std::mem::take(&mut driver.asked) {
            driver.stream.verified(asked, choices.verified());
            driver.run();
        }
    }
    driver.stream.close(None);
    driver.run();
    driver.stream.eof();
    driver.run();
    driver.stream.close(None);
    driver.run();
    assert!(driver.over, "it does not end");
    if !driver.output.is_empty() {
        check_output(&driver.output);
    }
}

/// The same, where dialback elements come at once: on a stream with direct TLS, whose header is there.
pub fn dialback(data: &[u8]) {
    let header = b"I@@@<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='jabber:server:dialback' from='a.test' to='b.test' version='1.0'>\xFF";
    inbound(&[header, data].concat());
}

struct Driver {
    choices: Choices,
    stream: Inbound,
    output: Vec<u8>,
    established: Vec<Arc<Peer>>,
    asked: Vec<Verification>,
    over: bool,
}

impl Driver {
    fn run(&mut self) {
        for _ in 0..ENDLESS {
            let Some(action) = self.stream.next() else {
                return;
            };
            assert!(!self.over, "after the end: {action:?}");
            self.take(action);
        }
        assert!(self.over, "it goes on for ever");
    }

    fn take(&mut self, action: InboundAction) {
        match action {
            InboundAction::Send(bytes) => self.output.extend(bytes),
            InboundAction::StartTls { .. } => {
                check_output(&self.output);
                self.output.clear();
                match self.choices.has(2, 3) {
                    true => self.stream.tls_failed("no"),
                    false => self.stream.tls_established(self.choices.facts()),
                }
            }
            InboundAction::Ask(question) => {
                let answer = self.choices.answer(&question);
                self.stream.answer(answer);
            }
            InboundAction::Verify(asked) => {
                let terms = self.choices.terms();
                assert!(terms.tls_dialback || terms.tcp_dialback);
                self.asked.push(asked);
            }
            InboundAction::Established(peer) => self.established(peer),
            InboundAction::Stanza(stanza) => {
                let peer = stanza.peer();
                assert!(
                    self.established.contains(peer),
                    "{peer:?} is not established"
                );
                assert_eq!(*stanza.stanza().from().domain(), peer.remote);
                assert_eq!(*stanza.stanza().to().domain(), peer.local);
            }
            InboundAction::BadStanza { peer, fault } => {
                assert!(
                    self.established.contains(&peer),
                    "{peer:?} is not established"
                );
                assert_eq!((&fault.from, &fault.to), (&peer.remote, &peer.local));
            }
            InboundAction::Management(_) => assert!(!self.established.is_empty()),
            InboundAction::Close(_) => self.over = true,
        }
    }

    /// Proven by what the terms allow, and refused nowhere.
    fn established(&mut self, peer: Arc<Peer>) {
        let (choices, terms) = (self.choices, self.choices.terms());
        assert!(
            !choices.has(1, 2) && !choices.has(2, 0),
            "refused: {peer:?}"
        );
        assert!(
            terms.tls != Need::Required || peer.tls.is_some(),
            "{peer:?}"
        );
        match peer.method {
            Some(Method::External(_)) => {
                assert!(terms.external && !choices.has(1, 3), "{peer:?}");
                assert!(peer.tls.is_some(), "{peer:?}");
            }
            Some(Method::TlsDialback) => {
                assert!(terms.tls_dialback && peer.tls.is_some(), "{peer:?}");
            }
            Some(Method::TcpDialback) => {
                assert!(terms.tcp_dialback && peer.tls.is_none(), "{peer:?}");
            }
            None => assert!(peer.method.is_some(), "not proven: {peer:?}"),
        }
        self.established.push(peer);
    }
}
