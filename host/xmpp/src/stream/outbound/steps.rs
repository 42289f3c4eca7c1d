//! What each event does in each state of an outbound stream, and how the stream ends.

use std::sync::Arc;

use super::{Offered, Outbound, OutboundAction, Reading, State};
use crate::{
    error::{StreamCondition, StreamError},
    frame::{Event, Frame, FrameError},
    stream::{OutboundFailure, Peer, StreamEnd, features::Features, first_level},
};

impl Outbound {
    pub(super) fn event(&mut self, reading: Reading, event: Event) -> State {
        match (reading, event) {
            (reading, Event::Whitespace) => State::Reading(reading),
            (reading, Event::Close) => {
                if !matches!(reading, Reading::Closing { .. }) {
                    self.wire.close();
                }
                self.ended(reading, StreamEnd::Clean)
            }
            (Reading::Header(stage), Event::Open(header)) => self.header(stage, *header),
            (Reading::Closing { end, senders }, Event::Element(frame)) => {
                self.closing(end, senders, frame)
            }
            (Reading::Closing { end, .. }, Event::Open(_)) => State::Deaf(end),
            (reading, Event::Element(frame)) => self.element(reading, frame),
            (Reading::Established(_), Event::Open(_)) => {
                self.close_with(StreamError::new(StreamCondition::BadFormat))
            }
            (_, Event::Open(_)) => self.broken(StreamError::new(StreamCondition::BadFormat)),
        }
    }

    fn element(&mut self, reading: Reading, frame: Frame) -> State {
        let element = frame.element();
        if let Some(error) = StreamError::from_element(element) {
            return self.received(reading, error);
        }
        match reading {
            Reading::Features(stage, header) => match Features::of(element) {
                Some(features) => self.features(stage, header, features),
                None => self.broken(first_level::misplaced(element)),
            },
            Reading::Proceed(offered) => self.proceed(offered, element),
            Reading::Authenticating(ground) => self.authenticating(ground, element),
            Reading::Dialback(ground, _) => self.answered(ground, element),
            Reading::Verifying(asked) => self.verifying(&asked, element),
            Reading::Established(flow) => self.established(flow, frame),
            Reading::Header(_) | Reading::Closing { .. } => {
                self.broken(first_level::misplaced(element))
            }
        }
    }

    /// The peer says that it closes the stream with an error.
    fn received(&mut self, reading: Reading, error: StreamError) -> State {
        self.wire.close();
        match reading {
            Reading::Established(_) => self.closed(StreamEnd::Received(error)),
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
            Reading::Established(_) => self.closed(how),
            Reading::Closing {
                end: StreamEnd::Clean,
                ..
            } => self.closed(how),
            Reading::Closing { end, .. } => self.closed(end),
            Reading::Proceed(offered @ Offered::No) => self.failed(offered.refused()),
            // It refused SASL, and wants no dialback either.
            Reading::Dialback(_, Some(failure)) => {
                self.failed(OutboundFailure::SaslRefused(failure))
            }
            Reading::Header(_)
            | Reading::Features(..)
            | Reading::Proceed(_)
            | Reading::Authenticating(_)
            | Reading::Dialback(_, None)
            | Reading::Verifying(_) => self.failed(OutboundFailure::Ended),
        }
    }

    pub(super) fn unreadable(&mut self, reading: Reading, error: &FrameError) -> State {
        let error = error.stream_error();
        match reading {
            Reading::Closing { end, .. } => State::Deaf(end),
            Reading::Established(_) => {
                self.wire.error(&error);
                State::Deaf(StreamEnd::Sent(error))
            }
            _ => self.broken(error),
        }
    }

    /// The peer breaks the protocol before the stream is established.
    pub(super) fn broken(&mut self, error: StreamError) -> State {
        self.wire.error(&error);
        self.failed(OutboundFailure::Protocol(error))
    }

    /// Closes the established stream because of what the peer did.
    pub(super) fn close_with(&mut self, error: StreamError) -> State {
        self.say_close(Some(error), Vec::new())
    }

    /// Closes the established stream.
    pub(super) fn say_close(
        &mut self,
        error: Option<StreamError>,
        senders: Vec<Arc<Peer>>,
    ) -> State {
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
        State::Reading(Reading::Closing { end, senders })
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
