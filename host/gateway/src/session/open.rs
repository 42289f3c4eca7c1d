//! From a pair of domains to an [`Output`] that is authenticated and admitted, or to the word of an
//! authoritative server about a dialback key.
//!
//! In: the domain in whose name we speak and the one we want to reach. Out: the stream, or the
//! [`Failure`] that says most. All addresses are tried, in the order in which they were found, until
//! one leads to an authenticated stream; the whole of it has `timeouts.establish`.

use std::sync::Arc;
use std::time::Duration;

use portcullis_xmpp::dialback::{Verification, Verified};
use portcullis_xmpp::error::{StreamCondition, StreamError};
use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::stanza::Direction;
use portcullis_xmpp::stream::{
    Answer, Initiator, Outbound, OutboundAction, OutboundFailure, OutboundSettings, Peer, Purpose,
    Question, Start, Terms, TlsMode,
};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::dialback::{self, Known};
use super::failure::Failure;
use super::intake::Intake;
use super::output::Output;
use super::own;
use super::standing::Standing;
use super::terms;
use super::wire::{Wire, read_failure};
use crate::app::Gateway;
use crate::connect::{Candidate, Candidates, ConnectError, Connection, Search};
use crate::prove::{certificate, promised};
use crate::tls::{PeerChain, Side, TlsError};

/// The least that a negotiation gets before the next address is tried, of the time that is left.
const ATTEMPT: Duration = Duration::from_secs(10);
/// How often in a row a partner's servers may send us to another host (RFC 6120 §4.9.3.19).
const HOPS: usize = 3;

/// Opens a stream that carries stanzas of `from` to `to`.
pub(crate) async fn open(
    gateway: &Arc<Gateway>,
    side: Side,
    from: &Domain,
    to: &Domain,
) -> Result<Output, Failure> {
    let slot = match side {
        Side::Federation => {
            // Design 5: before DNS.
            may_reach(gateway, to).await?;
            if !gateway.streams.has_room(&gateway.quota(to)) {
                return Err(Failure::TooMany);
            }
            Some(
                gateway
                    .federation_slots
                    .take_own()
                    .ok_or(Failure::TooMany)?,
            )
        }
        Side::Internal => None,
    };
    let deadline = Instant::now() + gateway.config().timeouts.establish;
    let attempt = Attempt {
        gateway,
        side,
        from,
        to,
        purpose: &Purpose::Stanzas,
    };
    let Reached::Stream(negotiated) = attempt.every_address(deadline).await? else {
        return Err(Failure::Negotiation(OutboundFailure::Ended));
    };
    let Negotiated {
        machine,
        wire,
        chain,
        candidate,
        peer,
        standing,
        generations,
        key,
    } = *negotiated;
    let mut intake = Intake::new(side);
    intake
        .establish(gateway, Arc::clone(&peer), &chain, Some(&candidate))
        .await
        .map_err(|refusal| match refusal.error.condition {
            StreamCondition::ResourceConstraint => Failure::TooMany,
            _ => Failure::Refused(refusal),
        })?;
    Ok(own::start(
        gateway,
        own::Parts {
            side,
            machine,
            wire,
            peer,
            intake,
            standing,
            generations,
            slot,
            key,
        },
    ))
}

/// Whether something may be sent to a partner.
pub(crate) async fn may_reach(gateway: &Gateway, partner: &Domain) -> Result<(), Failure> {
    let generation = gateway.chain.enter();
    let standing = Standing::of_partner(gateway, &generation, partner).await;
    standing.answer.map_err(Failure::Refused)?;
    terms::may_send(&gateway.record(partner)).map_err(Failure::Refused)
}

/// On what terms we open a stream. Stanzas flow both ways on it only if the partner may send some.
async fn own_terms(gateway: &Gateway, side: Side, remote: &Domain) -> Terms {
    let terms = terms::of(gateway, side, Initiator::Gateway, remote);
    let both = match side {
        Side::Federation if terms.bidi => {
            let generation = gateway.chain.enter();
            let ruling = generation.knock(remote, Direction::Inbound, None).await;
            ruling.is_admitted()
        }
        _ => terms.bidi,
    };
    Terms {
        bidi: both,
        ..terms
    }
}

/// Asks the authoritative server of a partner's domain about a key.
pub(super) async fn verify(
    gateway: &Arc<Gateway>,
    asked: &Verification,
    deadline: Instant,
) -> Result<Verified, Failure> {
    let _slot = gateway
        .federation_slots
        .take_own()
        .ok_or(Failure::TooMany)?;
    let attempt = Attempt {
        gateway,
        side: Side::Federation,
        from: &asked.receiving,
        to: &asked.originating,
        purpose: &Purpose::Verify(asked.clone()),
    };
    match attempt.every_address(deadline).await? {
        Reached::Verified(verified) => Ok(verified),
        Reached::Stream(_) => Err(Failure::Negotiation(OutboundFailure::Ended)),
    }
}

/// Who we are and whom we want to reach.
#[derive(Clone, Copy)]
struct Attempt<'a> {
    gateway: &'a Arc<Gateway>,
    side: Side,
    from: &'a Domain,
    to: &'a Domain,
    purpose: &'a Purpose,
}

/// What an attempt leads to.
enum Reached {
    Stream(Box<Negotiated>),
    Verified(Verified),
}

/// A stream whose negotiation is done.
struct Negotiated {
    machine: Outbound,
    wire: Wire,
    chain: PeerChain,
    candidate: Candidate,
    peer: Arc<Peer>,
    standing: Standing,
    generations: watch::Receiver<u64>,
    /// If our dialback key was sent on it.
    key: Option<Known>,
}

impl Attempt<'_> {
    async fn every_address(self, deadline: Instant) -> Result<Reached, Failure> {
        let found = timeout_at(deadline, self.find())
            .await
            .map_err(|_| Failure::TooSlow)?;
        let mut candidates = found.map_err(Failure::Connect)?;
        let mut worst: Option<Failure> = None;
        let mut hops = 0;
        loop {
            let connection = match timeout_at(deadline, candidates.next()).await {
                Ok(Ok(connection)) => connection,
                // There is no further address.
                Ok(Err(error)) => return Err(Failure::telling(worst, Failure::Connect(error))),
                Err(_) => return Err(Failure::telling(worst, Failure::TooSlow)),
            };
            let now = Instant::now();
            let left = deadline.saturating_duration_since(now);
            let until = now + left.min((left / 2).max(ATTEMPT));
            let candidate = connection.candidate.clone();
            let failure = match timeout_at(until, self.negotiate(connection)).await {
                Ok(Ok(reached)) => return Ok(reached),
                Ok(Err(failure)) => failure,
                Err(_) => Failure::TooSlow,
            };
            tracing::debug!(from = %self.from, to = %self.to, %candidate, reason = failure.to_string(), "no stream there");
            if let (Failure::Elsewhere(place), Side::Federation) = (&failure, self.side)
                && hops < HOPS
            {
                hops += 1;
                match self.gateway.dialer.other_host(self.to, &candidate, place) {
                    Ok(others) => candidates = others,
                    Err(error) => worst = Some(Failure::telling(worst, Failure::Connect(error))),
                }
            }
            worst = Some(Failure::telling(worst, failure));
        }
    }

    async fn find(self) -> Result<Candidates, ConnectError> {
        match self.side {
            Side::Federation => {
                let record = self.gateway.partner(self.to);
                let search = record.as_ref().map(Search::from).unwrap_or_default();
                self.gateway.dialer.partner(self.to, search).await
            }
            Side::Internal => match self.gateway.server(self.to) {
                // It takes stanzas on the streams that it opens, and there is none.
                Some(server) if server.connect.is_empty() => Err(ConnectError::Unreachable(
                    format!("the server of {} has not opened a stream", self.to),
                )),
                Some(server) => self.gateway.dialer.internal(self.to, &server),
                None => Err(ConnectError::NotFound(format!(
                    "{} has no internal server",
                    self.to
                ))),
            },
        }
    }

    async fn negotiate(self, connection: Connection) -> Result<Reached, Failure> {
        let Connection { stream, candidate } = connection;
        let address = candidate.address;
        let (wire, chain, start) = match candidate.mode {
            TlsMode::StartTls => (Wire::plain(stream), PeerChain::default(), Start::Plain),
            mode @ TlsMode::Direct => {
                let connecting = self.gateway.tls.connect(
                    self.side,
                    stream,
                    mode,
                    self.from,
                    self.to,
                    address.ip(),
                );
                let secured = connecting.await.map_err(Failure::Tls)?;
                promised(self.gateway, self.side, &secured.chain, self.to, &candidate)
                    .await
                    .map_err(|unproven| {
                        let refused = OutboundFailure::CertificateRefused(unproven.to_string());
                        Failure::Negotiation(refused)
                    })?;
                (
                    Wire::tls(secured.stream),
                    secured.chain,
                    Start::Tls(secured.facts),
                )
            }
        };
        let settings = OutboundSettings {
            limits: self.gateway.stream_limits(),
            direction: match self.side {
                Side::Federation => Direction::Outbound,
                Side::Internal => Direction::Inbound,
            },
            address: Some(address),
            local: self.from.clone(),
            remote: self.to.clone(),
            terms: own_terms(self.gateway, self.side, self.to).await,
            secret: self.gateway.dialback.clone(),
            purpose: self.purpose.clone(),
            idle_seconds: None,
        };
        let settings = OutboundSettings {
            terms: candidate.narrowed(settings.terms),
            ..settings
        };
        let negotiation = Negotiation {
            attempt: self,
            candidate,
            machine: Outbound::new(settings, start),
            wire,
            chain,
            standing: Standing::inside(self.gateway, &self.gateway.chain.enter()),
            // Before the gatekeepers are asked, so that no later generation is missed.
            generations: self.gateway.generations.subscribe(),
            key: None,
            unproven: None,
        };
        negotiation.run().await
    }
}

/// One connection on its way to a stream.
struct Negotiation<'a> {
    attempt: Attempt<'a>,
    candidate: Candidate,
    machine: Outbound,
    wire: Wire,
    chain: PeerChain,
    standing: Standing,
    generations: watch::Receiver<u64>,
    key: Option<Known>,
    /// What is wrong with the certificate of a server that has to have a good one.
    unproven: Option<String>,
}

impl Negotiation<'_> {
    async fn run(mut self) -> Result<Reached, Failure> {
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
                    let Self {
                        machine,
                        wire,
                        chain,
                        candidate,
                        standing,
                        generations,
                        key,
                        ..
                    } = self;
                    return Ok(Reached::Stream(Box::new(Negotiated {
                        machine,
                        wire,
                        chain,
                        candidate,
                        peer,
                        standing,
                        generations,
                        key,
                    })));
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
            match self.wire.read().await {
                Ok([]) => self.machine.eof(),
                Ok(bytes) => self.machine.receive(bytes),
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
        let connecting = gateway.tls.connect(
            side,
            stream,
            TlsMode::StartTls,
            from,
            server_name,
            self.candidate.address.ip(),
        );
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
