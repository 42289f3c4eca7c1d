//! SASL EXTERNAL, from the offer to the restarted stream.

use std::sync::Arc;

use super::{Asked, Ground, Inbound, InboundAction, Reading, State, opening::unsupported_version};
use crate::{
    error::{StreamCondition, StreamError},
    frame::StreamHeader,
    jid::Domain,
    ns, sasl,
    stanza::Direction,
    stream::{
        Initiator, Method, Party, Peer, PeerLimits, Proof, Question,
        features::Offer,
        header::{self, Claim, Speech},
    },
    xml::Element,
};

/// RFC 6120 §6.4.5: at least two and at most five tries.
const AUTHENTICATION_TRIES: u8 = 5;

impl Inbound {
    pub(super) fn authenticating(
        &mut self,
        mut ground: Ground,
        proof: Proof,
        mut acceptor: sasl::Acceptor,
        element: &Element,
    ) -> State {
        match element.ns() {
            ns::SASL => {}
            ns::BIDI => {
                ground.ask_for_bidi(element);
                return State::Reading(Reading::Authenticating(ground, proof, acceptor));
            }
            ns::DIALBACK => {
                return self.dialback(Reading::Authenticating(ground, proof, acceptor), element);
            }
            _ => return self.unexpected(element),
        }
        match acceptor.step(element) {
            sasl::Step::Challenge => {
                self.wire.element(&Element::new(ns::SASL, "challenge"));
                State::Reading(Reading::Authenticating(ground, proof, acceptor))
            }
            sasl::Step::Accept => {
                let from = acceptor.identity().clone();
                let to = ground.agreed.claim.to.clone();
                let peer = Arc::new(self.peer(&ground, from, to, Method::External(proof)));
                self.actions
                    .push_back(InboundAction::Ask(Question::Admit(Arc::clone(&peer))));
                State::Asked(Asked::Admit(ground, peer))
            }
            sasl::Step::Fail(condition) => {
                self.refused(Reading::Authenticating(ground, proof, acceptor), condition)
            }
        }
    }

    /// Where nobody is authenticated, and SASL is not offered.
    pub(super) fn without_offer(&mut self, mut ground: Ground, element: &Element) -> State {
        match element.ns() {
            ns::DIALBACK => self.dialback(Reading::Dialback(ground), element),
            ns::BIDI => {
                ground.ask_for_bidi(element);
                State::Reading(Reading::Dialback(ground))
            }
            ns::SASL => {
                let condition = match (&ground.tls, element.attribute("mechanism")) {
                    (None, _) => sasl::Condition::EncryptionRequired,
                    (Some(_), Some(sasl::EXTERNAL)) => sasl::Condition::NotAuthorized,
                    (Some(_), Some(_)) => sasl::Condition::InvalidMechanism,
                    (Some(_), None) => sasl::Condition::MalformedRequest,
                };
                self.refused(Reading::Dialback(ground), condition)
            }
            _ => self.unexpected(element),
        }
    }

    /// Says `<failure/>`; the peer may try again, or something else.
    pub(super) fn refused(&mut self, reading: Reading, condition: sasl::Condition) -> State {
        self.wire
            .element(&sasl::Failure::new(condition).to_element());
        // Who asks to be somebody else has not mistyped (RFC 6120 §6.4.6).
        if condition == sasl::Condition::InvalidAuthzid {
            return self.fail(
                StreamError::new(StreamCondition::NotAuthorized)
                    .with_text("the authorization identity is not the domain that is proven"),
            );
        }
        self.another_try(reading)
    }

    /// Goes on where a try to authenticate has failed, if it was not the last.
    pub(super) fn another_try(&mut self, reading: Reading) -> State {
        self.failures += 1;
        if self.failures >= AUTHENTICATION_TRIES {
            return self.fail(
                StreamError::new(StreamCondition::PolicyViolation)
                    .with_text("too many failed authentications"),
            );
        }
        State::Reading(reading)
    }

    pub(super) fn admitted(
        &mut self,
        ground: Ground,
        peer: Arc<Peer>,
        admitted: Result<(), StreamError>,
    ) -> State {
        match admitted {
            Ok(()) => {
                self.wire.element(&Element::new(ns::SASL, "success"));
                self.wire.restart();
                self.face.id = None;
                State::Reading(Reading::Restart(ground, peer))
            }
            Err(error) => {
                self.wire
                    .element(&sasl::Failure::new(sasl::Condition::NotAuthorized).to_element());
                self.fail(error)
            }
        }
    }

    pub(super) fn restarted(
        &mut self,
        mut ground: Ground,
        peer: &Peer,
        header: &StreamHeader,
    ) -> State {
        if header::speech(header) == Speech::Legacy {
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
        self.offer(Offer::Authenticated, &ground);
        let peer = Arc::new(Peer {
            stream_id,
            ..peer.clone()
        });
        ground.pairs.add(Arc::clone(&peer));
        self.actions.push_back(InboundAction::Established(peer));
        State::Reading(Reading::Established(ground))
    }

    /// The peer of one pair of domains.
    pub(super) fn peer(&self, ground: &Ground, from: Domain, to: Domain, method: Method) -> Peer {
        Peer {
            remote: from,
            local: to,
            direction: self.settings.direction,
            party: match self.settings.direction {
                Direction::Inbound => Party::Partner,
                Direction::Outbound => Party::Internal,
            },
            initiator: Initiator::Peer,
            address: self.settings.address,
            stream_id: self.face.id.clone().unwrap_or_else(|| Arc::from("")),
            method: Some(method),
            tls: ground.tls.clone(),
            bidi: ground.bidi.is_some(),
        }
    }
}

impl Ground {
    /// The peer wants stanzas to flow both ways. Where that was not offered it is ignored, since some
    /// say it to everybody.
    fn ask_for_bidi(&mut self, element: &Element) {
        if self.agreed.terms.bidi && self.tls.is_some() && !self.pairs.any() {
            self.bidi = Some(PeerLimits::within(element));
        }
    }
}
