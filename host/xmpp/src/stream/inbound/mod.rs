//! The receiving entity: a stream that somebody else opens, on either listener.
//!
//! header -> STARTTLS -> header -> SASL EXTERNAL -> header -> stanzas; direct TLS begins at the
//! second header. Where the terms allow it, dialback takes the place of SASL, and before it of TLS.
//! Each state holds just what is known by then, so that no step can be left out: only a pair of
//! domains that was authenticated on this stream yields stanzas.
//!
//! Nothing from before TLS survives but the domain that the certificate was chosen for: a later
//! header that asks for another one closes the stream.
//!
//! Further pairs of domains may follow on the same stream by dialback, each proven by itself: by the
//! certificate, or by a [`Verification`] that goes on beside the stanzas of the others.

mod authenticating;
mod dialback;
mod established;
mod opening;
mod state;
mod steps;

use std::{collections::VecDeque, mem, net::SocketAddr, sync::Arc};

use self::state::{Agreed, Asked, Face, Ground, Reading, Security, State};
use super::{
    Answer, Authenticated, Initiator, NoTls, Peer, PeerLimits, Phase, Question, Start, StreamEnd,
    TlsFacts, wire::Wire,
};
use crate::{
    dialback::{Verification, Verified},
    error::{StreamCondition, StreamError},
    frame::Limits,
    jid::{Domain, RecentJids},
    management::{Nonza, TooHigh},
    stanza::{BadStanza, Direction},
};

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
    /// How many pairs of domains one stream may carry, those that are being verified included;
    /// [`Self::PAIRS`] is a good number.
    pub pairs: usize,
    /// After how many seconds of silence the driver closes the stream or pings; announced to the peer
    /// (XEP-0478).
    pub idle_seconds: Option<u64>,
}

impl InboundSettings {
    /// Enough for a host of many domains whose users speak to us, and little state per stream.
    pub const PAIRS: usize = 32;
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
    /// Ask the authoritative server of the originating domain, on a connection of its own
    /// ([`Purpose::Verify`](super::Purpose)), and call `verified`. The stream goes on meanwhile.
    Verify(Verification),
    /// A pair of domains is authenticated and admitted; its stanzas follow. Comes again for each
    /// further pair.
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
    /// The peer has said something about what it has settled, or asks for it (XEP-0198).
    Management(Nonza),
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
    recent: RecentJids,
    /// What has become of verifications, not dealt with yet.
    verified: VecDeque<(Verification, Verified)>,
    eof: bool,
}

impl Inbound {
    /// A stream on a new connection. `stream_ids` makes each id: never the same twice, not to be
    /// guessed (at least 128 random bits, RFC 6120 §4.7.3), letters and digits only.
    pub fn new(
        settings: InboundSettings,
        stream_ids: Box<dyn FnMut() -> String + Send>,
        start: Start,
    ) -> Self {
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
            recent: RecentJids::default(),
            verified: VecDeque::new(),
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
            State::Handshake(agreed) => {
                self.wire.renew();
                self.face = Face::new(&self.settings);
                State::Reading(Reading::Header(Security::Tls(facts, Some(agreed))))
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
            (Asked::Open(security, claim, speech), Answer::Open(Ok(terms))) => {
                self.opened(security, Agreed { claim, terms }, speech)
            }
            (Asked::Open(_, claim, _), Answer::Open(Err(error))) => {
                if !matches!(
                    error.condition,
                    StreamCondition::HostUnknown | StreamCondition::HostGone
                ) {
                    self.face.own = Some(claim.to);
                }
                self.fail(error)
            }
            (Asked::Prove(ground, from), Answer::Prove(proven)) => {
                self.judged(ground, from, proven)
            }
            (Asked::Admit(ground, peer), Answer::Admit(admitted)) => {
                self.admitted(ground, peer, admitted)
            }
            (Asked::Key(reading, asked), Answer::Key(verified)) => {
                self.key(*reading, &asked, verified)
            }
            (Asked::Pair(ground, request), Answer::Pair(terms)) => {
                self.pair(ground, request, terms)
            }
            (Asked::ProvePair(ground, request, terms), Answer::Prove(proven)) => {
                self.pair_judged(ground, request, &terms, proven)
            }
            (Asked::AdmitPair(ground, peer), Answer::Admit(admitted)) => {
                self.pair_admitted(ground, peer, admitted)
            }
            _ => self.fail(StreamError::new(StreamCondition::InternalServerError)),
        };
    }

    /// What has become of an [`InboundAction::Verify`]. If it comes too late, it is ignored.
    pub fn verified(&mut self, asked: Verification, verified: Verified) {
        self.verified.push_back((asked, verified));
    }

    /// Says something about what is settled, or asks for it (XEP-0198): on an established stream, and
    /// only what has its place there. Returns whether it was said.
    pub fn manage(&mut self, nonza: &Nonza) -> bool {
        let State::Reading(Reading::Established(ground)) = &mut self.state else {
            return false;
        };
        let said = ground.managed.say(Initiator::Peer, nonza);
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

    /// What the peer has announced of the stanzas that it takes on this stream (XEP-0478); on one that
    /// goes both ways.
    pub fn peer_limits(&self) -> PeerLimits {
        match &self.state {
            State::Reading(Reading::Established(ground)) => ground.bidi.unwrap_or_default(),
            _ => PeerLimits::default(),
        }
    }

    /// Closes the stream, with an error or in peace. Nothing may be sent after it; stanzas that still
    /// come are handed out until the peer has closed its side too (RFC 6120 §4.4), if nothing was
    /// wrong with the stream: no error was said, or `system-shutdown`. A second call ends the wait for
    /// that.
    pub fn close(&mut self, error: Option<StreamError>) {
        self.state = match mem::replace(&mut self.state, State::Over) {
            State::Over => State::Over,
            State::Handshake(_) | State::Reading(Reading::Header(_)) => {
                self.finish(StreamEnd::Abandoned)
            }
            State::Deaf(end) | State::Reading(Reading::Closing { end, .. }) => {
                self.finish(end.without_reply())
            }
            State::Reading(reading) => {
                let innocent = error
                    .as_ref()
                    .is_none_or(|error| error.condition == StreamCondition::SystemShutdown);
                let senders = match reading {
                    Reading::Established(ground) if innocent => ground.pairs.into_proven(),
                    _ => Vec::new(),
                };
                self.say_close(error, senders)
            }
            State::Asked(_) => self.say_close(error, Vec::new()),
        };
    }

    /// What to do next; none if the machine waits for bytes, for an answer or for TLS.
    #[expect(
        clippy::should_implement_trait,
        reason = "it goes on after None, which an iterator should not"
    )]
    pub fn next(&mut self) -> Option<InboundAction> {
        loop {
            if let Some(bytes) = self.wire.take_output() {
                return Some(InboundAction::Send(bytes));
            }
            if let Some(action) = self.actions.pop_front() {
                return Some(action);
            }
            self.state = match mem::replace(&mut self.state, State::Over) {
                State::Reading(reading) if !self.verified.is_empty() => self.dequeue(reading),
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

    /// How many bytes of an element have come that is not whole yet, once [`next`](Self::next) has
    /// said that there is nothing more.
    pub fn unfinished(&self) -> usize {
        self.wire.unfinished()
    }

    /// Where the stream stands.
    pub fn phase(&self) -> Phase {
        match &self.state {
            State::Reading(reading) => reading.phase(),
            State::Asked(Asked::Open(Security::Plain, ..)) => Phase::Opening,
            State::Asked(Asked::Key(reading, _)) => reading.phase(),
            State::Asked(
                Asked::Pair(ground, _) | Asked::ProvePair(ground, ..) | Asked::AdmitPair(ground, _),
            ) if ground.pairs.any_proven() => Phase::Established,
            State::Asked(_) => Phase::Authenticating,
            State::Handshake(_) => Phase::Handshake,
            State::Deaf(_) => Phase::Closing,
            State::Over => Phase::Closed,
        }
    }
}
