//! What each event does in each state of an inbound stream.

use std::sync::Arc;

use super::{Asked, Inbound, InboundAction, Proven, Reading, Security, State};
use crate::{
    error::{StreamCondition, StreamError},
    frame::{Event, Frame, FrameError, StreamHeader},
    ns, sasl,
    stanza::Direction,
    stream::{
        Initiator, Method, NoTls, Party, Peer, Question, StreamEnd,
        features::{self, Offer},
        first_level::{self, Checked},
        header::{self, Claim},
    },
    xml::Element,
};

/// RFC 6120 §6.4.5: at least two and at most five tries.
const AUTHENTICATION_TRIES: u8 = 5;
/// XEP-0288. Servers that have it say `<bidi/>` in one breath with `<auth/>`.
const BIDI: &str = "urn:xmpp:bidi";

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
            (Reading::Restart(peer), Event::Open(header)) => self.restarted(&peer, &header),
            (Reading::StartTls(claim), Event::Element(frame)) => {
                self.before_tls(claim, frame.element())
            }
            (Reading::Authenticating(proven, acceptor), Event::Element(frame)) => {
                self.authenticating(proven, acceptor, frame.element())
            }
            (Reading::Established(peer), Event::Element(frame)) => self.established(peer, frame),
            (Reading::Closing { end, sender }, Event::Element(frame)) => {
                self.closing(end, sender, frame)
            }
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
            if [facts.sni.as_ref(), agreed]
                .into_iter()
                .flatten()
                .any(|name| *name != claim.to)
            {
                return self.fail(
                    StreamError::new(StreamCondition::ImproperAddressing)
                        .with_text("TLS was set up for another domain than the header's 'to'"),
                );
            }
            if before.as_ref() == Some(&claim) {
                return self.opened(security, claim);
            }
        }
        self.actions.push_back(InboundAction::Ask(Question::Open {
            from: claim.from.clone(),
            to: claim.to.clone(),
        }));
        State::Asked(Asked::Open(security, claim))
    }

    /// The driver lets the stream exist.
    pub(super) fn opened(&mut self, security: Security, claim: Claim) -> State {
        self.face.own = Some(claim.to.clone());
        match (security, claim.from) {
            (Security::Plain, from) => {
                self.write_header();
                self.wire.element(&features::offered(Offer::StartTls));
                State::Reading(Reading::StartTls(Claim { from, to: claim.to }))
            }
            (Security::Tls(tls, _), Some(from)) => {
                self.actions.push_back(InboundAction::Ask(Question::Prove {
                    domain: from.clone(),
                }));
                State::Asked(Asked::Prove(Proven {
                    from,
                    to: claim.to,
                    tls,
                }))
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
            self.actions.push_back(InboundAction::StartTls {
                to: claim.to.clone(),
            });
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

    fn authenticating(
        &mut self,
        proven: Proven,
        mut acceptor: sasl::Acceptor,
        element: &Element,
    ) -> State {
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
                self.actions
                    .push_back(InboundAction::Ask(Question::Admit(Arc::clone(&peer))));
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
        self.wire
            .element(&sasl::Failure::new(condition).to_element());
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
            party: match self.settings.direction {
                Direction::Inbound => Party::Partner,
                Direction::Outbound => Party::Internal,
            },
            initiator: Initiator::Peer,
            address: self.settings.address,
            stream_id: self.face.id.clone().unwrap_or_else(|| Arc::from("")),
            method: self.proof.map(Method::External),
            tls: Some(proven.tls),
            bidi: false,
        }
    }

    fn restarted(&mut self, peer: &Peer, header: &StreamHeader) -> State {
        if !header::is_modern(header) {
            return self.fail(unsupported_version());
        }
        let same = Claim {
            from: Some(peer.remote.clone()),
            to: peer.local.clone(),
        };
        if Claim::of(header) != Ok(same) {
            return self.fail(
                StreamError::new(StreamCondition::ImproperAddressing).with_text(
                    "the header's 'from' and 'to' are not those that were authenticated",
                ),
            );
        }
        let stream_id = self.write_header();
        self.wire.element(&features::offered(Offer::Nothing));
        let peer = Arc::new(Peer {
            stream_id,
            ..peer.clone()
        });
        self.actions
            .push_back(InboundAction::Established(Arc::clone(&peer)));
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
            return State::Reading(Reading::Closing {
                end: end.or_received(error),
                sender: None,
            });
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
        self.say_close(Some(error), None)
    }

    pub(super) fn say_close(
        &mut self,
        error: Option<StreamError>,
        sender: Option<Arc<Peer>>,
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
        State::Reading(Reading::Closing { end, sender })
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
        ));
        self.face.id = Some(Arc::clone(&id));
        id
    }

    pub(super) fn finish(&mut self, end: StreamEnd) -> State {
        self.actions.push_back(InboundAction::Close(end));
        State::Over
    }
}

fn settle(peer: &Arc<Peer>, checked: Checked) -> InboundAction {
    match checked {
        Checked::Good(stanza) => InboundAction::Stanza(stanza),
        Checked::Bad(fault) => InboundAction::BadStanza {
            peer: Arc::clone(peer),
            fault,
        },
    }
}

fn unsupported_version() -> StreamError {
    StreamError::new(StreamCondition::UnsupportedVersion).with_text("XMPP 1.0 is needed")
}
