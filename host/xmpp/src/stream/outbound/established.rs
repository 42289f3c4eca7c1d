//! What a peer may say on a stream that we opened: about what it has settled, and where stanzas flow
//! both ways those of its own.

use std::sync::Arc;

use super::{Asked, Flow, Outbound, OutboundAction, Reading, State, authenticating::unsolicited};
use crate::{
    dialback::{DialbackCondition, DialbackError, Message, Verification, Verified},
    error::{StreamCondition, StreamError},
    frame::Frame,
    ns,
    stream::{
        Initiator, Peer, Question, StreamEnd,
        features::Features,
        first_level::{self, Checked},
    },
    xml::Element,
};

impl Outbound {
    pub(super) fn established(&mut self, mut flow: Flow, frame: Frame) -> State {
        let element = frame.element();
        match element.ns() {
            // Features that turn up later ask for a new stream (RFC 6120 §4.3.5).
            _ if Features::of(element).is_some() => {
                self.close_with(StreamError::new(StreamCondition::Reset))
            }
            ns::DIALBACK => self.asked(flow, element),
            ns::MANAGEMENT if self.settings.terms.management => {
                match flow.managed.hear(Initiator::Gateway, element) {
                    Ok(nonza) => {
                        self.actions.push_back(OutboundAction::Management(nonza));
                        State::Reading(Reading::Established(flow))
                    }
                    Err(error) => self.close_with(error),
                }
            }
            _ if flow.senders.is_empty() || !first_level::is_stanza(element) => {
                self.close_with(first_level::misplaced(element))
            }
            _ => match first_level::check(&flow.senders, frame, &mut self.recent) {
                Ok(checked) => {
                    self.actions.push_back(settle(checked));
                    State::Reading(Reading::Established(flow))
                }
                Err(error) => self.close_with(error),
            },
        }
    }

    /// On a stream that goes both ways the peer may ask what it would ask on one of its own: whether
    /// a key is ours. Nothing else was asked here that dialback could answer (DB-03).
    fn asked(&mut self, flow: Flow, element: &Element) -> State {
        match Message::of(element) {
            Some(Ok(Message::Verify(asked))) if flow.peer.bidi => {
                self.actions
                    .push_back(OutboundAction::Ask(Question::Key(asked.clone())));
                State::Asked(Asked::Key(flow, asked))
            }
            Some(Ok(Message::Resulted(..) | Message::Verifying(..))) => {
                self.close_with(unsolicited())
            }
            Some(Err(error)) => self.close_with(error),
            Some(Ok(_)) | None => {
                self.close_with(StreamError::new(StreamCondition::UnsupportedStanzaType))
            }
        }
    }

    /// As the authoritative server.
    pub(super) fn key(&mut self, flow: Flow, asked: &Verification, verified: Verified) -> State {
        let answer = Message::Verifying(
            asked.question().swapped(),
            Arc::clone(&asked.stream_id),
            verified,
        );
        self.wire.element(&answer.to_element());
        State::Reading(Reading::Established(flow))
    }

    /// The authoritative server's answer to our question.
    pub(super) fn verifying(&mut self, asked: &Verification, element: &Element) -> State {
        match Message::of(element) {
            Some(Ok(Message::Verifying(pair, id, verified)))
                if pair == asked.question().swapped() && id == asked.stream_id =>
            {
                self.wire.close();
                // XEP-0220 §2.5: whatever is wrong there, this is what its peer is told.
                let verified = match verified {
                    Verified::Failed(error) => Verified::Failed(DialbackError {
                        condition: DialbackCondition::RemoteServerNotFound,
                        ..error
                    }),
                    verified => verified,
                };
                self.actions.push_back(OutboundAction::Verified(verified));
                State::Over
            }
            Some(Ok(Message::Verifying(..) | Message::Resulted(..))) => self.broken(unsolicited()),
            Some(Err(error)) => self.broken(error),
            Some(Ok(_)) | None => self.broken(first_level::misplaced(element)),
        }
    }

    /// What still comes after our closing tag.
    pub(super) fn closing(
        &mut self,
        end: StreamEnd,
        senders: Vec<Arc<Peer>>,
        frame: Frame,
    ) -> State {
        let late = first_level::after_closing(end, senders, frame, &mut self.recent);
        self.actions.extend(late.checked.map(settle));
        State::Reading(Reading::Closing {
            end: late.end,
            senders: late.senders,
        })
    }
}

fn settle(checked: Checked) -> OutboundAction {
    match checked {
        Checked::Good(stanza) => OutboundAction::Stanza(stanza),
        Checked::Bad(peer, fault) => OutboundAction::BadStanza { peer, fault },
    }
}
