//! Our two machines speak to each other through memory, however the bytes are cut.

use proptest::prelude::*;

use super::outbound::stream as outbound;
use super::*;
use crate::{frame::Framer, stanza::Stanza};

const MESSAGE: &str = "<message from='juliet@org.test' to='romeo@alpha.test' type='chat'><body>hi &amp; bye</body></message>";

fn inbound(start: Start) -> Inbound {
    let settings = InboundSettings {
        limits: limits(),
        direction: Direction::Inbound,
        address: None,
        fallback: None,
        pairs: InboundSettings::PAIRS,
        idle_seconds: None,
    };
    let mut count = 0;
    let ids = Box::new(move || {
        count += 1;
        format!("s{count}")
    });
    Inbound::new(settings, ids, start)
}

/// As it goes out after [`OutboundAction::Established`].
fn message() -> Stanza {
    let mut framer = Framer::new(limits());
    framer.push(header("version='1.0' from='x.test'").as_bytes());
    framer.push(MESSAGE.as_bytes());
    framer.next().unwrap();
    match framer.next().unwrap() {
        Some(crate::frame::Event::Element(frame)) => Stanza::parse(frame).unwrap(),
        event => panic!("{event:?}"),
    }
}

struct Cable {
    inbound: Inbound,
    outbound: Outbound,
    to_inbound: Vec<u8>,
    to_outbound: Vec<u8>,
    /// How many bytes each read gives, over and over.
    reads: std::iter::Cycle<std::vec::IntoIter<usize>>,
    received: Vec<Stanza>,
    established: Vec<Arc<Peer>>,
    ends: Vec<StreamEnd>,
}

impl Cable {
    fn run(&mut self) {
        loop {
            self.drain_outbound();
            self.drain_inbound();
            let size = self.reads.next().unwrap_or(1);
            let both_in_handshake = (self.inbound.phase(), self.outbound.phase())
                == (Phase::Handshake, Phase::Handshake);
            if both_in_handshake {
                assert!(
                    self.to_inbound.is_empty() && self.to_outbound.is_empty(),
                    "nothing crosses the switch to TLS"
                );
                self.inbound
                    .tls_established(tls(TlsMode::StartTls, Some("alpha.test")));
                self.outbound
                    .tls_established(tls(TlsMode::StartTls, Some("alpha.test")));
            } else if !self.to_inbound.is_empty() {
                let rest = self.to_inbound.split_off(size.min(self.to_inbound.len()));
                self.inbound
                    .receive(&std::mem::replace(&mut self.to_inbound, rest));
            } else if !self.to_outbound.is_empty() {
                let rest = self.to_outbound.split_off(size.min(self.to_outbound.len()));
                self.outbound
                    .receive(&std::mem::replace(&mut self.to_outbound, rest));
            } else {
                return;
            }
        }
    }

    fn drain_inbound(&mut self) {
        while let Some(action) = self.inbound.next() {
            match action {
                InboundAction::Send(bytes) => self.to_outbound.extend(bytes),
                InboundAction::StartTls { to } => assert_eq!(to, domain("alpha.test")),
                InboundAction::Ask(question) => self.inbound.answer(Answers::yes().to(&question)),
                InboundAction::Established(peer) => self.established.push(peer),
                InboundAction::Stanza(stanza) => self.received.push(stanza.into_parts().0),
                InboundAction::BadStanza { fault, .. } => panic!("{fault:?}"),
                InboundAction::Verify(_) | InboundAction::Management(_) => {}
                InboundAction::Close(end) => self.ends.push(end),
            }
        }
    }

    fn drain_outbound(&mut self) {
        while let Some(action) = self.outbound.next() {
            match action {
                OutboundAction::Send(bytes) => self.to_inbound.extend(bytes),
                OutboundAction::StartTls { server_name } => {
                    assert_eq!(server_name, domain("alpha.test"))
                }
                OutboundAction::Ask(question) => self.outbound.answer(Answers::yes().to(&question)),
                OutboundAction::Established(peer) => {
                    self.established.push(peer);
                    for _ in 0..3 {
                        message().write_to(&mut self.to_inbound);
                    }
                }
                OutboundAction::Stanza(_)
                | OutboundAction::BadStanza { .. }
                | OutboundAction::Management(_)
                | OutboundAction::FallingBack(_)
                | OutboundAction::Verified(_) => {}
                OutboundAction::Failed(why) => panic!("{why}"),
                OutboundAction::Closed(end) => self.ends.push(end),
            }
        }
    }
}

fn start(mode: TlsMode) -> Start {
    match mode {
        TlsMode::Direct => Start::Tls(tls(mode, Some("alpha.test"))),
        TlsMode::StartTls => Start::Plain,
    }
}

fn talk(mode: TlsMode, reads: Vec<usize>) {
    let mut cable = Cable {
        inbound: inbound(start(mode)),
        outbound: outbound(start(mode)),
        to_inbound: Vec::new(),
        to_outbound: Vec::new(),
        reads: reads.into_iter().cycle(),
        received: Vec::new(),
        established: Vec::new(),
        ends: Vec::new(),
    };
    cable.run();
    let [theirs, ours] = cable.established.as_slice() else {
        panic!("{:?}", cable.established)
    };
    assert_eq!((&theirs.remote, &theirs.local), (&ours.local, &ours.remote));
    assert_eq!(
        theirs.stream_id, ours.stream_id,
        "both sides name the stream alike"
    );
    assert_eq!(cable.received.len(), 3);
    for stanza in &cable.received {
        assert_eq!(stanza.to_xml(), message().to_xml());
    }
    cable.outbound.close(None);
    cable.run();
    assert_eq!(cable.ends, [StreamEnd::Clean, StreamEnd::Clean]);
}

#[test]
fn our_two_sides_agree() {
    for mode in [TlsMode::Direct, TlsMode::StartTls] {
        talk(mode, vec![usize::MAX]);
        talk(mode, vec![1]);
    }
}

proptest! {
    #[test]
    fn our_two_sides_agree_however_bytes_are_cut(reads in prop::collection::vec(1usize..200, 1..40), direct: bool) {
        talk(if direct { TlsMode::Direct } else { TlsMode::StartTls }, reads);
    }

    /// Whatever comes, at whatever point: no panic, no stanza without authentication, and an end.
    #[test]
    fn garbage_never_authenticates(garbage in prop::collection::vec(any::<u8>(), 0..300), direct: bool) {
        let mut stream = inbound(start(if direct { TlsMode::Direct } else { TlsMode::StartTls }));
        stream.receive(header("from='org.test' to='alpha.test' version='1.0'").as_bytes());
        stream.receive(&garbage);
        stream.eof();
        let mut ended = false;
        while let Some(action) = stream.next() {
            match action {
                InboundAction::Ask(question) => stream.answer(Answers::yes().to(&question)),
                InboundAction::Established(_) | InboundAction::Stanza(_) | InboundAction::BadStanza { .. } => {
                    prop_assert!(false, "garbage was taken for a peer")
                }
                InboundAction::Close(_) => ended = true,
                InboundAction::Send(_)
                | InboundAction::StartTls { .. }
                | InboundAction::Verify(_)
                | InboundAction::Management(_) => {}
            }
        }
        prop_assert!(ended);
    }
}
