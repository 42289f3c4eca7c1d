//! What each event does in each state of an inbound stream, and how the stream ends.

use std::sync::Arc;

use super::{Inbound, InboundAction, Reading, State};
use crate::{
    error::{StreamCondition, StreamError},
    frame::{Event, FrameError},
    stream::{Peer, StreamEnd, first_level, header},
    xml::Element,
};

impl Inbound {
    pub(super) fn event(&mut self, reading: Reading, event: Event) -> State {
        match (reading, event) {
            (reading, Event::Whitespace) => State::Reading(reading),
            (Reading::Closing { end, .. }, Event::Close) => self.finish(end),
            (_, Event::Close) => {
                self.write_header();
                self.wire.close();
                self.finish(StreamEnd::Clean)
            }
            (Reading::Header(security), Event::Open(header)) => self.header(security, &header),
            (Reading::Restart(ground, peer), Event::Open(header)) => {
                self.restarted(ground, &peer, &header)
            }
            (Reading::StartTls(ground), Event::Element(frame)) => {
                self.before_tls(ground, frame.element())
            }
            (Reading::Authenticating(ground, proof, acceptor), Event::Element(frame)) => {
                self.authenticating(ground, proof, acceptor, frame.element())
            }
            (Reading::Dialback(ground), Event::Element(frame)) => {
                self.without_offer(ground, frame.element())
            }
            (Reading::Established(ground), Event::Element(frame)) => {
                self.established(ground, frame)
            }
            (Reading::Closing { end, senders }, Event::Element(frame)) => {
                self.closing(end, senders, frame)
            }
            (Reading::Closing { end, .. }, Event::Open(_)) => State::Deaf(end),
            (Reading::Header(_) | Reading::Restart(..), Event::Element(_))
            | (_, Event::Open(_)) => self.fail(StreamError::new(StreamCondition::BadFormat)),
        }
    }

    /// An element that has no place where it stands (federation rules, table 4a).
    pub(super) fn unexpected(&mut self, element: &Element) -> State {
        if let Some(error) = StreamError::from_element(element) {
            self.wire.close();
            return self.finish(StreamEnd::Received(error));
        }
        self.fail(first_level::misplaced(element))
    }

    pub(super) fn unreadable(&mut self, reading: Reading, error: &FrameError) -> State {
        if let Reading::Closing { end, .. } = reading {
            return State::Deaf(end);
        }
        let error = error.stream_error();
        self.write_header();
        self.wire.error(&error);
        State::Deaf(StreamEnd::Sent(error))
    }

    pub(super) fn fail(&mut self, error: StreamError) -> State {
        self.say_close(Some(error), Vec::new())
    }

    pub(super) fn say_close(
        &mut self,
        error: Option<StreamError>,
        senders: Vec<Arc<Peer>>,
    ) -> State {
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
        State::Reading(Reading::Closing { end, senders })
    }

    /// Writes our header, if this stream has none yet: an error, too, comes after one (RFC 6120
    /// §4.9.1.2). Returns the stream's id.
    pub(super) fn write_header(&mut self) -> Arc<str> {
        if let Some(id) = &self.face.id {
            return Arc::clone(id);
        }
        let id: Arc<str> = Arc::from((self.stream_ids)());
        self.wire.text(&header::response(
            &id,
            self.face.own.as_ref(),
            self.face.peer.as_ref(),
            self.face.speech,
        ));
        self.face.id = Some(Arc::clone(&id));
        id
    }

    pub(super) fn finish(&mut self, end: StreamEnd) -> State {
        self.actions.push_back(InboundAction::Close(end));
        State::Over
    }
}
