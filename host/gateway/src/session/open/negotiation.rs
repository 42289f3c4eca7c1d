//! One connection on its way to a stream: the machine of `portcullis-xmpp` between the socket and the
//! questions that only the gateway can answer.
//!
//! In: a connection. Out: a stream that is authenticated and admitted, the word of an authoritative
//! server, or why there is none. Whoever runs it sets the deadline.

use portcullis_xmpp::error::{StreamCondition, StreamError};
use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::stream::{
    Answer, Outbound, OutboundAction, OutboundFailure, Question, TlsMode,
};
use tokio::sync::watch;

use super::attempt::{Attempt, Reached};
use crate::connect::Candidate;
use crate::prove::{certificate, promised};
use crate::session::dialback::{self, Known};
use crate::session::failure::Failure;
use crate::session::standing::Standing;
use crate::session::wire::{Wire, read_failure};
use crate::tls::{PeerChain, Side, TlsError};

/// One connection on its way to a stream.
pub(super) struct Negotiation<'a> {
    pub(super) attempt: Attempt<'a>,
    pub(super) candidate: Candidate,
    pub(super) machine: Outbound,
    pub(super) wire: Wire,
    pub(super) chain: PeerChain,
    pub(super) standing: Standing,
    pub(super) generations: watch::Receiver<u64>,
    /// If our dialback key was sent on it.
    pub(super) key: Option<Known>,
    /// What is wrong with the certificate of a server that has to have a good one.
    pub(super) unproven: Option<String>,
}

impl<'a> Negotiation<'a> {
    pub(super) async fn run(mut self) -> Result<Reached<'a>, Failure> {
        loop {
            let mut bytes = Vec::new();
            let mut outcome = None;
            while let Some(action) = self.machine.next() {
                match action {
                    OutboundAction::Send(more) => bytes.extend_from_slice(&more),
                    OutboundAction::StartTls { server_name } => self.start_tls(&server_name).await,
                    OutboundAction::FallingBack(why) => self.tell_of_dialback(&why),
                    OutboundAction::Ask(question) => {
                        let answer = self.answer(question).await;
                        self.machine.answer(answer);
                    }
                    OutboundAction::Established(peer) => {
                        // What came in the same packet is for the session.
                        outcome = Some(Ok(Ok(peer)));
                        break;
                    }
                    OutboundAction::Verified(verified) => outcome = Some(Ok(Err(verified))),
                    OutboundAction::Failed(failure) => {
                        outcome = Some(Err(match self.unproven.take() {
                            Some(reason) => OutboundFailure::CertificateRefused(reason),
                            None => failure,
                        }));
                    }
                    OutboundAction::Stanza(_)
                    | OutboundAction::BadStanza { .. }
                    | OutboundAction::Management(_) => {}
                    OutboundAction::Closed(_) => outcome = Some(Err(OutboundFailure::Ended)),
                }
            }
            if self.key.is_none()
                && let Some(stream_id) = self.machine.key_sent()
            {
                let Attempt {
                    gateway, from, to, ..
                } = self.attempt;
                self.key = gateway.dialbacks.sent(from, to, &stream_id);
            }
            if !bytes.is_empty() && self.wire.send(&bytes).await.is_err() {
                self.machine.eof();
            }
            match outcome {
                Some(Ok(Ok(peer))) => {
                    return Ok(Reached::Stream(Box::new(self), peer));
                }
                Some(Ok(Err(verified))) => {
                    self.wire.close().await;
                    return Ok(Reached::Verified(verified));
                }
                Some(Err(failure)) => {
                    let secured = self.wire.is_secured();
                    self.wire.close().await;
                    return Err(match failure {
                        // What was said in the clear may be anybody's word (DNS-07).
                        OutboundFailure::StreamError(StreamError {
                            other_host: Some(place),
                            ..
                        }) if secured => Failure::Elsewhere(place),
                        failure => Failure::Negotiation(failure),
                    });
                }
                None => {}
            }
            let machine = &mut self.machine;
            match self.wire.read(|bytes| machine.receive(bytes)).await {
                Ok(0) => self.machine.eof(),
                Ok(_) => {}
                // Most often the server's refusal of our certificate.
                Err(error) if TlsError::of_stream(&error).is_some() => {
                    self.machine.tls_failed(read_failure(&error));
                }
                Err(_) => self.machine.eof(),
            }
        }
    }

    /// An operator who expected a certificate to do should find why it did not.
    fn tell_of_dialback(&self, why: &OutboundFailure) {
        tracing::info!(
            from = %self.attempt.from,
            to = %self.attempt.to,
            reason = why.to_string(),
            "no SASL EXTERNAL there: going on with dialback"
        );
    }

    async fn start_tls(&mut self, server_name: &Domain) {
        let Attempt {
            gateway,
            side,
            from,
            ..
        } = self.attempt;
        let Some(stream) = self.wire.take_plain() else {
            return;
        };
        let connecting = gateway
            .tls
            .connect(side, stream, TlsMode::StartTls, from, server_name);
        match connecting.await {
            Ok(secured) => {
                let candidate = &self.candidate;
                let promised =
                    promised(gateway, side, &secured.chain, server_name, candidate).await;
                self.wire.secured(secured.stream);
                self.chain = secured.chain;
                match promised {
                    Ok(()) => self.machine.tls_established(secured.facts),
                    Err(unproven) => self.machine.tls_failed(unproven.to_string()),
                }
            }
            Err(error) => self.machine.tls_failed(error.to_string()),
        }
    }

    async fn answer(&mut self, question: Question) -> Answer {
        let Attempt { gateway, side, .. } = self.attempt;
        match question {
            // Not asked of who opens the stream.
            Question::Open { .. } | Question::Pair { .. } => {
                let error = StreamError::new(StreamCondition::InternalServerError);
                Answer::Open(Err(error))
            }
            Question::Key(asked) => Answer::Key(dialback::answer(gateway, side, &asked)),
            Question::Prove { domain } => {
                let candidate = Some(&self.candidate);
                let proven = certificate(gateway, side, &self.chain, &domain, candidate)
                    .await
                    .map_err(|unproven| unproven.to_string());
                // Inside, dialback is for us to be believed, not for the server.
                if let (Side::Internal, Err(reason)) = (side, &proven) {
                    self.unproven = Some(reason.clone());
                    let error =
                        StreamError::new(StreamCondition::PolicyViolation).with_text(reason);
                    self.machine.close(Some(error));
                }
                Answer::Prove(proven)
            }
            Question::Admit(peer) => {
                let generation = gateway.chain.enter();
                self.standing = match side {
                    Side::Federation => Standing::of(gateway, &generation, &peer).await,
                    Side::Internal => Standing::inside(gateway, &generation),
                };
                let refused: Option<StreamError> =
                    self.standing.refusal().map(|refusal| refusal.error.clone());
                Answer::Admit(refused.map_or(Ok(()), Err))
            }
        }
    }
}
