//! Streams that we open.

use std::sync::Arc;

use portcullis_xmpp::{
    Direction, Domain, Limits,
    dialback::{Key, Secret, Verification},
    stream::{Method, Need, Outbound, OutboundAction, OutboundSettings, Peer, Purpose, Start},
};

use super::script::{Choices, ENDLESS, check_output, pieces};

/// A conversation that we open: it is established only as the terms allow, no key and no name of ours
/// goes out before TLS where that is required, stanzas come back only where both ways were agreed,
/// and it ends once.
pub fn outbound(data: &[u8]) {
    let Some((choices, rest)) = Choices::of(data) else {
        return;
    };
    let (Ok(local), Ok(remote)) = (Domain::parse("b.test"), Domain::parse("a.test")) else {
        return;
    };
    let purpose = match Key::parse("0123456789abcdef").filter(|_| choices.has(3, 0)) {
        Some(key) => Purpose::Verify(Verification {
            originating: remote.clone(),
            receiving: local.clone(),
            stream_id: Arc::from("417GAF25"),
            key,
        }),
        None => Purpose::Stanzas,
    };
    let settings = OutboundSettings {
        limits: Limits::default(),
        direction: Direction::Outbound,
        address: None,
        local,
        remote,
        terms: choices.terms(),
        secret: Secret::new("secret"),
        purpose,
        idle_seconds: Some(600),
    };
    let start = match choices.starts_with_tls() {
        true => Start::Tls(choices.facts()),
        false => Start::Plain,
    };
    let mut driver = Driver {
        choices,
        stream: Outbound::new(settings, start),
        output: Vec::new(),
        tls: choices.starts_with_tls(),
        established: Vec::new(),
        over: false,
    };
    driver.run();
    for piece in pieces(rest) {
        driver.stream.receive(piece);
        driver.run();
    }
    driver.stream.close(None);
    driver.run();
    driver.stream.eof();
    driver.run();
    driver.stream.close(None);
    driver.run();
    assert!(driver.over, "it does not end");
    check_output(&driver.output);
}

struct Driver {
    choices: Choices,
    stream: Outbound,
    output: Vec<u8>,
    tls: bool,
    established: Vec<Arc<Peer>>,
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

    fn take(&mut self, action: OutboundAction) {
        let terms = self.choices.terms();
        match action {
            OutboundAction::Send(bytes) => {
                let text = String::from_utf8_lossy(&bytes);
                let clear = terms.tls == Need::Required && !self.tls;
                assert!(
                    !clear || !(text.contains("<auth") || text.contains("<db:")),
                    "in the clear: {text}"
                );
                self.output.extend(bytes);
            }
            OutboundAction::StartTls { .. } => match self.choices.has(2, 3) {
                true => self.stream.tls_failed("no"),
                false => {
                    self.tls = true;
                    self.stream.tls_established(self.choices.facts());
                }
            },
            OutboundAction::Ask(question) => {
                let answer = self.choices.answer(&question);
                self.stream.answer(answer);
            }
            OutboundAction::Established(peer) => {
                assert!(!self.choices.has(3, 0), "opened for one question");
                assert!(!self.choices.has(2, 0), "refused: {peer:?}");
                assert!(
                    terms.tls != Need::Required || peer.tls.is_some(),
                    "{peer:?}"
                );
                assert_eq!(peer.tls.is_some(), self.tls);
                let allowed = match peer.method {
                    Some(Method::External(_)) => terms.external && self.tls,
                    Some(Method::TlsDialback) => terms.tls_dialback && self.tls,
                    Some(Method::TcpDialback) => terms.tcp_dialback && !self.tls,
                    None => false,
                };
                assert!(allowed, "{peer:?}");
                assert!(!peer.bidi || terms.bidi, "{peer:?}");
                self.established.push(peer);
            }
            OutboundAction::Stanza(stanza) => {
                let peer = stanza.peer();
                assert!(terms.bidi && !self.established.is_empty(), "{peer:?}");
                assert_eq!(*stanza.stanza().from().domain(), peer.remote);
                assert_eq!(*stanza.stanza().to().domain(), peer.local);
                assert_eq!(peer.remote.as_str(), "a.test");
            }
            OutboundAction::BadStanza { peer, .. } => {
                assert!(terms.bidi && !self.established.is_empty(), "{peer:?}");
            }
            OutboundAction::Management(_) => assert!(!self.established.is_empty()),
            OutboundAction::FallingBack(_) => assert!(terms.tls_dialback),
            OutboundAction::Verified(_) => {
                assert!(self.choices.has(3, 0), "nothing was asked");
                self.over = true;
            }
            OutboundAction::Failed(_) => {
                assert!(self.established.is_empty());
                self.over = true;
            }
            OutboundAction::Closed(_) => self.over = true,
        }
    }
}
