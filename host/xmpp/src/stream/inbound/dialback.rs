//! Dialback on a stream that somebody opens to us, as the receiving and as the authoritative server
//! (XEP-0220).
//!
//! Each pair of domains goes its own way: request, terms, certificate or verification, admission,
//! answer. What goes wrong is told about the pair alone, unless nothing is left of the stream.

use std::sync::Arc;

use super::{Asked, Ground, Inbound, InboundAction, Reading, State};
use crate::{
    dialback::{DialbackCondition, DialbackError, Key, Message, Pair, Verification, Verified},
    error::{StreamCondition, StreamError},
    stream::{Method, Peer, Proof, Question, Terms},
    xml::Element,
};

/// The pairs of domains of one stream.
#[derive(Default)]
pub(super) struct Pairs {
    proven: Vec<Arc<Peer>>,
    verifying: Vec<Verification>,
    /// How many were refused: a peer does not go on asking for ever.
    refused: usize,
}

/// A pair that wants to be authenticated.
pub(super) struct Request {
    pair: Pair,
    key: Key,
}

impl Pairs {
    pub(super) fn any_proven(&self) -> bool {
        !self.proven.is_empty()
    }

    /// Whether there are any, or are about to be.
    pub(super) fn any(&self) -> bool {
        self.count() > 0
    }

    fn count(&self) -> usize {
        self.proven.len() + self.verifying.len()
    }

    pub(super) fn proven(&self) -> &[Arc<Peer>] {
        &self.proven
    }

    pub(super) fn into_proven(self) -> Vec<Arc<Peer>> {
        self.proven
    }

    pub(super) fn add(&mut self, peer: Arc<Peer>) {
        self.proven.push(peer);
    }

    fn is_proven(&self, pair: &Pair) -> bool {
        self.proven
            .iter()
            .any(|peer| peer.remote == pair.from && peer.local == pair.to)
    }

    fn is_verifying(&self, pair: &Pair) -> bool {
        self.verifying
            .iter()
            .any(|asked| asked.originating == pair.from && asked.receiving == pair.to)
    }

    /// Takes out what was being verified, if it was.
    fn take(&mut self, asked: &Verification) -> Option<Pair> {
        let place = self.verifying.iter().position(|known| known == asked)?;
        self.verifying.swap_remove(place);
        Some(asked.question().swapped())
    }
}

impl Inbound {
    /// Takes an element in the dialback namespace.
    pub(super) fn dialback(&mut self, reading: Reading, element: &Element) -> State {
        let message = match Message::of(element) {
            Some(Ok(message)) => message,
            Some(Err(error)) => return self.fail(error),
            None => return self.unexpected(element),
        };
        match (message, reading) {
            // DB-03: nothing is ever asked on a stream that somebody opens to us.
            (Message::Resulted(..) | Message::Verifying(..), _) => self.fail(
                StreamError::new(StreamCondition::PolicyViolation)
                    .with_text("a dialback answer that nobody asked for"),
            ),
            (message, Reading::StartTls(ground)) if !ground.agreed.terms.plain() => {
                let error = Verified::Failed(tls_first());
                let answer = match message {
                    Message::Verify(asked) => verifying(&asked, error),
                    Message::Result(pair, _) => Message::Resulted(pair.swapped(), error),
                    other => other,
                };
                self.wire.element(&answer.to_element());
                self.another_try(Reading::StartTls(ground))
            }
            (Message::Verify(asked), reading) => {
                self.actions
                    .push_back(InboundAction::Ask(Question::Key(asked.clone())));
                State::Asked(Asked::Key(Box::new(reading), asked))
            }
            (
                Message::Result(pair, key),
                Reading::StartTls(ground)
                | Reading::Authenticating(ground, ..)
                | Reading::Dialback(ground)
                | Reading::Established(ground),
            ) => self.requested(ground, pair, key),
            (
                Message::Result(..),
                Reading::Header(_) | Reading::Restart(..) | Reading::Closing { .. },
            ) => self.fail(StreamError::new(StreamCondition::BadFormat)),
        }
    }

    /// As the authoritative server: the driver knows whether the key is ours.
    pub(super) fn key(
        &mut self,
        reading: Reading,
        asked: &Verification,
        verified: Verified,
    ) -> State {
        self.wire.element(&verifying(asked, verified).to_element());
        State::Reading(reading)
    }

    fn requested(&mut self, ground: Ground, pair: Pair, key: Option<Key>) -> State {
        if pair.from == pair.to {
            return self.fail(
                StreamError::new(StreamCondition::InvalidFrom)
                    .with_text("dialback from a domain to itself"),
            );
        }
        if ground.pairs.is_proven(&pair) {
            self.say(&pair, Verified::Valid);
            return State::Reading(ground.reading());
        }
        let Some(key) = key.filter(|_| !ground.pairs.is_verifying(&pair)) else {
            let error = DialbackError::new(DialbackCondition::NotAcceptable)
                .with_text("there is no key, or one is being verified already");
            return self.refuse_pair(ground, &pair, error);
        };
        if ground.pairs.count() >= self.settings.pairs {
            let error = DialbackError::new(DialbackCondition::ResourceConstraint)
                .with_text("too many pairs of domains on one stream");
            return self.refuse_pair(ground, &pair, error);
        }
        self.actions.push_back(InboundAction::Ask(Question::Pair {
            from: pair.from.clone(),
            to: pair.to.clone(),
        }));
        State::Asked(Asked::Pair(ground, Request { pair, key }))
    }

    /// The driver lets the pair be authenticated, on these terms.
    pub(super) fn pair(
        &mut self,
        ground: Ground,
        request: Request,
        terms: Result<Terms, DialbackError>,
    ) -> State {
        match terms {
            Ok(terms) if terms.external && ground.tls.is_some() => {
                self.actions.push_back(InboundAction::Ask(Question::Prove {
                    domain: request.pair.from.clone(),
                }));
                State::Asked(Asked::ProvePair(ground, request, terms))
            }
            Ok(terms) => self.verify(ground, request, &terms, None),
            Err(error) => self.refuse_pair(ground, &request.pair, error),
        }
    }

    /// XEP-0344: where the certificate is good for the domain, the key has nothing to add. It was
    /// judged now, not in the handshake (ID-11).
    pub(super) fn pair_judged(
        &mut self,
        ground: Ground,
        request: Request,
        terms: &Terms,
        proven: Result<Proof, String>,
    ) -> State {
        match proven {
            Ok(proof) => self.prove_pair(ground, request.pair, Method::External(proof)),
            Err(reason) => self.verify(ground, request, terms, Some(reason)),
        }
    }

    fn verify(
        &mut self,
        mut ground: Ground,
        request: Request,
        terms: &Terms,
        unproven: Option<String>,
    ) -> State {
        let error = match &ground.tls {
            Some(_) if terms.tls_dialback => None,
            Some(_) => Some(
                DialbackError::new(DialbackCondition::NotAuthorized).with_text(
                    unproven.unwrap_or_else(|| "a certificate has to prove this domain".into()),
                ),
            ),
            None if terms.plain() => None,
            None => Some(tls_first()),
        };
        if let Some(error) = error {
            return self.refuse_pair(ground, &request.pair, error);
        }
        let asked = Verification {
            originating: request.pair.from,
            receiving: request.pair.to,
            stream_id: self.write_header(),
            key: request.key,
        };
        ground.pairs.verifying.push(asked.clone());
        self.actions.push_back(InboundAction::Verify(asked));
        State::Reading(ground.reading())
    }

    /// Deals with one verification that has come back.
    pub(super) fn dequeue(&mut self, reading: Reading) -> State {
        let Some((asked, verified)) = self.verified.pop_front() else {
            return State::Reading(reading);
        };
        let mut ground = match reading {
            Reading::Dialback(ground) | Reading::Established(ground) => ground,
            // Closed in the meantime.
            reading => return State::Reading(reading),
        };
        let Some(pair) = ground.pairs.take(&asked) else {
            return State::Reading(ground.reading());
        };
        match verified {
            Verified::Valid => {
                let method = match &ground.tls {
                    Some(_) => Method::TlsDialback,
                    None => Method::TcpDialback,
                };
                self.prove_pair(ground, pair, method)
            }
            // DB-06
            Verified::Invalid if ground.pairs.any_proven() => {
                let error = DialbackError::new(DialbackCondition::Forbidden);
                self.refuse_pair(ground, &pair, error)
            }
            Verified::Invalid => {
                self.say(&pair, Verified::Invalid);
                self.fail(
                    StreamError::new(StreamCondition::NotAuthorized)
                        .with_text("the dialback key is not the authoritative server's"),
                )
            }
            Verified::Failed(error) => self.refuse_pair(ground, &pair, error),
        }
    }

    fn prove_pair(&mut self, ground: Ground, pair: Pair, method: Method) -> State {
        let peer = Arc::new(self.peer(&ground, pair.from, pair.to, method));
        self.actions
            .push_back(InboundAction::Ask(Question::Admit(Arc::clone(&peer))));
        State::Asked(Asked::AdmitPair(ground, peer))
    }

    pub(super) fn pair_admitted(
        &mut self,
        mut ground: Ground,
        peer: Arc<Peer>,
        admitted: Result<(), StreamError>,
    ) -> State {
        let pair = Pair {
            from: peer.remote.clone(),
            to: peer.local.clone(),
        };
        match admitted {
            Ok(()) => {
                self.say(&pair, Verified::Valid);
                self.wire.authenticated();
                ground.pairs.add(Arc::clone(&peer));
                self.actions.push_back(InboundAction::Established(peer));
                State::Reading(ground.reading())
            }
            Err(error) => {
                let about = DialbackError {
                    condition: DialbackCondition::PolicyViolation,
                    text: error.text.clone(),
                };
                if ground.pairs.any() {
                    return self.refuse_pair(ground, &pair, about);
                }
                self.say(&pair, Verified::Failed(about));
                self.fail(error)
            }
        }
    }

    /// Says why a pair is not authenticated. The stream goes on.
    fn refuse_pair(&mut self, mut ground: Ground, pair: &Pair, error: DialbackError) -> State {
        self.say(pair, Verified::Failed(error));
        ground.pairs.refused += 1;
        if ground.pairs.refused > self.settings.pairs {
            return self.fail(
                StreamError::new(StreamCondition::PolicyViolation)
                    .with_text("too many pairs of domains were refused"),
            );
        }
        State::Reading(ground.reading())
    }

    /// Answers the request of a pair.
    fn say(&mut self, pair: &Pair, verified: Verified) {
        let answer = Message::Resulted(pair.swapped(), verified);
        self.wire.element(&answer.to_element());
    }
}

fn verifying(asked: &Verification, verified: Verified) -> Message {
    Message::Verifying(
        asked.question().swapped(),
        Arc::clone(&asked.stream_id),
        verified,
    )
}

fn tls_first() -> DialbackError {
    DialbackError::new(DialbackCondition::PolicyViolation).with_text("TLS comes first")
}
