//! What each event does in each state of an outbound stream.

use std::sync::Arc;

use super::{Asked, Offered, Outbound, OutboundAction, Reading, Stage, State};
use crate::{
    error::{StreamCondition, StreamError},
    frame::{Event, FrameError, StreamHeader},
    ns, sasl,
    stanza::Direction,
    stream::{
        Initiator, Method, NoTls, OutboundFailure, Party, Peer, Question, StreamEnd, TlsFacts,
        features::Features, first_level, header,
    },
    xml::Element,
};

/// The longest stream id that is taken from a peer, in bytes: it stands in logs and audit records,
/// and servers make some dozen bytes.
const ID_BYTES: usize = 256;

impl Outbound {
    /// Sends our header. What was known of the peer's stream before is forgotten.
    pub(super) fn open(&mut self, stage: Stage) -> State {
        self.wire.text(&header::initial(
            &self.settings.local,
            &self.settings.remote,
        ));
        State::Reading(Reading::Header(stage))
    }

    pub(super) fn event(&mut self, reading: Reading, event: Event) -> State {
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
            (Reading::Established, Event::Open(_)) => {
                self.close_with(StreamError::new(StreamCondition::BadFormat))
            }
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
                StreamError::new(StreamCondition::UnsupportedVersion)
                    .with_text("XMPP 1.0 is needed"),
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
            Reading::Header(_) | Reading::Closing(_) => {
                self.broken(first_level::misplaced(element))
            }
        }
    }

    fn features(&mut self, stage: Stage, header: &StreamHeader, features: Features) -> State {
        match stage {
            // In the clear a header proves nothing, and of the features only TLS is of interest.
            Stage::Plain => self.ask_for_tls(if features.starttls {
                Offered::Yes
            } else {
                Offered::No
            }),
            _ if header::sender(header).as_ref() != Some(&self.settings.remote) => self.broken(
                StreamError::new(StreamCondition::InvalidFrom)
                    .with_text("the header's 'from' is not the domain that was asked for"),
            ),
            Stage::Tls(tls) => {
                let domain = self.settings.remote.clone();
                self.actions
                    .push_back(OutboundAction::Ask(Question::Prove { domain }));
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
            self.actions.push_back(OutboundAction::StartTls {
                server_name: self.settings.remote.clone(),
            });
            return State::Handshake;
        }
        if element.is(ns::TLS, "failure") {
            self.wire.close();
            return self.failed(offered.refused());
        }
        self.broken(first_level::misplaced(element))
    }

    /// The peer's certificate is good.
    pub(super) fn proven(&mut self, tls: TlsFacts, features: &Features) -> State {
        if !features.external {
            self.wire.close();
            return self.failed(OutboundFailure::NoExternal);
        }
        self.wire.element(&sasl::auth(&self.settings.local));
        State::Reading(Reading::Authenticating(tls))
    }

    /// Both sides are authenticated, and the restarted stream's features are here.
    fn authenticated(
        &mut self,
        tls: TlsFacts,
        header: &StreamHeader,
        features: &Features,
    ) -> State {
        if features.mandatory {
            return self.broken(
                StreamError::new(StreamCondition::UnsupportedFeature)
                    .with_text("a feature is mandatory that is not supported here"),
            );
        }
        let Some(stream_id) = header
            .id
            .as_deref()
            .filter(|id| !id.is_empty() && id.len() <= ID_BYTES)
        else {
            return self.broken(
                StreamError::new(StreamCondition::BadFormat)
                    .with_text("the header has no 'id', or a very long one"),
            );
        };
        let peer = Arc::new(Peer {
            remote: self.settings.remote.clone(),
            local: self.settings.local.clone(),
            direction: self.settings.direction,
            party: match self.settings.direction {
                Direction::Outbound => Party::Partner,
                Direction::Inbound => Party::Internal,
            },
            initiator: Initiator::Gateway,
            address: self.settings.address,
            stream_id: Arc::from(stream_id),
            method: self.proof.map(Method::External),
            tls: Some(tls),
            bidi: false,
        });
        self.actions
            .push_back(OutboundAction::Ask(Question::Admit(Arc::clone(&peer))));
        State::Asked(Asked::Admit(peer))
    }

    /// The peer says that it closes the stream with an error.
    fn received(&mut self, reading: Reading, error: StreamError) -> State {
        self.wire.close();
        match reading {
            Reading::Established => self.closed(StreamEnd::Received(error)),
            // What did not offer TLS did not know what to make of our asking.
            Reading::Proceed(Offered::No)
                if error.condition == StreamCondition::UnsupportedStanzaType =>
            {
                self.failed(OutboundFailure::NoStartTls)
            }
            _ => self.failed(OutboundFailure::StreamError(error)),
        }
    }

    /// The peer has said `</stream:stream>`, or the connection has ended.
    pub(super) fn ended(&mut self, reading: Reading, how: StreamEnd) -> State {
        match reading {
            Reading::Established => self.closed(how),
            Reading::Closing(StreamEnd::Clean) => self.closed(how),
            Reading::Closing(end) => self.closed(end),
            Reading::Proceed(offered @ Offered::No) => self.failed(offered.refused()),
            Reading::Header(_)
            | Reading::Features(..)
            | Reading::Proceed(_)
            | Reading::Authenticating(_) => self.failed(OutboundFailure::Ended),
        }
    }

    pub(super) fn unreadable(&mut self, reading: Reading, error: &FrameError) -> State {
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
    pub(super) fn close_with(&mut self, error: StreamError) -> State {
        self.wire.error(&error);
        State::Reading(Reading::Closing(StreamEnd::Sent(error)))
    }

    pub(super) fn failed(&mut self, why: OutboundFailure) -> State {
        self.actions.push_back(OutboundAction::Failed(why));
        State::Over
    }

    pub(super) fn closed(&mut self, how: StreamEnd) -> State {
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
