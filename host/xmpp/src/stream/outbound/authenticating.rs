//! SASL EXTERNAL, and dialback where that is not to be had.

use std::sync::Arc;

use super::{Asked, Flow, Ground, Outbound, OutboundAction, Reading, Stage, State};
use crate::{
    dialback::{Message, Pair, Verified},
    error::{StreamCondition, StreamError},
    sasl,
    stanza::Direction,
    stream::{
        Initiator, Method, OutboundFailure, Party, Peer, Proof, Question,
        features::{self, Announced},
        first_level,
        managed::Managed,
    },
    xml::Element,
};

/// The longest stream id that is taken from a peer, in bytes: it stands in logs and audit records,
/// and servers make some dozen bytes.
const ID_BYTES: usize = 256;

impl Outbound {
    /// The peer's certificate was judged.
    pub(super) fn judged(&mut self, mut ground: Ground, proven: Result<Proof, String>) -> State {
        match proven {
            Ok(proof) => {
                ground.proof = Some(proof);
                // BI-05: stanzas are taken only from who is proven by certificate.
                if self.settings.terms.bidi && ground.features.bidi {
                    let limits = Announced {
                        max_bytes: self.settings.limits.stanza_bytes,
                        idle_seconds: self.settings.idle_seconds,
                    };
                    self.wire.element(&features::bidi(&limits));
                    ground.bidi = true;
                }
                if ground.features.external {
                    self.wire.element(&sasl::auth(&self.settings.local));
                    return State::Reading(Reading::Authenticating(ground));
                }
                self.fall_back(ground, OutboundFailure::NoExternal)
            }
            Err(reason) if self.settings.terms.tls_dialback => {
                self.fall_back(ground, OutboundFailure::CertificateRefused(reason))
            }
            Err(reason) => {
                self.wire
                    .error(&StreamError::new(StreamCondition::PolicyViolation).with_text(&reason));
                self.failed(OutboundFailure::CertificateRefused(reason))
            }
        }
    }

    pub(super) fn authenticating(&mut self, ground: Ground, element: &Element) -> State {
        match sasl::outcome(element) {
            Some(sasl::Outcome::Success) => {
                self.wire.restart();
                self.open(Stage::Authenticated(ground))
            }
            Some(sasl::Outcome::Failure(failure)) => {
                self.fall_back(ground, OutboundFailure::SaslRefused(failure))
            }
            None => self.broken(first_level::misplaced(element)),
        }
    }

    /// SASL EXTERNAL is not to be had, for this reason.
    pub(super) fn fall_back(&mut self, ground: Ground, why: OutboundFailure) -> State {
        if !self.settings.terms.tls_dialback {
            self.wire.close();
            return self.failed(why);
        }
        self.dialback(ground, Some(why))
    }

    /// Sends our key; `instead` of SASL EXTERNAL, if our terms had it.
    pub(super) fn dialback(&mut self, ground: Ground, instead: Option<OutboundFailure>) -> State {
        let refused = match &instead {
            Some(OutboundFailure::SaslRefused(failure)) => Some(failure.clone()),
            _ => None,
        };
        // Announced by either (XEP-0220 §2.4). Nearly every header declares the namespace, though: a server
        // that has just refused us and does not offer dialback would leave us waiting.
        let declared = ground.header.dialback && refused.is_none();
        if !ground.features.dialback && !declared {
            self.wire.close();
            return self.failed(match refused {
                Some(failure) => OutboundFailure::SaslRefused(failure),
                None => OutboundFailure::NoDialback,
            });
        }
        let Some(stream_id) = ground.stream_id() else {
            return self.broken(no_id());
        };
        self.actions
            .extend(instead.map(OutboundAction::FallingBack));
        let pair = self.ours();
        let key = self.settings.secret.key(&pair.to, &pair.from, &stream_id);
        self.wire
            .element(&Message::Result(pair, Some(key)).to_element());
        State::Reading(Reading::Dialback(ground, refused))
    }

    /// The answer to our key has come, or something that is none (DB-03).
    pub(super) fn answered(&mut self, ground: Ground, element: &Element) -> State {
        let verified = match Message::of(element) {
            Some(Ok(Message::Resulted(pair, verified))) if pair == self.ours().swapped() => {
                verified
            }
            Some(Ok(Message::Resulted(..) | Message::Verifying(..))) => {
                return self.broken(unsolicited());
            }
            Some(Err(error)) => return self.broken(error),
            Some(Ok(_)) | None => return self.broken(first_level::misplaced(element)),
        };
        match verified {
            Verified::Valid => {
                let method = match &ground.tls {
                    Some(_) => Method::TlsDialback,
                    None => Method::TcpDialback,
                };
                self.admit(ground, method)
            }
            Verified::Invalid => {
                self.wire.close();
                self.failed(OutboundFailure::DialbackInvalid)
            }
            Verified::Failed(error) => {
                self.wire.close();
                self.failed(OutboundFailure::DialbackRefused(error))
            }
        }
    }

    /// Both sides are authenticated, and the restarted stream's features are here.
    pub(super) fn authenticated(&mut self, ground: Ground) -> State {
        if ground.features.mandatory {
            return self.broken(
                StreamError::new(StreamCondition::UnsupportedFeature)
                    .with_text("a feature is mandatory that is not supported here"),
            );
        }
        match ground.proof {
            Some(proof) => self.admit(ground, Method::External(proof)),
            None => self.broken(StreamError::new(StreamCondition::InternalServerError)),
        }
    }

    fn admit(&mut self, ground: Ground, method: Method) -> State {
        let Some(stream_id) = ground.stream_id() else {
            return self.broken(no_id());
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
            stream_id,
            method: Some(method),
            tls: ground.tls,
            bidi: ground.bidi,
        });
        let senders = if ground.bidi {
            vec![Arc::new(peer.reversed())]
        } else {
            Vec::new()
        };
        self.actions
            .push_back(OutboundAction::Ask(Question::Admit(Arc::clone(&peer))));
        State::Asked(Asked::Admit(Flow {
            peer,
            senders,
            features: ground.features,
            managed: Managed::Off,
        }))
    }

    /// The pair that we want to be authenticated.
    fn ours(&self) -> Pair {
        Pair {
            from: self.settings.local.clone(),
            to: self.settings.remote.clone(),
        }
    }
}

impl Ground {
    pub(super) fn stream_id(&self) -> Option<Arc<str>> {
        self.header
            .id
            .as_deref()
            .filter(|id| !id.is_empty() && id.len() <= ID_BYTES)
            .map(Arc::from)
    }
}

fn no_id() -> StreamError {
    StreamError::new(StreamCondition::BadFormat)
        .with_text("the header has no 'id', or a very long one")
}

pub(super) fn unsolicited() -> StreamError {
    StreamError::new(StreamCondition::PolicyViolation)
        .with_text("a dialback answer that nobody asked for")
}
