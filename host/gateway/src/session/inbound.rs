//! A stream that somebody opened to us, on either listener.
//!
//! In: one accepted connection. Out: [`Authenticated`] stanzas, judged in the order of the stream and
//! handed to [`route`](crate::route). Everything of one read is judged before anything of it is sent,
//! so that it leaves in one write. Reading stops while a plugin thinks, while a `closed` observer is
//! blocked, and while the queue of this pair of domains is full but moving.
//!
//! What can fail ends the stream with the error that RFC 6120 §4.9.3 names; which plugin or rule it
//! was stands in the decision. Not guaranteed: that what the peer wrote after our closing tag is read
//! if it takes longer than [`CLOSING`].

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use portcullis_policy::{Decision, Generation};
use portcullis_xmpp::error::{StreamCondition, StreamError};
use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::stanza::{BadStanza, Direction};
use portcullis_xmpp::stream::{
    Answer, Authenticated, Inbound, InboundAction, InboundSettings, Initiator, Peer, Phase,
    Question, Start, StreamEnd,
};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::ids::stream_id;
use super::registry::Registered;
use super::standing::{Refusal, Standing, may_open};
use super::wire::{Wire, read_failure};
use crate::app::{Gateway, Turn};
use crate::audit;
use crate::listen::{Accepted, FirstByte, Slot};
use crate::route::{self, Touched};
use crate::tls::{Opening, PeerChain, Side};

/// How long a peer may take to answer our closing tag. What it sends meanwhile is still judged.
const CLOSING: Duration = Duration::from_secs(3);

/// Drives one accepted connection to its end.
pub(crate) async fn accept(gateway: &Arc<Gateway>, accepted: Accepted) {
    let Accepted {
        side,
        stream,
        address,
        first,
        deadline,
        slot,
    } = accepted;
    let (wire, chain, start) = match first {
        FirstByte::Xml => (Wire::plain(stream), PeerChain::default(), Start::Plain),
        FirstByte::Tls => {
            let handshake = gateway
                .tls
                .accept(side, stream, Opening::Direct, address.ip());
            match timeout_at(deadline, handshake).await {
                Ok(Ok(secured)) => (
                    Wire::tls(secured.stream),
                    secured.chain,
                    Start::Tls(secured.facts),
                ),
                Ok(Err(error)) => {
                    gateway.metrics.refused(incoming(side), side, "tls");
                    tracing::info!(%side, %address, reason = %error, "TLS handshake failed");
                    return;
                }
                Err(_) => {
                    gateway.metrics.refused(incoming(side), side, "tls");
                    tracing::info!(%side, %address, reason = "too slow", "TLS handshake failed");
                    return;
                }
            }
        }
    };
    let settings = InboundSettings {
        limits: gateway.stream_limits(),
        direction: incoming(side),
        address: Some(address),
        fallback: gateway.config().gateway.domains.first().cloned(),
    };
    let connection = stream_id();
    let session = Session {
        gateway,
        side,
        address,
        slot,
        machine: Inbound::new(settings, Box::new(stream_id), start),
        wire,
        chain,
        turn: Turn(
            u8::from_str_radix(connection.get(..2).unwrap_or_default(), 16).unwrap_or_default(),
        ),
        connection: Arc::from(connection),
        claim: None,
        standing: None,
        refusal: None,
        established: None,
        deadline: Some(deadline),
        closing: false,
        generations: gateway.generations.subscribe(),
        touched: Touched::default(),
    };
    session.run().await;
}

/// Which way stanzas go on the streams that are opened to us on this side.
fn incoming(side: Side) -> Direction {
    match side {
        Side::Federation => Direction::Inbound,
        Side::Internal => Direction::Outbound,
    }
}

struct Session<'a> {
    gateway: &'a Arc<Gateway>,
    side: Side,
    address: SocketAddr,
    slot: Slot,
    machine: Inbound,
    wire: Wire,
    /// The certificates that the peer showed.
    chain: PeerChain,
    /// Names the connection in decisions that fall before the stream has an id.
    connection: Arc<str>,
    turn: Turn,
    /// Who the peer says it is, and whom it wants.
    claim: Option<(Domain, Domain)>,
    /// What the gatekeepers say; for the stream that is established or about to be.
    standing: Option<Standing>,
    /// Why the stream ends, if it is for a reason of ours.
    refusal: Option<Refusal>,
    established: Option<(Arc<Peer>, Registered)>,
    /// When the phase ends that the stream is in, if it must.
    deadline: Option<Instant>,
    /// Whether our closing tag was said.
    closing: bool,
    generations: watch::Receiver<u64>,
    touched: Touched,
}

/// Why the session woke up.
enum Wake {
    Read(Result<usize, String>),
    Deadline,
    Silence,
    Draining,
    /// No more time.
    Ended,
    Generation,
}

impl Session<'_> {
    async fn run(mut self) {
        let mut heard = Instant::now();
        let mut said = Instant::now();
        loop {
            match self.act().await {
                Acted::Ended(end) => {
                    self.end(end).await;
                    return;
                }
                Acted::Sent => said = Instant::now(),
                Acted::Silent => {}
            }
            // Whoever closed it, the machine or we: the peer's answer has so much time.
            if self.machine.phase() == Phase::Closing && !self.closing {
                self.closing = true;
                self.deadline = Some(Instant::now() + CLOSING);
            }
            let timeouts = self.gateway.config().timeouts;
            let established = self.machine.phase() == Phase::Established;
            match self
                .wait(
                    established.then_some((heard + timeouts.inactivity, said + timeouts.keepalive)),
                )
                .await
            {
                Wake::Read(Ok(0)) => self.machine.eof(),
                Wake::Read(Ok(_)) => heard = Instant::now(),
                Wake::Read(Err(reason)) => {
                    tracing::debug!(side = %self.side, address = %self.address, reason, "the connection broke");
                    self.machine.eof();
                }
                Wake::Deadline => self.too_late(),
                Wake::Silence if heard + timeouts.inactivity <= Instant::now() => self.close(None),
                Wake::Silence => {
                    if self.wire.send(b" ").await.is_err() {
                        self.machine.eof();
                    }
                    said = Instant::now();
                }
                Wake::Draining => {
                    self.close(Some(StreamError::new(StreamCondition::SystemShutdown)))
                }
                Wake::Ended => {
                    self.machine.close(None);
                    self.machine.eof();
                }
                Wake::Generation => {
                    if let Some((peer, _)) = &self.established {
                        let peer = Arc::clone(peer);
                        let generation = self.gateway.chain.enter();
                        self.check(&generation, &peer).await;
                    }
                }
            }
        }
    }

    async fn wait(&mut self, quiet: Option<(Instant, Instant)>) -> Wake {
        let closing = matches!(self.machine.phase(), Phase::Closing | Phase::Closed);
        let deadline = self.deadline;
        let far = Instant::now() + Duration::from_secs(86_400);
        let quiet = quiet.map_or(far, |(inactivity, keepalive)| inactivity.min(keepalive));
        let read = self.wire.read();
        tokio::select! {
            biased;
            () = sleep_until(deadline.unwrap_or(far)), if deadline.is_some() => Wake::Deadline,
            () = self.gateway.phases.goodbye(self.turn), if !closing => Wake::Draining,
            () = self.gateway.phases.ended.cancelled() => Wake::Ended,
            Ok(()) = self.generations.changed(), if !closing => Wake::Generation,
            read = read => Wake::Read(match read {
                Ok(bytes) => {
                    self.machine.receive(bytes);
                    Ok(bytes.len())
                }
                Err(error) => Err(read_failure(&error)),
            }),
            () = sleep_until(quiet), if !closing => Wake::Silence,
        }
    }

    /// Does everything that the machine wants done, and sends what is to be sent in one write.
    async fn act(&mut self) -> Acted {
        let mut bytes = Vec::new();
        let mut ended = None;
        while let Some(action) = self.machine.next() {
            match action {
                InboundAction::Send(more) => bytes.extend_from_slice(&more),
                InboundAction::StartTls { to } => {
                    if self.wire.send(&std::mem::take(&mut bytes)).await.is_err() {
                        self.machine.eof();
                    } else {
                        self.start_tls(to).await;
                    }
                }
                InboundAction::Ask(question) => {
                    let answer = self.answer(question).await;
                    self.machine.answer(answer);
                }
                InboundAction::Established(peer) => self.establish(peer).await,
                InboundAction::Stanza(stanza) => self.stanza(stanza).await,
                InboundAction::BadStanza { peer, fault } => self.bad_stanza(&peer, *fault),
                InboundAction::Close(end) => {
                    ended = Some(end);
                    break;
                }
            }
        }
        self.touched.wake();
        let sent = !bytes.is_empty();
        if sent && self.wire.send(&bytes).await.is_err() {
            self.machine.eof();
        }
        match ended {
            Some(end) => Acted::Ended(end),
            None if sent => Acted::Sent,
            None => Acted::Silent,
        }
    }

    async fn start_tls(&mut self, to: Domain) {
        let Some(stream) = self.wire.take_plain() else {
            return;
        };
        let deadline = self.deadline.unwrap_or_else(Instant::now);
        let opening = Opening::StartTls { to };
        let handshake = self
            .gateway
            .tls
            .accept(self.side, stream, opening, self.address.ip());
        match timeout_at(deadline, handshake).await {
            Ok(Ok(secured)) => {
                self.wire.secured(secured.stream);
                self.chain = secured.chain;
                self.machine.tls_established(secured.facts);
            }
            Ok(Err(error)) => self.machine.tls_failed(error.to_string()),
            Err(_) => self.machine.tls_failed("too slow"),
        }
    }

    async fn answer(&mut self, question: Question) -> Answer {
        match question {
            Question::Open { from, to } => Answer::Open(self.open(from, to).await),
            Question::Prove { domain } => {
                let proven = self.gateway.tls.judge(self.side, &self.chain, &domain);
                Answer::Prove(proven.map_err(|unproven| {
                    let reason = unproven.to_string();
                    self.refusal = Some(Refusal {
                        by: Arc::from("gateway:certificate"),
                        error: StreamError::new(StreamCondition::NotAuthorized)
                            .with_text(reason.clone()),
                    });
                    reason
                }))
            }
            Question::Admit(peer) => Answer::Admit(self.admit(&peer).await),
        }
    }

    async fn open(&mut self, from: Option<Domain>, to: Domain) -> Result<(), StreamError> {
        if let Some(from) = &from {
            self.claim = Some((from.clone(), to.clone()));
        }
        let mut answer = may_open(self.gateway, self.side, from.as_ref(), &to);
        if let (Ok(()), Side::Federation, Some(from)) = (&answer, self.side, &from) {
            let generation = self.gateway.chain.enter();
            let ruling = generation
                .knock(from, Direction::Inbound, Some(self.address))
                .await;
            answer = Refusal::of(ruling).map(drop);
        }
        answer.map_err(|refusal| self.refuse(refusal))
    }

    async fn admit(&mut self, peer: &Arc<Peer>) -> Result<(), StreamError> {
        let generation = self.gateway.chain.enter();
        let standing = ask(self.gateway, self.side, &generation, peer).await;
        self.standing = Some(standing.clone());
        match (standing.answer, self.side) {
            (Ok(_), _) => Ok(()),
            (Err(refusal), Side::Federation) => Err(self.refuse(refusal)),
            // Design 5: each stanza is answered instead; a refused stream would only show users a
            // timeout, and ejabberd would bounce everything for minutes.
            (Err(_), Side::Internal) => Ok(()),
        }
    }

    /// Asks again if another generation has taken over, and closes a partner's stream that it does
    /// not want any more.
    async fn check(&mut self, generation: &Generation, peer: &Arc<Peer>) {
        if self
            .standing
            .as_ref()
            .is_some_and(|standing| standing.generation == generation.number())
        {
            return;
        }
        let standing = ask(self.gateway, self.side, generation, peer).await;
        if let (Err(refusal), Side::Federation) = (&standing.answer, self.side) {
            let error = self.refuse(refusal.clone());
            self.close(Some(error));
        }
        self.standing = Some(standing);
    }

    async fn establish(&mut self, peer: Arc<Peer>) {
        self.deadline = None;
        self.slot.proven();
        let generation = self.gateway.chain.enter();
        let limit = self.gateway.connection_limit(&peer.remote);
        match self.gateway.streams.register(self.side, &peer, limit) {
            Some(registered) => {
                let decision = Decision {
                    by: self.standing.as_ref().and_then(Standing::by),
                    ..audit::of_stream(&peer, generation.number(), "allow")
                };
                audit::record(&generation, decision).await;
                self.gateway.warn_of_expiry(&peer, &self.chain);
                self.established = Some((Arc::clone(&peer), registered));
                // A generation that took over between the question and now is not missed.
                self.check(&generation, &peer).await;
            }
            None => {
                let error = StreamError::new(StreamCondition::ResourceConstraint).with_text(
                    format!("more than {limit} connections with {}", peer.remote),
                );
                let refusal = Refusal {
                    by: Arc::from("gateway:connection-limit"),
                    error,
                };
                let error = self.refuse(refusal);
                self.close(Some(error));
            }
        }
    }

    async fn stanza(&mut self, stanza: Authenticated) {
        let peer = Arc::clone(stanza.peer());
        let receipt = self
            .gateway
            .metrics
            .received(peer.direction, stanza.stanza().kind());
        let generation = self.gateway.chain.enter();
        self.check(&generation, &peer).await;
        let refused = self.standing.as_ref().and_then(Standing::refusal).cloned();
        if let Some(refusal) = refused {
            let (stanza, peer) = stanza.into_parts();
            let parts = (&peer, &stanza);
            route::refuse(
                self.gateway,
                &generation,
                parts,
                receipt,
                &refusal,
                &mut self.touched,
            )
            .await;
            return;
        }
        let judged = generation.judge(stanza).await;
        audit::record(&generation, Decision::of_stanza(&judged)).await;
        route::judged(self.gateway, judged, receipt, &mut self.touched).await;
    }

    /// A stanza that is not fit to be judged: its sender is told, where RFC 6120 allows it.
    fn bad_stanza(&mut self, peer: &Peer, fault: BadStanza) {
        let receipt = self.gateway.metrics.received(peer.direction, fault.kind);
        route::bad(self.gateway, peer, fault, receipt, &mut self.touched);
    }

    /// Notes why the stream ends.
    fn refuse(&mut self, refusal: Refusal) -> StreamError {
        let error = refusal.error.clone();
        self.refusal = Some(refusal);
        error
    }

    fn close(&mut self, error: Option<StreamError>) {
        self.machine.close(error);
    }

    /// The phase's time is up.
    fn too_late(&mut self) {
        if matches!(self.machine.phase(), Phase::Closing | Phase::Closed) {
            self.machine.close(None);
            self.machine.eof();
            return;
        }
        let error = StreamError::new(StreamCondition::ConnectionTimeout)
            .with_text("the stream was not established in time");
        let error = self.refuse(Refusal {
            by: Arc::from("gateway:establish-timeout"),
            error,
        });
        self.close(Some(error));
    }

    async fn end(self, end: StreamEnd) {
        let generation = self.gateway.chain.enter();
        let reason = end.to_string();
        let established = self.established.map(|(peer, _)| peer);
        if established.is_none() {
            self.gateway
                .metrics
                .refused(incoming(self.side), self.side, condition(&end));
        }
        self.wire.close().await;
        let (peer, verdict) = match (established, self.claim) {
            (Some(peer), _) if self.refusal.is_none() => (peer, "close"),
            (Some(peer), _) => (peer, "refuse"),
            (None, Some((remote, local))) => {
                let peer = Peer {
                    remote,
                    local,
                    direction: incoming(self.side),
                    initiator: Initiator::Peer,
                    address: Some(self.address),
                    stream_id: self.connection,
                    method: None,
                    tls: None,
                };
                (Arc::new(peer), "refuse")
            }
            // Nobody to name in a record.
            (None, None) => {
                tracing::info!(side = %self.side, address = %self.address, reason, "a stream did not come to be");
                return;
            }
        };
        let by = self
            .refusal
            .map_or_else(|| Arc::from("gateway:stream"), |refusal| refusal.by);
        let decision = Decision {
            by: Some(by),
            reason: Some(reason),
            condition: Some(condition(&end)),
            ..audit::of_stream(&peer, generation.number(), verdict)
        };
        audit::record(&generation, decision).await;
    }
}

/// What the gatekeepers say of an authenticated stream.
async fn ask(gateway: &Gateway, side: Side, generation: &Generation, peer: &Arc<Peer>) -> Standing {
    match side {
        Side::Federation => Standing::of(generation, peer).await,
        Side::Internal if gateway.is_own(&peer.local) => Standing::always(generation),
        Side::Internal => Standing::of_partner(generation, &peer.local).await,
    }
}

/// What the machine's actions came to.
enum Acted {
    Sent,
    Silent,
    Ended(StreamEnd),
}

/// A name for the end of a stream, for metrics and records.
pub(super) fn condition(end: &StreamEnd) -> &'static str {
    match end {
        StreamEnd::Sent(error) | StreamEnd::Received(error) => error.condition.as_str(),
        StreamEnd::NoTls(_) => "tls",
        StreamEnd::Clean => "closed",
        StreamEnd::Truncated => "truncated",
        StreamEnd::Abandoned => "abandoned",
    }
}
