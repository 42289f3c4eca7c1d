//! The initiating entity: a stream that we open, to a partner or to an internal server.
//!
//! header -> STARTTLS -> header -> SASL EXTERNAL -> header -> established; direct TLS begins at the
//! second header. STARTTLS is asked for even if the peer does not offer it, since somebody in between
//! may have cut the offer out (RFC 7590 §3.1), and without it there is no stream.
//!
//! The machine negotiates and listens. Once it has said [`OutboundAction::Established`] the driver
//! writes stanzas by itself, as long as [`Outbound::phase`] is [`Phase::Established`].

use std::{collections::VecDeque, mem, net::SocketAddr, sync::Arc};

use super::{
    Answer, Method, NoTls, OutboundFailure, Peer, Phase, Question, Start, StreamEnd, TlsFacts,
    features::Features,
    first_level, header,
    wire::Wire,
};
use crate::{
    error::{StreamCondition, StreamError},
    frame::{Event, FrameError, Limits, StreamHeader},
    jid::Domain,
    ns, sasl,
    stanza::Direction,
    xml::Element,
};

/// The longest stream id that is taken from a peer, in bytes: it stands in logs and audit records,
/// and servers make some dozen bytes.
const ID_BYTES: usize = 256;

/// What an outbound stream has to know from the start.
#[derive(Debug, Clone)]
pub struct OutboundSettings {
    /// Bounds for what the peer sends.
    pub limits: Limits,
    /// Which way the stanzas of this stream go.
    pub direction: Direction,
    /// The address that was connected to.
    pub address: Option<SocketAddr>,
    /// Who we are, or stand for.
    pub local: Domain,
    /// Whom we want to reach.
    pub remote: Domain,
}

/// What the driver has to do.
#[derive(Debug)]
pub enum OutboundAction {
    /// Write these bytes, and flush before the next read at the latest.
    Send(Vec<u8>),
    /// Do the TLS handshake as the client; then call `tls_established` or `tls_failed`.
    StartTls {
        /// The name to ask for (SNI): the domain, never the host that was connected to.
        server_name: Domain,
    },
    /// Find the answer, and call `answer`. [`Question::Open`] is never asked here.
    Ask(Question),
    /// Stanzas may be sent.
    Established(Arc<Peer>),
    /// The last action of a stream that was not established: flush, close the connection.
    Failed(OutboundFailure),
    /// The last action of a stream that was established: flush, say TLS's close_notify, close the
    /// connection.
    Closed(StreamEnd),
}

/// The state machine of one outbound stream. See [the module](super) for how to drive it.
pub struct Outbound {
    settings: OutboundSettings,
    wire: Wire,
    state: State,
    actions: VecDeque<OutboundAction>,
    eof: bool,
}

enum State {
    Reading(Reading),
    Asked(Asked),
    /// The driver does the TLS handshake.
    Handshake,
    /// Closed after XML that cannot be read on; we wait for the connection to end.
    Deaf(StreamEnd),
    Over,
}

enum Reading {
    /// Our header was sent; the peer's is awaited.
    Header(Stage),
    Features(Stage, StreamHeader),
    /// `<starttls/>` was sent.
    Proceed(Offered),
    /// `<auth/>` was sent.
    Authenticating(TlsFacts),
    Established,
    /// We have said `</stream:stream>`; the peer has not.
    Closing(StreamEnd),
}

enum Asked {
    Prove(TlsFacts, Features),
    Admit(Arc<Peer>),
}

enum Stage {
    Plain,
    Tls(TlsFacts),
    Authenticated(TlsFacts),
}

/// Whether the peer had offered what we then asked for.
enum Offered {
    Yes,
    No,
}

impl Outbound {
    /// A stream on a connection that was just made; the first action sends our header.
    pub fn new(settings: OutboundSettings, start: Start) -> Self {
        let stage = match start {
            Start::Plain => Stage::Plain,
            Start::Tls(facts) => Stage::Tls(facts),
        };
        let mut stream = Self {
            wire: Wire::new(settings.limits),
            settings,
            state: State::Over,
            actions: VecDeque::new(),
            eof: false,
        };
        stream.state = stream.open(stage);
        stream
    }

    /// Takes bytes that were read: in the clear or, once TLS stands, out of the TLS session.
    pub fn receive(&mut self, bytes: &[u8]) {
        match self.state {
            State::Handshake => self.state = self.failed(OutboundFailure::NoTls(NoTls::Injection)),
            State::Deaf(_) | State::Over => {}
            State::Reading(_) | State::Asked(_) => self.wire.receive(bytes),
        }
    }

    /// Nothing more can be read.
    pub fn eof(&mut self) {
        self.eof = true;
    }

    /// The handshake that [`OutboundAction::StartTls`] asked for is done.
    pub fn tls_established(&mut self, facts: TlsFacts) {
        self.state = match mem::replace(&mut self.state, State::Over) {
            State::Handshake => {
                self.wire.renew();
                self.open(Stage::Tls(facts))
            }
            State::Over => State::Over,
            _ => self.failed(OutboundFailure::Abandoned),
        };
    }

    /// The TLS session has failed: in its handshake, or later by an alert such as the one with which
    /// a TLS 1.3 server refuses our certificate. Nothing more is sent (RFC 6120 §5.4.3.2).
    pub fn tls_failed(&mut self, reason: impl Into<String>) {
        let why = NoTls::Handshake(reason.into());
        self.state = match mem::replace(&mut self.state, State::Over) {
            State::Over => State::Over,
            State::Reading(Reading::Established | Reading::Closing(_)) | State::Deaf(_) => {
                self.closed(StreamEnd::NoTls(why))
            }
            _ => self.failed(OutboundFailure::NoTls(why)),
        };
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
            (Asked::Prove(tls, features), Answer::Prove(Ok(()))) => self.proven(tls, &features),
            (Asked::Prove(..), Answer::Prove(Err(reason))) => {
                self.wire.error(&StreamError::new(StreamCondition::PolicyViolation).with_text(&reason));
                self.failed(OutboundFailure::CertificateRefused(reason))
            }
            (Asked::Admit(peer), Answer::Admit(Ok(()))) => {
                self.actions.push_back(OutboundAction::Established(peer));
                State::Reading(Reading::Established)
            }
            (Asked::Admit(_), Answer::Admit(Err(error))) => {
                self.wire.error(&error);
                self.failed(OutboundFailure::NotAdmitted(error))
            }
            _ => {
                self.wire.error(&StreamError::new(StreamCondition::InternalServerError));
                self.failed(OutboundFailure::Abandoned)
            }
        };
    }

    /// Closes the stream, with an error or in peace. Nothing may be sent after it. A stream that was
    /// established ends when the peer has closed its side too (RFC 6120 §4.4); a second call ends
    /// the wait for that.
    pub fn close(&mut self, error: Option<StreamError>) {
        self.state = match mem::replace(&mut self.state, State::Over) {
            State::Over => State::Over,
            State::Handshake => self.failed(OutboundFailure::Abandoned),
            State::Deaf(end) | State::Reading(Reading::Closing(end)) => self.closed(end.without_reply()),
            State::Reading(Reading::Established) => match error {
                Some(error) => self.close_with(error),
                None => {
                    self.wire.close();
                    State::Reading(Reading::Closing(StreamEnd::Clean))
                }
            },
            State::Reading(_) | State::Asked(_) => {
                match error {
                    Some(error) => self.wire.error(&error),
                    None => self.wire.close(),
                }
                self.failed(OutboundFailure::Abandoned)
            }
        };
    }

    /// What to do next; none if the machine waits for bytes, for an answer or for TLS.
    #[expect(clippy::should_implement_trait, reason = "it goes on after None, which an iterator should not")]
    pub fn next(&mut self) -> Option<OutboundAction> {
        loop {
            if let Some(bytes) = self.wire.take_output() {
                return Some(OutboundAction::Send(bytes));
            }
            if let Some(action) = self.actions.pop_front() {
                return Some(action);
            }
            self.state = match mem::replace(&mut self.state, State::Over) {
                State::Reading(reading) => match self.wire.next_event() {
                    Ok(Some(event)) => self.event(reading, event),
                    Err(error) => self.unreadable(reading, &error),
                    Ok(None) if self.eof => self.ended(reading, StreamEnd::Truncated),
                    Ok(None) => {
                        self.state = State::Reading(reading);
                        return None;
                    }
                },
                State::Deaf(end) if self.eof => self.closed(end),
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
            State::Reading(Reading::Header(Stage::Plain) | Reading::Features(Stage::Plain, _) | Reading::Proceed(_)) => {
                Phase::Opening
            }
            State::Handshake => Phase::Handshake,
            State::Reading(Reading::Header(_) | Reading::Features(..) | Reading::Authenticating(_))
            | State::Asked(_) => Phase::Authenticating,
            State::Reading(Reading::Established) => Phase::Established,
            State::Reading(Reading::Closing(_)) | State::Deaf(_) => Phase::Closing,
            State::Over => Phase::Closed,
        }
    }

    /// Sends our header. What was known of the peer's stream before is forgotten.
    fn open(&mut self, stage: Stage) -> State {
        self.wire.text(&header::initial(&self.settings.local, &self.settings.remote));
        State::Reading(Reading::Header(stage))
    }

    fn event(&mut self, reading: Reading, event: Event) -> State {
        match (reading, event) {
            (reading, Event::Whitespace) => State::Reading(reading),
            (reading, Event::Close) => {
                if !matches!(reading, Reading::Closing(_)) {
                    self.wire.close();
                }
                self.ended(reading, StreamEnd::Clean)
            }
            (Reading::Header(stage), Event::Open(header)) => self.header(stage, *header),
            (Reading::Closing(end), Event::Element(frame)) => {
                let end = match StreamError::from_element(frame.element()) {
                    Some(error) => end.or_received(error),
                    None => end,
                };
                State::Reading(Reading::Closing(end))
            }
            (Reading::Closing(end), Event::Open(_)) => State::Deaf(end),
            (reading, Event::Element(frame)) => self.element(reading, frame.element()),
            (Reading::Established, Event::Open(_)) => self.close_with(StreamError::new(StreamCondition::BadFormat)),
            (_, Event::Open(_)) => self.broken(StreamError::new(StreamCondition::BadFormat)),
        }
    }

    fn header(&mut self, stage: Stage, header: StreamHeader) -> State {
        if header::is_modern(&header) {
            return State::Reading(Reading::Features(stage, header));
        }
        match stage {
            // No features will come, so nothing is left to wait for.
            Stage::Plain => self.ask_for_tls(Offered::No),
            Stage::Tls(_) | Stage::Authenticated(_) => self.broken(
                StreamError::new(StreamCondition::UnsupportedVersion).with_text("XMPP 1.0 is needed"),
            ),
        }
    }

    fn element(&mut self, reading: Reading, element: &Element) -> State {
        if let Some(error) = StreamError::from_element(element) {
            return self.received(reading, error);
        }
        match reading {
            Reading::Features(stage, header) => match Features::of(element) {
                Some(features) => self.features(stage, &header, features),
                None => self.broken(first_level::misplaced(element)),
            },
            Reading::Proceed(offered) => self.proceed(offered, element),
            Reading::Authenticating(tls) => match sasl::outcome(element) {
                Some(sasl::Outcome::Success) => {
                    self.wire.restart();
                    self.open(Stage::Authenticated(tls))
                }
                Some(sasl::Outcome::Failure(failure)) => {
                    self.wire.close();
                    self.failed(OutboundFailure::SaslRefused(failure))
                }
                None => self.broken(first_level::misplaced(element)),
            },
            // Features that turn up later ask for a new stream (RFC 6120 §4.3.5).
            Reading::Established if Features::of(element).is_some() => {
                self.close_with(StreamError::new(StreamCondition::Reset))
            }
            Reading::Established => self.close_with(first_level::misplaced(element)),
            Reading::Header(_) | Reading::Closing(_) => self.broken(first_level::misplaced(element)),
        }
    }

    fn features(&mut self, stage: Stage, header: &StreamHeader, features: Features) -> State {
        match stage {
            // In the clear a header proves nothing, and of the features only TLS is of interest.
            Stage::Plain => self.ask_for_tls(if features.starttls { Offered::Yes } else { Offered::No }),
            _ if header::sender(header).as_ref() != Some(&self.settings.remote) => self.broken(
                StreamError::new(StreamCondition::InvalidFrom)
                    .with_text("the header's 'from' is not the domain that was asked for"),
            ),
            Stage::Tls(tls) => {
                let domain = self.settings.remote.clone();
                self.actions.push_back(OutboundAction::Ask(Question::Prove { domain }));
                State::Asked(Asked::Prove(tls, features))
            }
            Stage::Authenticated(tls) => self.authenticated(tls, header, &features),
        }
    }

    fn ask_for_tls(&mut self, offered: Offered) -> State {
        self.wire.element(&Element::new(ns::TLS, "starttls"));
        State::Reading(Reading::Proceed(offered))
    }

    fn proceed(&mut self, offered: Offered, element: &Element) -> State {
        if element.is(ns::TLS, "proceed") {
            if self.wire.has_unread() {
                return self.failed(OutboundFailure::NoTls(NoTls::Injection));
            }
            self.actions.push_back(OutboundAction::StartTls { server_name: self.settings.remote.clone() });
            return State::Handshake;
        }
        if element.is(ns::TLS, "failure") {
            self.wire.close();
            return self.failed(offered.refused());
        }
        self.broken(first_level::misplaced(element))
    }

    /// The peer's certificate is good.
    fn proven(&mut self, tls: TlsFacts, features: &Features) -> State {
        if !features.external {
            self.wire.close();
            return self.failed(OutboundFailure::NoExternal);
        }
        self.wire.element(&sasl::auth(&self.settings.local));
        State::Reading(Reading::Authenticating(tls))
    }

    /// Both sides are authenticated, and the restarted stream's features are here.
    fn authenticated(&mut self, tls: TlsFacts, header: &StreamHeader, features: &Features) -> State {
        if features.mandatory {
            return self.broken(
                StreamError::new(StreamCondition::UnsupportedFeature)
                    .with_text("a feature is mandatory that is not supported here"),
            );
        }
        let Some(stream_id) = header.id.as_deref().filter(|id| !id.is_empty() && id.len() <= ID_BYTES) else {
            return self.broken(
                StreamError::new(StreamCondition::BadFormat).with_text("the header has no 'id', or a very long one"),
            );
        };
        let peer = Arc::new(Peer {
            remote: self.settings.remote.clone(),
            local: self.settings.local.clone(),
            direction: self.settings.direction,
            address: self.settings.address,
            stream_id: Arc::from(stream_id),
            method: Some(Method::External),
            tls: Some(tls),
        });
        self.actions.push_back(OutboundAction::Ask(Question::Admit(Arc::clone(&peer))));
        State::Asked(Asked::Admit(peer))
    }

    /// The peer says that it closes the stream with an error.
    fn received(&mut self, reading: Reading, error: StreamError) -> State {
        self.wire.close();
        match reading {
            Reading::Established => self.closed(StreamEnd::Received(error)),
            // What did not offer TLS did not know what to make of our asking.
            Reading::Proceed(Offered::No) if error.condition == StreamCondition::UnsupportedStanzaType => {
                self.failed(OutboundFailure::NoStartTls)
            }
            _ => self.failed(OutboundFailure::StreamError(error)),
        }
    }

    /// The peer has said `</stream:stream>`, or the connection has ended.
    fn ended(&mut self, reading: Reading, how: StreamEnd) -> State {
        match reading {
            Reading::Established => self.closed(how),
            Reading::Closing(StreamEnd::Clean) => self.closed(how),
            Reading::Closing(end) => self.closed(end),
            Reading::Proceed(offered @ Offered::No) => self.failed(offered.refused()),
            Reading::Header(_) | Reading::Features(..) | Reading::Proceed(_) | Reading::Authenticating(_) => {
                self.failed(OutboundFailure::Ended)
            }
        }
    }

    fn unreadable(&mut self, reading: Reading, error: &FrameError) -> State {
        let error = error.stream_error();
        match reading {
            Reading::Closing(end) => State::Deaf(end),
            Reading::Established => {
                self.wire.error(&error);
                State::Deaf(StreamEnd::Sent(error))
            }
            _ => self.broken(error),
        }
    }

    /// The peer breaks the protocol before the stream is established.
    fn broken(&mut self, error: StreamError) -> State {
        self.wire.error(&error);
        self.failed(OutboundFailure::Protocol(error))
    }

    /// Closes the established stream.
    fn close_with(&mut self, error: StreamError) -> State {
        self.wire.error(&error);
        State::Reading(Reading::Closing(StreamEnd::Sent(error)))
    }

    fn failed(&mut self, why: OutboundFailure) -> State {
        self.actions.push_back(OutboundAction::Failed(why));
        State::Over
    }

    fn closed(&mut self, how: StreamEnd) -> State {
        self.actions.push_back(OutboundAction::Closed(how));
        State::Over
    }
}

impl Offered {
    fn refused(self) -> OutboundFailure {
        match self {
            Self::Yes => OutboundFailure::TlsRefused,
            Self::No => OutboundFailure::NoStartTls,
        }
    }
}
