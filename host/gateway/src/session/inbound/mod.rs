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

mod answers;
mod end;
mod opening;
mod resuming;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use portcullis_xmpp::dialback::{Verification, Verified};
use portcullis_xmpp::error::{StreamCondition, StreamError};
use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::management::Nonza;
use portcullis_xmpp::stanza::Direction;
use portcullis_xmpp::stream::{Inbound, InboundAction, Phase, StreamEnd};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

pub(super) use self::end::condition;
pub(crate) use self::opening::accept;
use self::resuming::{Told, requested};
use super::dialback;
use super::intake::{Intake, Stir};
use super::line::Line;
use super::output::{Life, Owner, Wish};
use super::resumption::{Grant, Request};
use super::standing::Refusal;
use super::wire::Wire;
use crate::app::{Gateway, Turn};
use crate::listen::{Deadlines, Pace, Slot};
use crate::liveness::{self, Due, Keeper, Spoken, Terms};
use crate::prove::Judged;
use crate::tls::{PeerChain, Side, TlsError};

/// How long a peer may take to answer our closing tag. What it sends meanwhile is still judged.
const CLOSING: Duration = Duration::from_secs(3);

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
    /// Which domain they were last found good for, and when.
    judged: Option<(Domain, Judged)>,
    /// Names the connection in decisions that fall before the stream has an id.
    connection: Arc<str>,
    turn: Turn,
    /// Who the peer says it is, and whom it wants.
    claim: Option<(Domain, Domain)>,
    /// Why the stream ends, if it is for a reason of ours.
    refusal: Option<Refusal>,
    /// The pairs of domains that are established, and their stanzas.
    intake: Intake,
    keeper: Keeper,
    /// For the pairs of domains that may send over the stream.
    owner: Owner,
    /// Those pairs: from, to.
    offered: Vec<(Domain, Domain)>,
    /// Whether somebody was told here if a key is ours: that needs no more of a stream.
    answered: bool,
    /// Whether what we say next lets the peer count.
    told: Option<Told>,
    /// Whether the peer can take the stream up when its connection is lost, and for how long.
    grant: Option<(Grant, Duration)>,
    /// Keys that authoritative servers are being asked about; the machine bounds how many.
    verifying: JoinSet<(Verification, Verified)>,
    /// When the phase ends that the stream is in, if it must.
    deadline: Option<Instant>,
    deadlines: Deadlines,
    pace: Pace,
    /// Whether our closing tag was said.
    closing: bool,
    generations: watch::Receiver<u64>,
}

/// Why the session woke up.
enum Wake {
    /// So many bytes; none: the peer has ended its side.
    Read(usize),
    /// The connection broke, or TLS on it.
    Broken(std::io::Error),
    /// What we had to say is said, or cannot be.
    Flushed(std::io::Result<()>),
    /// More is settled than the peer was told when it asked.
    Settled,
    /// A pair that sends over the stream wants something.
    Wish(Wish),
    /// What an authoritative server says.
    Verified(Verification, Verified),
    Deadline,
    /// What the peer has begun to say comes too slowly.
    Slow,
    /// Nothing was said or heard for too long.
    Due(Due),
    Draining,
    /// No more time.
    Ended,
    /// Another generation judges, or the peer's certificate is in doubt.
    Generation,
    /// The peer takes the stream up on another connection.
    Request(Request),
}

// What a stream does once, or when something else than traffic comes, is boxed: its future would
// otherwise be part of every stream's, idle ones included.
impl Session<'_> {
    /// In a box, because a future keeps its arguments twice.
    async fn run(mut self: Box<Self>) {
        let opened = Instant::now();
        let mut said = opened;
        loop {
            match self.act().await {
                Acted::Ended(end) => {
                    Box::pin(self.end(end)).await;
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
            match self.wait((said, opened)).await {
                Wake::Read(0) => self.machine.eof(),
                Wake::Read(_) => self.keeper.heard(Instant::now()),
                Wake::Broken(error) => match TlsError::of_stream(&error) {
                    // Most often the peer's refusal of our certificate, after its side of the
                    // handshake (RFC 8446 §4.4.2.4).
                    Some(error) => self.machine.tls_failed(error.to_string()),
                    None => self.machine.eof(),
                },
                Wake::Flushed(Ok(())) => {}
                Wake::Flushed(Err(_)) => self.machine.eof(),
                Wake::Wish(Wish::Revoke(refusal)) => {
                    Box::pin(self.close_if(Err(*refusal))).await;
                }
                Wake::Wish(Wish::Broken) => self.machine.eof(),
                Wake::Wish(Wish::Unanswered) => {
                    let error = StreamError::new(StreamCondition::ConnectionTimeout)
                        .with_text("no answer about what was settled");
                    self.give_up(error);
                }
                Wake::Settled => self.acknowledge(),
                Wake::Wish(Wish::Leave) => {
                    let error = StreamError::new(StreamCondition::SystemShutdown);
                    self.machine.close(Some(error));
                }
                Wake::Verified(asked, verified) => self.machine.verified(asked, verified),
                Wake::Deadline => self.too_late(),
                Wake::Slow => self.too_slow(),
                Wake::Due(Due::Whitespace) => {
                    if self.wire.send(b" ").await.is_err() {
                        self.machine.eof();
                    }
                    said = Instant::now();
                }
                Wake::Due(Due::Ping) => {
                    let peer = self.intake.peer();
                    let answer = peer.and_then(|peer| liveness::ping(self.gateway, peer));
                    self.keeper.asked(Instant::now(), answer);
                }
                Wake::Due(Due::Dead) => self.give_up(liveness::dead()),
                Wake::Due(Due::Idle) => self.machine.close(None),
                Wake::Draining => {
                    let error = StreamError::new(StreamCondition::SystemShutdown);
                    self.machine.close(Some(error));
                }
                Wake::Ended => {
                    self.machine.close(None);
                    self.machine.eof();
                }
                Wake::Generation => Box::pin(self.check()).await,
                Wake::Request(request) => self.hand_over(request),
            }
        }
    }

    async fn wait(&mut self, spoken: Spoken) -> Wake {
        let established = self.machine.phase() == Phase::Established;
        let limits = self.machine.peer_limits();
        let peer = self.intake.peer().filter(|_| established);
        let terms = peer.map(|peer| liveness::terms(self.gateway, self.side, peer, limits));
        let closing = matches!(self.machine.phase(), Phase::Closing | Phase::Closed);
        let deadline = self.deadline;
        let slow = self
            .pace
            .deadline(self.machine.unfinished(), Instant::now());
        let far = Instant::now() + Duration::from_secs(86_400);
        let line = self.wire.line();
        let (machine, pace) = (&mut self.machine, &mut self.pace);
        let read = self.wire.read(|bytes| {
            pace.heard(bytes.len());
            machine.receive(bytes);
        });
        tokio::select! {
            biased;
            () = sleep_until(deadline.unwrap_or(far)), if deadline.is_some() => Wake::Deadline,
            () = sleep_until(slow.unwrap_or(far)), if slow.is_some() && !closing => Wake::Slow,
            () = self.gateway.phases.goodbye(self.turn), if !closing => Wake::Draining,
            () = self.gateway.phases.ended.cancelled() => Wake::Ended,
            Ok(()) = self.generations.changed(), if !closing => Wake::Generation,
            stir = self.intake.stir(), if !closing => match stir {
                Stir::Doubt => Wake::Generation,
                Stir::Settled => Wake::Settled,
            },
            flushed = flush(line.as_deref()), if line.as_ref().is_some_and(|line| line.has_words()) => Wake::Flushed(flushed),
            wish = self.owner.wish(), if !closing => Wake::Wish(wish),
            request = requested(self.grant.as_mut()), if !closing => Wake::Request(request),
            Some(Ok((asked, verified))) = self.verifying.join_next() => Wake::Verified(asked, verified),
            read = read => read.map_or_else(Wake::Broken, Wake::Read),
            due = due(&mut self.keeper, terms, line.as_deref(), spoken) => Wake::Due(due),
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
                        Box::pin(self.start_tls(to)).await;
                    }
                }
                InboundAction::Ask(question) => {
                    let answer = Box::pin(self.answer(question)).await;
                    self.machine.answer(answer);
                }
                InboundAction::Established(peer) => Box::pin(self.establish(peer)).await,
                InboundAction::Stanza(stanza) => {
                    let judged = self.intake.stanza(self.gateway, stanza).await;
                    if judged.is_err() {
                        Box::pin(self.close_if(judged)).await;
                    }
                }
                InboundAction::BadStanza { peer, fault } => {
                    let bad = self.intake.bad_stanza(self.gateway, &peer, *fault);
                    Box::pin(bad).await;
                }
                InboundAction::Verify(asked) => self.verify(asked),
                InboundAction::Management(Nonza::Resume(asked)) => {
                    Box::pin(self.resume(&asked)).await;
                }
                InboundAction::Management(nonza) => self.managed(&nonza),
                InboundAction::Close(end) => {
                    ended = Some(end);
                    break;
                }
            }
        }
        self.intake.wake();
        if matches!(self.machine.phase(), Phase::Closing | Phase::Closed) {
            // The closing tag is among the bytes: no stanza comes after it.
            self.owner.close(Life::Lost);
            if let Some(line) = self.wire.line() {
                line.shut();
            }
        }
        let sent = !bytes.is_empty();
        if sent && self.say(&bytes).await.is_err() {
            self.machine.eof();
        }
        match ended {
            Some(end) => Acted::Ended(end),
            None if sent => Acted::Sent,
            None => Acted::Silent,
        }
    }

    async fn say(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let (Some(line), Some(told)) = (self.wire.line(), self.told.take()) else {
            return self.wire.send(bytes).await.map_err(std::io::Error::other);
        };
        // The peer counts from here on what we send.
        let waits = told.waits();
        line.say_managed(bytes, told.sent)?;
        if let Some(heir) = told.heir {
            self.hand_on(heir, waits);
        }
        Ok(())
    }

    /// The peer is not there any more. If it may come back with another connection nothing is said, since
    /// an error would end the stream for good.
    fn give_up(&mut self, error: StreamError) {
        match self.grant {
            Some(_) => self.machine.eof(),
            None => self.machine.close(Some(error)),
        }
    }

    /// Has a key verified. The stream goes on meanwhile.
    fn verify(&mut self, asked: Verification) {
        let (gateway, cause) = (Arc::clone(self.gateway), self.address.ip());
        self.verifying.spawn(async move {
            let verified = dialback::verify(&gateway, cause, &asked).await;
            (asked, verified)
        });
    }
}

/// What is due on a stream that has terms; on another one nothing ever is.
async fn due(
    keeper: &mut Keeper,
    terms: Option<Terms>,
    line: Option<&Line>,
    spoken: Spoken,
) -> Due {
    let spoken = || line.map_or(spoken, Line::spoken);
    match terms {
        Some(terms) => keeper.due(terms, spoken).await,
        None => std::future::pending().await,
    }
}

async fn flush(line: Option<&Line>) -> std::io::Result<()> {
    match line {
        Some(line) => line.flush().await,
        None => Ok(()),
    }
}

/// What the machine's actions came to.
enum Acted {
    Sent,
    Silent,
    Ended(StreamEnd),
}
