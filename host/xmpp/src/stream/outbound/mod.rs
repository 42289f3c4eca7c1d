//! The initiating entity: a stream that we open, to a partner or to an internal server.
//!
//! header -> STARTTLS -> header -> SASL EXTERNAL -> header -> established; direct TLS begins at the
//! second header. STARTTLS is asked for even if the peer does not offer it, since somebody in between
//! may have cut the offer out (RFC 7590 §3.1), unless the terms allow a stream without it. Where SASL
//! EXTERNAL is not offered, or refused, dialback takes its place on the same stream, if the terms
//! allow that. No key of dialback leaves in the clear where TLS is required.
//!
//! A stream to an authoritative server ([`Purpose::Verify`]) asks its one question as soon as it may,
//! and authenticates nobody.
//!
//! The machine negotiates and listens. Once it has said [`OutboundAction::Established`] the driver
//! writes stanzas by itself, as long as [`Outbound::phase`] is [`Phase::Established`].

mod authenticating;
mod established;
mod opening;
mod state;
mod steps;

use std::{collections::VecDeque, mem, net::SocketAddr, sync::Arc};

use self::state::{Asked, Flow, Ground, Offered, Reading, Stage, State};
use super::{
    Answer, Authenticated, Initiator, NoTls, OutboundFailure, Peer, PeerLimits, Phase, Question,
    Start, StreamEnd, Terms, TlsFacts, wire::Wire,
};
use crate::{
    dialback::{Secret, Verification, Verified},
    error::{StreamCondition, StreamError},
    frame::Limits,
    jid::{Domain, RecentJids},
    management::{Nonza, TooHigh},
    stanza::{BadStanza, Direction},
};

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
    /// What may be negotiated.
    pub terms: Terms,
    /// What our dialback keys are made from.
    pub secret: Secret,
    /// What the stream is for.
    pub purpose: Purpose,
    /// After how many seconds of silence the driver closes the stream or pings; announced to the peer
    /// where stanzas flow both ways (XEP-0478).
    pub idle_seconds: Option<u64>,
}

/// What an outbound stream is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// To be authenticated and carry stanzas.
    Stanzas,
    /// To ask one question of an authoritative server. The stream is from the receiving domain to the
    /// originating one, carries nothing else, and ends with [`OutboundAction::Verified`].
    Verify(Verification),
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
    /// On a stream whose [`Peer::bidi`] is set: judge it.
    Stanza(Authenticated),
    /// On a stream whose [`Peer::bidi`] is set: a stanza that is not fit to be judged. It is settled by
    /// sending its `reply` back, or dropped if there is none.
    BadStanza {
        /// Who sent it.
        peer: Arc<Peer>,
        /// What is wrong with it, and what to answer.
        fault: Box<BadStanza>,
    },
    /// The peer has said something about what it has settled, or asks for it (XEP-0198).
    Management(Nonza),
    /// The last action of a stream whose purpose was [`Purpose::Verify`]: flush, close the connection.
    Verified(Verified),
    /// SASL EXTERNAL is not to be had, for this reason, and dialback is tried on the same stream: for
    /// the log.
    FallingBack(OutboundFailure),
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
    recent: RecentJids,
    eof: bool,
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
            recent: RecentJids::default(),
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
            State::Reading(Reading::Established(_) | Reading::Closing { .. })
            | State::Asked(Asked::Key(..))
            | State::Deaf(_) => self.closed(StreamEnd::NoTls(why)),
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
            (Asked::Prove(ground), Answer::Prove(proven)) => self.judged(ground, proven),
            (Asked::Admit(flow), Answer::Admit(Ok(()))) => {
                self.wire.authenticated();
                self.actions
                    .push_back(OutboundAction::Established(Arc::clone(&flow.peer)));
                State::Reading(Reading::Established(flow))
            }
            (Asked::Admit(_), Answer::Admit(Err(error))) => {
                self.wire.error(&error);
                self.failed(OutboundFailure::NotAdmitted(error))
            }
            (Asked::Key(flow, asked), Answer::Key(verified)) => self.key(flow, &asked, verified),
            (Asked::Key(..), _) => {
                self.close_with(StreamError::new(StreamCondition::InternalServerError))
            }
            _ => {
                self.wire
                    .error(&StreamError::new(StreamCondition::InternalServerError));
                self.failed(OutboundFailure::Abandoned)
            }
        };
    }

    /// Says something about what is settled, or asks for it (XEP-0198): on an established stream, and
    /// only what has its place there. Returns whether it was said.
    pub fn manage(&mut self, nonza: &Nonza) -> bool {
        if !self.may_manage() {
            return false;
        }
        let State::Reading(Reading::Established(flow)) = &mut self.state else {
            return false;
        };
        let said = flow.managed.say(Initiator::Gateway, nonza);
        if said {
            self.wire.element(&nonza.to_element());
        }
        said
    }

    /// The peer has acknowledged what it cannot have: closes the stream (XEP-0198 §4).
    pub fn close_too_high(&mut self, wrong: TooHigh) {
        self.state = match mem::replace(&mut self.state, State::Over) {
            State::Reading(Reading::Established(_)) => {
                self.wire.element(&wrong.to_element());
                self.wire.close();
                State::Reading(Reading::Closing {
                    end: StreamEnd::Sent(wrong.error()),
                    senders: Vec::new(),
                })
            }
            state => state,
        };
    }

    /// Whether the peer offers to acknowledge stanzas (XEP-0198), and our terms let it.
    pub fn may_manage(&self) -> bool {
        match &self.state {
            State::Reading(Reading::Established(flow)) => {
                self.settings.terms.management && flow.features.management
            }
            _ => false,
        }
    }

    /// What the peer has announced of the stanzas that it takes on this stream (XEP-0478).
    pub fn peer_limits(&self) -> PeerLimits {
        match &self.state {
            State::Reading(Reading::Established(flow)) => flow.features.limits,
            _ => PeerLimits::default(),
        }
    }

    /// Closes the stream, with an error or in peace. Nothing may be sent after it. A stream that was
    /// established ends when the peer has closed its side too (RFC 6120 §4.4), and where stanzas flow
    /// both ways those that still come are handed out, if nothing was wrong with the stream; a second
    /// call ends the wait for that.
    pub fn close(&mut self, error: Option<StreamError>) {
        self.state = match mem::replace(&mut self.state, State::Over) {
            State::Over => State::Over,
            State::Handshake => self.failed(OutboundFailure::Abandoned),
            State::Deaf(end) | State::Reading(Reading::Closing { end, .. }) => {
                self.closed(end.without_reply())
            }
            State::Reading(Reading::Established(flow)) | State::Asked(Asked::Key(flow, _)) => {
                let innocent = match &error {
                    Some(error) => error.condition == StreamCondition::SystemShutdown,
                    None => true,
                };
                let senders = if innocent { flow.senders } else { Vec::new() };
                self.say_close(error, senders)
            }
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
    #[expect(
        clippy::should_implement_trait,
        reason = "it goes on after None, which an iterator should not"
    )]
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

    /// How many bytes of an element have come that is not whole yet, once [`next`](Self::next) has
    /// said that there is nothing more.
    pub fn unfinished(&self) -> usize {
        self.wire.unfinished()
    }

    /// The id of the peer's stream on which our dialback key was sent and is not answered yet.
    pub fn key_sent(&self) -> Option<Arc<str>> {
        match &self.state {
            State::Reading(Reading::Dialback(ground, _)) => ground.stream_id(),
            _ => None,
        }
    }

    /// Where the stream stands.
    pub fn phase(&self) -> Phase {
        match &self.state {
            State::Reading(
                Reading::Header(Stage::Plain)
                | Reading::Features(Stage::Plain, _)
                | Reading::Proceed(_),
            ) => Phase::Opening,
            State::Handshake => Phase::Handshake,
            State::Reading(
                Reading::Header(_)
                | Reading::Features(..)
                | Reading::Authenticating(_)
                | Reading::Dialback(..)
                | Reading::Verifying(_),
            )
            | State::Asked(Asked::Prove(_) | Asked::Admit(_)) => Phase::Authenticating,
            State::Reading(Reading::Established(_)) | State::Asked(Asked::Key(..)) => {
                Phase::Established
            }
            State::Reading(Reading::Closing { .. }) | State::Deaf(_) => Phase::Closing,
            State::Over => Phase::Closed,
        }
    }
}
