//! Stanzas, and what manages them.

use std::sync::Arc;

use super::{Ground, Inbound, InboundAction, Reading, State};
use crate::{
    frame::Frame,
    ns,
    stream::{
        Initiator, Peer, StreamEnd,
        first_level::{self, Checked},
    },
};

impl Inbound {
    pub(super) fn established(&mut self, mut ground: Ground, frame: Frame) -> State {
        let element = frame.element();
        match element.ns() {
            ns::DIALBACK => return self.dialback(Reading::Established(ground), element),
            ns::MANAGEMENT if ground.agreed.terms.management => {
                return match ground.managed.hear(Initiator::Peer, element) {
                    Ok(nonza) => {
                        self.actions.push_back(InboundAction::Management(nonza));
                        State::Reading(Reading::Established(ground))
                    }
                    Err(error) => self.fail(error),
                };
            }
            _ if !first_level::is_stanza(element) => return self.unexpected(element),
            _ => {}
        }
        match first_level::check(ground.pairs.proven(), frame, &mut self.recent) {
            Ok(checked) => {
                self.actions.push_back(settle(checked));
                State::Reading(Reading::Established(ground))
            }
            Err(error) => self.fail(error),
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

fn settle(checked: Checked) -> InboundAction {
    match checked {
        Checked::Good(stanza) => InboundAction::Stanza(stanza),
        Checked::Bad(peer, fault) => InboundAction::BadStanza { peer, fault },
    }
}
