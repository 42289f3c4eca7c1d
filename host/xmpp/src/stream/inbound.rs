//! The receiving entity: a stream that somebody else opens, on either listener.
//!
//! header -> STARTTLS -> header -> SASL EXTERNAL -> header -> stanzas; direct TLS begins at the
//! second header. Each state holds just what is known by then, so that no step can be left out:
//! only a proven pair of domains can authenticate, and only an authenticated one yields stanzas.
//!
//! Nothing from before TLS survives but the domain that the certificate was chosen for: a later
//! header that asks for another one closes the stream.

use std::{collections::VecDeque, mem, net::SocketAddr, sync::Arc};

use super::{
    Answer, Authenticated, Method, NoTls, Peer, Phase, Question, Start, StreamEnd, TlsFacts,
    features::{self, Offer},
    first_level::{self, Checked},
    header::{self, Claim},
    wire::Wire,
};
use crate::{
    error::{StreamCondition, StreamError},
    frame::{Event, Frame, FrameError, Limits, StreamHeader},
    jid::Domain,
    ns, sasl,
    stanza::{BadStanza, Direction},
    xml::Element,
};

/// RFC 6120 §6.4.5: at least two and at most five tries.
const AUTHENTICATION_TRIES: u8 = 5;
/// XEP-0288. Servers that have it say `<bidi/>` in one breath with `<auth/>`.
const BIDI: &str = "urn:xmpp:bidi";

/// What an inbound stream has to know from the start.
#[derive(Debug, Clone)]
pub struct InboundSettings {
    /// Bounds for what the peer sends.
    pub limits: Limits,
    /// Which way the stanzas of this stream go.
    pub direction: Direction,
    /// The peer's network address.
    pub address: Option<SocketAddr>,
    /// One of the domains that are served here, shown as `from` to a peer that asked for one that
    /// is not (RFC 6120 §4.9.1.3). Without it, `from` is empty then.
    pub fallback: Option<Domain>,
}

/// What the driver has to do.
#[derive(Debug)]
pub enum InboundAction {
    /// Write these bytes, and flush before the next read at the latest.
    Send(Vec<u8>),
    /// Flush, then do the TLS handshake as the server, with the certificate of this domain; then
    /// call `tls_established` or `tls_failed`. Bytes that were read beyond this point and not given to
    /// `receive` must not get into the TLS session either.
    StartTls {
        /// The domain that the peer wants to speak to.
        to: Domain,
    },
    /// Find the answer, and call `answer`.
    Ask(Question),
    /// The peer is authenticated and admitted; its stanzas follow.
    Established(Arc<Peer>),
    /// Judge it.
    Stanza(Authenticated),
    /// A stanza that is not fit to be judged; its domains are this stream's. It is settled by sending
    /// its `reply` back (over a stream in the other direction), or dropped if there is none.
    BadStanza {
        /// Who sent it.
        peer: Arc<Peer>,
        /// What is wrong with it, and what to answer.
        fault: Box<BadStanza>,
    },
    /// The last action: flush, say TLS's close_notify, close the connection.
    Close(StreamEnd),
}

/// The state machine of one inbound stream. See [the module](super) for how to drive it.
pub struct Inbound {
    settings: InboundSettings,
    stream_ids: Box<dyn FnMut() -> String + Send>,
    wire: Wire,
    face: Face,
    failures: u8,
    state: State,
    actions: VecDeque<InboundAction>,
    eof: bool,
}

/// What our header shows.
struct Face {
    /// The domain that the peer wants to speak to, once it may; a fallback before.
    own: Option<Domain>,
    /// Whom the peer says it is.
    peer: Option<Domain>,
    /// The id in our header, if it was sent.
    id: Option<Arc<str>>,
}

enum State {
    Reading(Reading),
    Asked(Asked),
    /// The driver does the TLS handshake.
    Handshake(Claim),
    /// Closed after XML that cannot be read on; we wait for the connection to end.
    Deaf(StreamEnd),
    Over,
}

enum Reading {
    Header(Security),
    StartTls(Claim),
    Authenticating(Proven, sasl::Acceptor),
    /// Authenticated and admitted; the restarted stream's header is awaited.
    Restart(Arc<Peer>),
    Established(Arc<Peer>),
    /// We have said `</stream:stream>`; the peer has not.
    Closing { end: StreamEnd, sender: Option<Arc<Peer>> },
}

enum Asked {
    Open(Security, Claim),
    Prove(Proven),
    Admit(Arc<Peer>),
}

enum Security {
    Plain,
    /// With what was agreed on before STARTTLS.
    Tls(TlsFacts, Option<Claim>),
}

/// A pair of domains and the TLS session whose certificate is (or is asked to be) good for `from`.
struct Proven {
    from: Domain,
    to: Domain,
    tls: TlsFacts,
}

impl Inbound {
    /// A stream on a new connection. `stream_ids` makes each id: never the same twice, not to be
    /// guessed (at least 128 random bits, RFC 6120 §4.7.3), letters and digits only.
    pub fn new(settings: InboundSettings, stream_ids: Box<dyn FnMut() -> String + Send>, start: Start) -> Self {
        let security = match start {
            Start::Plain => Security::Plain,
            Start::Tls(facts) => Security::Tls(facts, None),
        };
        Self {
            wire: Wire::new(settings.limits),
            face: Face::new(&settings),
            settings,
            stream_ids,
            failures: 0,
            state: State::Reading(Reading::Header(security)),
            actions: VecDeque::new(),
            eof: false,
        }
    }

    /// Takes bytes that were read: in the clear or, once TLS stands, out of the TLS session.
    pub fn receive(&mut self, bytes: &[u8]) {
        match self.state {
            State::Handshake(_) => self.state = self.finish(StreamEnd::NoTls(NoTls::Injection)),
            State::Deaf(_) | State::Over => {}
            State::Reading(_) | State::Asked(_) => self.wire.receive(bytes),
        }
    }

    /// Nothing more can be read.
    pub fn eof(&mut self) {
        self.eof = true;
    }

    /// The handshake that [`InboundAction::StartTls`] asked for is done.
    pub fn tls_established(&mut self, facts: TlsFacts) {
        self.state = match mem::replace(&mut self.state, State::Over) {
            State::Handshake(claim) => {
                self.wire.renew();
                self.face = Face::new(&self.settings);
                State::Reading(Reading::Header(Security::Tls(facts, Some(claim))))
            }
            State::Over => State::Over,
            _ => self.finish(StreamEnd::Abandoned),
        };
    }

    /// The TLS session has failed, in its handshake or later. Nothing more is sent (RFC 6120
    /// §5.4.3.2).
    pub fn tls_failed(&mut self, reason: impl Into<String>) {
        if !matches!(self.state, State::Over) {
            self.state = self.finish(StreamEnd::NoTls(NoTls::Handshake(reason.into())));
        }
    }

    /// Answers the question that was asked.
    pub fn answer(&mut self, answer: Answer) {
        let asked = match mem::replace(&mut self.state, State::Over) {
            State::Asked(asked) => asked,
            // Closed in the meantime.
            state => {
                self.state = state;
                return;
            }
        };
        self.state = match (asked, answer) {
            (Asked::Open(security, claim), Answer::Open(Ok(()))) => self.opened(security, claim),
            (Asked::Open(_, claim), Answer::Open(Err(error))) => {
                if !matches!(error.condition, StreamCondition::HostUnknown | StreamCondition::HostGone) {
                    self.face.own = Some(claim.to);
                }
                self.fail(error)
            }
            (Asked::Prove(proven), Answer::Prove(Ok(()))) => {
                self.write_header();
                self.wire.element(&features::offered(Offer::External));
                let acceptor = sasl::Acceptor::new(proven.from.clone());
                State::Reading(Reading::Authenticating(proven, acceptor))
            }
            (Asked::Prove(_), Answer::Prove(Err(reason))) => {
                self.fail(StreamError::new(StreamCondition::PolicyViolation).with_text(reason))
            }
            (Asked::Admit(peer), Answer::Admit(Ok(()))) => {
                self.wire.element(&Element::new(ns::SASL, "success"));
                self.wire.restart();
                self.face.id = None;
                State::Reading(Reading::Restart(peer))
            }
            (Asked::Admit(_), Answer::Admit(Err(error))) => {
                self.wire.element(&sasl::Failure::new(sasl::Condition::NotAuthorized).to_element());
                self.fail(error)
            }
            _ => self.fail(StreamError::new(StreamCondition::InternalServerError)),
        };
    }

    /// Closes the stream, with an error or in peace. Nothing may be sent after it; stanzas that still
    /// come are handed out until the peer has closed its side too (RFC 6120 §4.4), if no error was
    /// said. A second call ends the wait for that.
    pub fn close(&mut self, error: Option<StreamError>) {
        self.state = match mem::replace(&mut self.state, State::Over) {
            State::Over => State::Over,
            State::Handshake(_) | State::Reading(Reading::Header(_)) => self.finish(StreamEnd::Abandoned),
            State::Deaf(end) | State::Reading(Reading::Closing { end, .. }) => self.finish(end.without_reply()),
            State::Reading(reading) => {
                let sender = match (&reading, &error) {
                    (Reading::Established(peer), None) => Some(Arc::clone(peer)),
                    _ => None,
                };
                self.say_close(error, sender)
            }
            State::Asked(_) => self.say_close(error, None),
        };
    }

    /// What to do next; none if the machine waits for bytes, for an answer or for TLS.
    #[expect(clippy::should_implement_trait, reason = "it goes on after None, which an iterator should not")]
    pub fn next(&mut self) -> Option<InboundAction> {
        loop {
            if let Some(bytes) = self.wire.take_output() {
                return Some(InboundAction::Send(bytes));
            }
            if let Some(action) = self.actions.pop_front() {
                return Some(action);
            }
            self.state = match mem::replace(&mut self.state, State::Over) {
                State::Reading(reading) => match self.wire.next_event() {
                    Ok(Some(event)) => self.event(reading, event),
                    Err(error) => self.unreadable(reading, &error),
                    Ok(None) if self.eof => self.finish(reading.end().without_reply()),
                    Ok(None) => {
                        self.state = State::Reading(reading);
                        return None;
                    }
                },
                State::Deaf(end) if self.eof => self.finish(end),
                state => {
                    self.state = state;
                    return None;
                }
            };
        }
    }

    /// Where the stream stands.
    pub fn phase(&self) -> Phase {
        match &self.state {
            State::Reading(Reading::Header(Security::Plain) | Reading::StartTls(_))
            | State::Asked(Asked::Open(Security::Plain, _)) => Phase::Opening,
            State::Handshake(_) => Phase::Handshake,
            State::Reading(Reading::Header(Security::Tls(..)) | Reading::Authenticating(..) | Reading::Restart(_))
            | State::Asked(_) => Phase::Authenticating,
            State::Reading(Reading::Established(_)) => Phase::Established,
            State::Reading(Reading::Closing { .. }) | State::Deaf(_) => Phase::Closing,
            State::Over => Phase::Closed,
        }
    }

    fn event(&mut self, reading: Reading, event: Event) -> State {
        match (reading, event) {
            (reading, Event::Whitespace) => State::Reading(reading),
            (Reading::Closing { end, .. }, Event::Close) => self.finish(end),
            (_, Event::Close) => {
                self.write_header();
                self.wire.close();
                self.finish(StreamEnd::Clean)
            }
            (Reading::Header(security), Event::Open(header)) => self.header(security, &header),
            (Reading::Restart(peer), Event::Open(header)) => self.restarted(&peer, &header),
            (Reading::StartTls(claim), Event::Element(frame)) => self.before_tls(claim, frame.element()),
            (Reading::Authenticating(proven, acceptor), Event::Element(frame)) => {
                self.authenticating(proven, acceptor, frame.element())
            }
            (Reading::Established(peer), Event::Element(frame)) => self.established(peer, frame),
            (Reading::Closing { end, sender }, Event::Element(frame)) => self.closing(end, sender, frame),
            (Reading::Closing { end, .. }, Event::Open(_)) => State::Deaf(end),
            (Reading::Header(_) | Reading::Restart(_), Event::Element(_)) | (_, Event::Open(_)) => {
                self.fail(StreamError::new(StreamCondition::BadFormat))
            }
        }
    }

    fn header(&mut self, security: Security, header: &StreamHeader) -> State {
        self.face.peer = header::sender(header);
        if !header::is_modern(header) {
            return self.fail(unsupported_version());
        }
        let claim = match Claim::of(header) {
            Ok(claim) => claim,
            Err(error) => return self.fail(error),
        };
        if let Security::Tls(facts, before) = &security {
            let agreed = before.as_ref().map(|before| &before.to);
            if [facts.sni.as_ref(), agreed].into_iter().flatten().any(|name| *name != claim.to) {
                return self.fail(
                    StreamError::new(StreamCondition::ImproperAddressing)
                        .with_text("TLS was set up for another domain than the header's 'to'"),
                );
            }
            if before.as_ref() == Some(&claim) {
                return self.opened(security, claim);
            }
        }
        self.actions.push_back(InboundAction::Ask(Question::Open { from: claim.from.clone(), to: claim.to.clone() }));
        State::Asked(Asked::Open(security, claim))
    }

    /// The driver lets the stream exist.
    fn opened(&mut self, security: Security, claim: Claim) -> State {
        self.face.own = Some(claim.to.clone());
        match (security, claim.from) {
            (Security::Plain, from) => {
                self.write_header();
                self.wire.element(&features::offered(Offer::StartTls));
                State::Reading(Reading::StartTls(Claim { from, to: claim.to }))
            }
            (Security::Tls(tls, _), Some(from)) => {
                self.actions.push_back(InboundAction::Ask(Question::Prove { domain: from.clone() }));
                State::Asked(Asked::Prove(Proven { from, to: claim.to, tls }))
            }
            (Security::Tls(..), None) => self.fail(
                StreamError::new(StreamCondition::PolicyViolation)
                    .with_text("the header has no 'from': there is nobody to authenticate"),
            ),
        }
    }

    fn before_tls(&mut self, claim: Claim, element: &Element) -> State {
        if element.is(ns::TLS, "starttls") {
            if self.wire.has_unread() {
                self.wire.element(&Element::new(ns::TLS, "failure"));
                self.wire.close();
                return self.finish(StreamEnd::NoTls(NoTls::Injection));
            }
            self.wire.element(&Element::new(ns::TLS, "proceed"));
            self.actions.push_back(InboundAction::StartTls { to: claim.to.clone() });
            return State::Handshake(claim);
        }
        if element.ns() == ns::SASL {
            return match self.refuse(sasl::Condition::EncryptionRequired) {
                Ok(()) => State::Reading(Reading::StartTls(claim)),
                Err(error) => self.fail(error),
            };
        }
        if element.ns() == BIDI {
            return State::Reading(Reading::StartTls(claim));
        }
        self.unexpected(element)
    }

    fn authenticating(&mut self, proven: Proven, mut acceptor: sasl::Acceptor, element: &Element) -> State {
        if element.ns() == BIDI {
            return State::Reading(Reading::Authenticating(proven, acceptor));
        }
        if element.ns() != ns::SASL {
            return self.unexpected(element);
        }
        match acceptor.step(element) {
            sasl::Step::Challenge => self.wire.element(&Element::new(ns::SASL, "challenge")),
            sasl::Step::Accept => {
                let peer = Arc::new(self.peer(proven));
                self.actions.push_back(InboundAction::Ask(Question::Admit(Arc::clone(&peer))));
                return State::Asked(Asked::Admit(peer));
            }
            sasl::Step::Fail(condition) => {
                if let Err(error) = self.refuse(condition) {
                    return self.fail(error);
                }
            }
        }
        State::Reading(Reading::Authenticating(proven, acceptor))
    }

    /// Says `<failure/>`; an error if the peer has no other try.
    fn refuse(&mut self, condition: sasl::Condition) -> Result<(), StreamError> {
        self.wire.element(&sasl::Failure::new(condition).to_element());
        self.failures += 1;
        // Who asks to be somebody else has not mistyped (RFC 6120 §6.4.6).
        if condition == sasl::Condition::InvalidAuthzid {
            return Err(StreamError::new(StreamCondition::NotAuthorized)
                .with_text("the authorization identity is not the domain that is proven"));
        }
        if self.failures >= AUTHENTICATION_TRIES {
            return Err(StreamError::new(StreamCondition::PolicyViolation)
                .with_text("too many failed authentications"));
        }
        Ok(())
    }

    fn peer(&self, proven: Proven) -> Peer {
        Peer {
            remote: proven.from,
            local: proven.to,
            direction: self.settings.direction,
            address: self.settings.address,
            stream_id: self.face.id.clone().unwrap_or_else(|| Arc::from("")),
            method: Some(Method::External),
            tls: Some(proven.tls),
        }
    }

    fn restarted(&mut self, peer: &Peer, header: &StreamHeader) -> State {
        if !header::is_modern(header) {
            return self.fail(unsupported_version());
        }
        let same = Claim { from: Some(peer.remote.clone()), to: peer.local.clone() };
        if Claim::of(header) != Ok(same) {
            return self.fail(
                StreamError::new(StreamCondition::ImproperAddressing)
                    .with_text("the header's 'from' and 'to' are not those that were authenticated"),
            );
        }
        let stream_id = self.write_header();
        self.wire.element(&features::offered(Offer::Nothing));
        let peer = Arc::new(Peer { stream_id, ..peer.clone() });
        self.actions.push_back(InboundAction::Established(Arc::clone(&peer)));
        State::Reading(Reading::Established(peer))
    }

    fn established(&mut self, peer: Arc<Peer>, frame: Frame) -> State {
        if !first_level::is_stanza(frame.element()) {
            return self.unexpected(frame.element());
        }
        match first_level::check(&peer, frame) {
            Ok(checked) => {
                self.actions.push_back(settle(&peer, checked));
                State::Reading(Reading::Established(peer))
            }
            Err(error) => self.fail(error),
        }
    }

    /// After our closing tag: stanzas that were under way still count, and after a fault nothing.
    fn closing(&mut self, end: StreamEnd, sender: Option<Arc<Peer>>, frame: Frame) -> State {
        if let Some(error) = StreamError::from_element(frame.element()) {
            return State::Reading(Reading::Closing { end: end.or_received(error), sender: None });
        }
        let sender = sender.and_then(|peer| {
            let checked = first_level::check(&peer, frame).ok()?;
            self.actions.push_back(settle(&peer, checked));
            Some(peer)
        });
        State::Reading(Reading::Closing { end, sender })
    }

    /// An element that has no place where it stands (federation rules, table 4a).
    fn unexpected(&mut self, element: &Element) -> State {
        if let Some(error) = StreamError::from_element(element) {
            self.wire.close();
            return self.finish(StreamEnd::Received(error));
        }
        self.fail(first_level::misplaced(element))
    }

    fn unreadable(&mut self, reading: Reading, error: &FrameError) -> State {
        if let Reading::Closing { end, .. } = reading {
            return State::Deaf(end);
        }
        let error = error.stream_error();
        self.write_header();
        self.wire.error(&error);
        State::Deaf(StreamEnd::Sent(error))
    }

    fn fail(&mut self, error: StreamError) -> State {
        self.say_close(Some(error), None)
    }

    fn say_close(&mut self, error: Option<StreamError>, sender: Option<Arc<Peer>>) -> State {
        self.write_header();
        let end = match error {
            Some(error) => {
                self.wire.error(&error);
                StreamEnd::Sent(error)
            }
            None => {
                self.wire.close();
                StreamEnd::Clean
            }
        };
        State::Reading(Reading::Closing { end, sender })
    }

    /// Writes our header, if this stream has none yet: an error, too, comes after one (RFC 6120
    /// §4.9.1.2). Returns the stream's id.
    fn write_header(&mut self) -> Arc<str> {
        if let Some(id) = &self.face.id {
            return Arc::clone(id);
        }
        let id: Arc<str> = Arc::from((self.stream_ids)());
        self.wire.text(&header::response(&id, self.face.own.as_ref(), self.face.peer.as_ref()));
        self.face.id = Some(Arc::clone(&id));
        id
    }

    fn finish(&mut self, end: StreamEnd) -> State {
        self.actions.push_back(InboundAction::Close(end));
        State::Over
    }
}

fn settle(peer: &Arc<Peer>, checked: Checked) -> InboundAction {
    match checked {
        Checked::Good(stanza) => InboundAction::Stanza(stanza),
        Checked::Bad(fault) => InboundAction::BadStanza { peer: Arc::clone(peer), fault },
    }
}

fn unsupported_version() -> StreamError {
    StreamError::new(StreamCondition::UnsupportedVersion).with_text("XMPP 1.0 is needed")
}

impl Face {
    fn new(settings: &InboundSettings) -> Self {
        Self { own: settings.fallback.clone(), peer: None, id: None }
    }
}

impl Reading {
    fn end(self) -> StreamEnd {
        match self {
            Self::Closing { end, .. } => end,
            _ => StreamEnd::Truncated,
        }
    }
}
