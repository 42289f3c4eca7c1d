//! Both machines with a driver that answers as it is told, and what came of it.

use std::sync::Arc;

use portcullis_xmpp::{
    dialback::{DialbackError, Secret, Verification, Verified},
    error::StreamError,
    frame::Limits,
    jid::Domain,
    management::Nonza,
    stanza::Direction,
    stream::{
        Answer, Inbound, InboundAction, InboundSettings, Need, Outbound, OutboundAction,
        OutboundFailure, OutboundSettings, Peer, Proof, Purpose, Question, Start, StreamEnd, Terms,
        TlsFacts, TlsMode,
    },
};

pub(crate) const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
pub(crate) const PROCEED: &str = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
pub(crate) const AUTH: &str =
    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>";
pub(crate) const SUCCESS: &str = "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";
pub(crate) const FAILURE: &str =
    "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>";

/// TLS or not, certificate or dialback.
pub(crate) const EVERYTHING: Terms = Terms {
    tls: Need::Optional,
    external: true,
    tls_dialback: true,
    tcp_dialback: true,
    bidi: false,
    management: false,
};
/// TLS with certificate or dialback.
pub(crate) const TLS: Terms = Terms {
    tls: Need::Required,
    tcp_dialback: false,
    ..EVERYTHING
};

pub(crate) fn domain(name: &str) -> Domain {
    Domain::parse(name).unwrap()
}

pub(crate) fn tls() -> TlsFacts {
    TlsFacts {
        version: "TLSv1.3",
        cipher: "TLS13_AES_256_GCM_SHA384",
        sni: None,
        mode: TlsMode::Direct,
        certificate: Some(Arc::from(&b"der"[..])),
    }
}

pub(crate) fn direct() -> Start {
    Start::Tls(tls())
}

pub(crate) fn header(attributes: &str) -> String {
    format!(
        "<stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' \
         xmlns:stream='http://etherx.jabber.org/streams' {attributes}>"
    )
}

/// The header of alpha.test's server on a stream to org.test.
pub(crate) fn alpha() -> String {
    header("from='alpha.test' to='org.test' version='1.0'")
}

pub(crate) fn message(from: &str, to: &str) -> String {
    format!("<message from='romeo@{from}' to='juliet@{to}' type='chat'><body>hi</body></message>")
}

pub(crate) fn secret() -> Secret {
    Secret::new("s3cr3t")
}

/// How the driver answers.
#[derive(Clone)]
pub(crate) struct Answers {
    pub(crate) open: Terms,
    pub(crate) prove: Result<Proof, String>,
    pub(crate) pair: Result<Terms, DialbackError>,
    pub(crate) admit: Result<(), StreamError>,
}

impl Answers {
    /// To a peer with a good certificate.
    pub(crate) fn on(terms: Terms) -> Self {
        Self {
            open: terms,
            prove: Ok(Proof::Pkix),
            pair: Ok(terms),
            admit: Ok(()),
        }
    }

    /// To a peer whose certificate is worth nothing.
    pub(crate) fn unproven(terms: Terms) -> Self {
        Self {
            prove: Err("no certificate".into()),
            ..Self::on(terms)
        }
    }

    fn to(&self, question: &Question) -> Answer {
        match question {
            Question::Open { .. } => Answer::Open(Ok(self.open)),
            Question::Prove { .. } => Answer::Prove(self.prove.clone()),
            Question::Pair { .. } => Answer::Pair(self.pair.clone()),
            Question::Key(asked) => Answer::Key(secret().verify(asked)),
            Question::Admit(_) => Answer::Admit(self.admit.clone()),
        }
    }
}

fn describe(question: &Question) -> String {
    match question {
        Question::Open { from, to } => {
            format!("open? {} {to}", from.as_ref().map_or("-", Domain::as_str))
        }
        Question::Prove { domain } => format!("prove? {domain}"),
        Question::Pair { from, to } => format!("pair? {from} {to}"),
        Question::Key(asked) => format!("key? {} {}", asked.originating, asked.stream_id),
        Question::Admit(peer) => format!("admit? {} {}", peer.remote, peer.local),
    }
}

/// A peer as events show it.
fn name(peer: &Peer) -> String {
    format!(
        "{} {} {} {}",
        peer.remote,
        peer.local,
        peer.stream_id,
        peer.method.map_or("-", |method| method.as_str())
    )
}

/// What stands in the sent bytes, without what every header says.
fn brief(sent: &[u8]) -> String {
    std::str::from_utf8(sent).unwrap().replace(
        "<?xml version='1.0'?><stream:stream xmlns='jabber:server' \
         xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='jabber:server:dialback'",
        "<HEADER",
    )
}

/// A stream that somebody opens to us.
pub(crate) struct Receiving {
    pub(crate) machine: Inbound,
    pub(crate) answers: Answers,
    /// All that was sent.
    pub(crate) sent: String,
    /// The same as it was.
    pub(crate) raw: String,
    /// Whether somebody else ends the handshake.
    pub(crate) hold_tls: bool,
    pub(crate) events: Vec<String>,
    pub(crate) verifications: Vec<Verification>,
    pub(crate) peers: Vec<Arc<Peer>>,
    pub(crate) nonzas: Vec<Nonza>,
    pub(crate) end: Option<StreamEnd>,
}

impl Receiving {
    /// To org.test.
    pub(crate) fn new(start: Start, answers: Answers) -> Self {
        Self::of("org.test", start, answers)
    }

    /// To alpha.test.
    pub(crate) fn to_alpha(start: Start, answers: Answers) -> Self {
        Self::of("alpha.test", start, answers)
    }

    fn of(own: &str, start: Start, answers: Answers) -> Self {
        let settings = InboundSettings {
            limits: Limits::default(),
            direction: Direction::Inbound,
            address: None,
            fallback: Some(domain(own)),
            pairs: 4,
            idle_seconds: Some(600),
        };
        let mut count = 0;
        let ids = Box::new(move || {
            count += 1;
            format!("s{count}")
        });
        Self {
            machine: Inbound::new(settings, ids, start),
            answers,
            sent: String::new(),
            raw: String::new(),
            hold_tls: false,
            events: Vec::new(),
            verifications: Vec::new(),
            peers: Vec::new(),
            nonzas: Vec::new(),
            end: None,
        }
    }

    /// The peer says this; returns what was sent in return. Where it is cut makes no difference.
    pub(crate) fn hear(&mut self, xml: &str) -> String {
        let before = self.sent.len();
        for byte in xml.as_bytes() {
            self.machine.receive(&[*byte]);
            self.run();
        }
        self.sent[before..].to_owned()
    }

    /// A verification comes back.
    pub(crate) fn verified(&mut self, number: usize, verified: Verified) -> String {
        let before = self.sent.len();
        let asked = self.verifications[number].clone();
        self.machine.verified(asked, verified);
        self.run();
        self.sent[before..].to_owned()
    }

    pub(crate) fn manage(&mut self, nonza: &Nonza) -> Option<String> {
        let before = self.sent.len();
        let said = self.machine.manage(nonza);
        self.run();
        said.then(|| self.sent[before..].to_owned())
    }

    pub(crate) fn run(&mut self) {
        while let Some(action) = self.machine.next() {
            match action {
                InboundAction::Send(bytes) => {
                    self.sent.push_str(&brief(&bytes));
                    self.raw.push_str(std::str::from_utf8(&bytes).unwrap());
                }
                InboundAction::StartTls { .. } => {
                    self.sent.push_str("[TLS]");
                    if !self.hold_tls {
                        self.machine.tls_established(tls());
                    }
                }
                InboundAction::Ask(question) => {
                    self.events.push(describe(&question));
                    self.machine.answer(self.answers.to(&question));
                }
                InboundAction::Verify(asked) => {
                    self.events
                        .push(format!("verify {} {}", asked.originating, asked.receiving));
                    self.verifications.push(asked);
                }
                InboundAction::Established(peer) => {
                    self.events.push(format!("established {}", name(&peer)));
                    self.peers.push(peer);
                }
                InboundAction::Stanza(stanza) => self
                    .events
                    .push(format!("stanza {}", stanza.stanza().from())),
                InboundAction::BadStanza { fault, .. } => {
                    self.events.push(format!("bad {}", fault.from));
                }
                InboundAction::Management(nonza) => self.nonzas.push(nonza),
                InboundAction::Close(end) => {
                    self.end = Some(end);
                }
            }
        }
    }

    #[track_caller]
    pub(crate) fn closed_with(&self, condition: &str) {
        closed_with(&self.sent, condition);
    }

    #[track_caller]
    pub(crate) fn open(&self) {
        assert!(!self.sent.contains("</stream:stream>"), "{}", self.sent);
        assert_eq!(self.end, None);
    }

    /// Nobody was let in.
    #[track_caller]
    pub(crate) fn nobody(&self) {
        assert!(self.peers.is_empty(), "{:?}", self.events);
        assert!(
            !self.events.iter().any(|event| event.starts_with("stanza")),
            "{:?}",
            self.events
        );
    }
}

#[track_caller]
pub(crate) fn closed_with(sent: &str, condition: &str) {
    let error = format!("<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>");
    assert!(sent.contains(&error), "no {condition}: {sent}");
    assert!(sent.ends_with("</stream:stream>"), "{sent}");
}

/// A stream that we open, from org.test to alpha.test.
pub(crate) struct Initiating {
    pub(crate) machine: Outbound,
    pub(crate) answers: Answers,
    pub(crate) sent: String,
    pub(crate) raw: String,
    pub(crate) hold_tls: bool,
    pub(crate) events: Vec<String>,
    pub(crate) peers: Vec<Arc<Peer>>,
    /// Of stanzas that came on it.
    pub(crate) senders: Vec<Arc<Peer>>,
    pub(crate) nonzas: Vec<Nonza>,
    pub(crate) failure: Option<OutboundFailure>,
    pub(crate) verified: Option<Verified>,
    pub(crate) end: Option<StreamEnd>,
}

impl Initiating {
    pub(crate) fn new(start: Start, answers: Answers) -> Self {
        Self::for_purpose(start, answers, Purpose::Stanzas)
    }

    pub(crate) fn for_purpose(start: Start, answers: Answers, purpose: Purpose) -> Self {
        let settings = OutboundSettings {
            limits: Limits::default(),
            direction: Direction::Outbound,
            address: None,
            local: domain("org.test"),
            remote: domain("alpha.test"),
            terms: answers.open,
            secret: secret(),
            purpose,
            idle_seconds: Some(600),
        };
        let mut stream = Self {
            machine: Outbound::new(settings, start),
            answers,
            sent: String::new(),
            raw: String::new(),
            hold_tls: false,
            events: Vec::new(),
            peers: Vec::new(),
            senders: Vec::new(),
            nonzas: Vec::new(),
            failure: None,
            verified: None,
            end: None,
        };
        stream.run();
        stream
    }

    pub(crate) fn hear(&mut self, xml: &str) -> String {
        let before = self.sent.len();
        for byte in xml.as_bytes() {
            self.machine.receive(&[*byte]);
            self.run();
        }
        self.sent[before..].to_owned()
    }

    /// The peer's header and these features.
    pub(crate) fn features(&mut self, id: &str, features: &str) -> String {
        self.hear(&format!(
            "{}<stream:features>{features}</stream:features>",
            header(&format!(
                "from='alpha.test' to='org.test' id='{id}' version='1.0'"
            ))
        ))
    }

    pub(crate) fn manage(&mut self, nonza: &Nonza) -> Option<String> {
        let before = self.sent.len();
        let said = self.machine.manage(nonza);
        self.run();
        said.then(|| self.sent[before..].to_owned())
    }

    pub(crate) fn run(&mut self) {
        while let Some(action) = self.machine.next() {
            match action {
                OutboundAction::Send(bytes) => {
                    self.sent.push_str(&brief(&bytes));
                    self.raw.push_str(std::str::from_utf8(&bytes).unwrap());
                }
                OutboundAction::StartTls { .. } => {
                    self.sent.push_str("[TLS]");
                    if !self.hold_tls {
                        self.machine.tls_established(tls());
                    }
                }
                OutboundAction::Ask(question) => {
                    self.events.push(describe(&question));
                    self.machine.answer(self.answers.to(&question));
                }
                OutboundAction::Established(peer) => {
                    self.events.push(format!("established {}", name(&peer)));
                    self.peers.push(peer);
                }
                OutboundAction::Stanza(stanza) => {
                    self.events
                        .push(format!("stanza {}", stanza.stanza().from()));
                    self.senders.push(Arc::clone(stanza.peer()));
                }
                OutboundAction::BadStanza { fault, .. } => {
                    self.events.push(format!("bad {}", fault.from));
                }
                OutboundAction::Management(nonza) => self.nonzas.push(nonza),
                OutboundAction::FallingBack(why) => {
                    self.events.push(format!("falls back: {why}"));
                }
                OutboundAction::Verified(verified) => self.verified = Some(verified),
                OutboundAction::Failed(why) => self.failure = Some(why),
                OutboundAction::Closed(end) => self.end = Some(end),
            }
        }
    }

    #[track_caller]
    pub(crate) fn fails(&self, words: &str) -> &OutboundFailure {
        let failure = self.failure.as_ref().unwrap_or_else(|| {
            panic!("it did not fail: {} {:?}", self.sent, self.events);
        });
        assert!(failure.to_string().contains(words), "{failure}");
        failure
    }
}

pub(crate) const EXTERNAL: &str = "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
    <mechanism>EXTERNAL</mechanism></mechanisms>";
pub(crate) const DIALBACK: &str =
    "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>";
