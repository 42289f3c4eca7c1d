//! A stream that the gateway has opened: to a partner, or to an internal server in a partner's name.
//!
//! In: an established stream; bytes that the peer sends. Out: an [`Output`] for the pair of domains
//! that it was opened for; stanzas that the peer sends, where they flow both ways; what is left of the
//! stream when its connection is lost, if the peer lets us take it up again (`resuming`). The stream ends
//! when the peer ends it, when it is not there any more or the stream is idle
//! ([`liveness`](crate::liveness)), when another generation does not admit the partner, and at shutdown.

mod resuming;

use std::sync::Arc;
use std::time::Duration;

use portcullis_policy::Decision;
use portcullis_xmpp::error::{StreamCondition, StreamError};
use portcullis_xmpp::management::Nonza;
use portcullis_xmpp::stream::{Answer, Outbound, OutboundAction, Peer, Phase, Question, StreamEnd};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

pub(super) use self::resuming::resume;
use self::resuming::{Resumable, Resuming};
use super::dialback::{self, Known};
use super::inbound::condition;
use super::intake::{Intake, Stir};
use super::line::Line;
use super::output::{Life, Made, Output, Owner, Source, Wish};
use super::standing::{Refusal, Standing};
use super::wire::{Wire, read_failure};
use crate::app::Gateway;
use crate::audit;
use crate::listen::{Pace, Slot};
use crate::liveness::{self, Due, Keeper};
use crate::route;
use crate::tls::{Side, TlsError};

/// How long a peer may take to answer our closing tag.
const CLOSING: Duration = Duration::from_secs(3);
/// Never, in a timer.
const FAR: Duration = Duration::from_secs(86_400);

/// What an established stream of ours is made of.
pub(super) struct Parts {
    pub(super) side: Side,
    pub(super) machine: Outbound,
    pub(super) wire: Wire,
    pub(super) peer: Arc<Peer>,
    pub(super) intake: Intake,
    pub(super) standing: Standing,
    pub(super) generations: watch::Receiver<u64>,
    pub(super) slot: Option<Slot>,
    /// If our dialback key was sent on it.
    pub(super) key: Option<Known>,
}

/// Starts the task of a new stream.
pub(super) fn start(gateway: &Arc<Gateway>, parts: Parts) -> Output {
    let (mut session, output) = made(gateway, parts);
    // Before anybody else can write, so that the peer counts every stanza.
    session.enable();
    gateway.pairs.spawn(Box::new(session).run());
    output
}

/// A stream that nobody drives yet, and its output.
fn made(gateway: &Arc<Gateway>, parts: Parts) -> (Session, Output) {
    let Parts {
        side,
        machine,
        mut wire,
        peer,
        intake,
        standing,
        generations,
        slot,
        key,
    } = parts;
    let line = wire.share();
    let mut owner = Owner::new();
    let output = owner.output(Made {
        source: Source::Opened,
        side,
        peer: Arc::clone(&peer),
        line: Arc::clone(&line),
        limits: machine.peer_limits(),
        standing,
        generations: generations.clone(),
    });
    let config = gateway.config();
    let session = Session {
        gateway: Arc::clone(gateway),
        side,
        machine,
        wire,
        line,
        peer,
        intake,
        owner,
        keeper: Keeper::new(Instant::now()),
        generations,
        refusal: None,
        pace: Pace::new(config.limits.minimum_rate, config.timeouts.establish),
        closing: None,
        slot,
        resumable: None,
        resuming: None,
        _key: key,
    };
    (session, output)
}

struct Session {
    gateway: Arc<Gateway>,
    side: Side,
    machine: Outbound,
    wire: Wire,
    line: Arc<Line>,
    peer: Arc<Peer>,
    intake: Intake,
    owner: Owner,
    keeper: Keeper,
    generations: watch::Receiver<u64>,
    /// Why the stream ends, if it is for a reason of ours that is worth a record.
    refusal: Option<Refusal>,
    pace: Pace,
    /// When the peer's answer to our closing tag must be there.
    closing: Option<Instant>,
    slot: Option<Slot>,
    /// Whether the peer lets us take the stream up when its connection is lost.
    resumable: Option<Resumable>,
    /// The stream that we want to go on with here.
    resuming: Option<Resuming>,
    _key: Option<Known>,
}

/// What woke a stream up.
enum Wake {
    /// Bytes came, or the connection ended; the machine knows.
    Read,
    /// Another generation judges, or the peer's certificate is in doubt.
    Generation,
    /// The pair wants something.
    Wish(Wish),
    /// More is settled than the peer was told when it asked.
    Settled,
    /// What we had to say is said, or cannot be.
    Flushed(std::io::Result<()>),
    /// What the peer has begun to say comes too slowly.
    Slow,
    /// Nothing was said or heard for too long.
    Due(Due),
    /// The peer does not answer our closing tag.
    Unanswered,
    /// Nor whether it still knows the stream that we want to go on with.
    Undecided,
    /// No more time.
    Ended,
}

impl Session {
    /// In a box, because a future keeps its arguments twice; what is rare is boxed as well, since it
    /// would be part of the future of every stream.
    async fn run(mut self: Box<Self>) {
        let end = loop {
            if let Some(end) = self.act().await {
                break end;
            }
            match self.wait().await {
                Wake::Read => self.keeper.heard(Instant::now()),
                Wake::Flushed(Ok(())) => {}
                Wake::Flushed(Err(_)) => self.machine.eof(),
                Wake::Generation => {
                    let generation = self.gateway.chain.enter();
                    let checked = Box::pin(self.intake.check(&self.gateway, &generation)).await;
                    drop(generation);
                    if let Err(refusal) = checked {
                        Box::pin(self.part(refusal)).await;
                    }
                }
                Wake::Wish(Wish::Revoke(refusal)) => Box::pin(self.part(*refusal)).await,
                Wake::Wish(Wish::Leave) => {
                    let ending = self.gateway.phases.draining.is_cancelled();
                    self.close(ending.then(|| StreamError::new(StreamCondition::SystemShutdown)));
                }
                Wake::Wish(Wish::Broken) => self.machine.eof(),
                Wake::Wish(Wish::Unanswered) => {
                    let error = StreamError::new(StreamCondition::ConnectionTimeout)
                        .with_text("no answer about what was settled");
                    self.owner.close(Life::Lost);
                    self.give_up(error);
                }
                Wake::Settled => self.acknowledge(),
                Wake::Slow => {
                    let floor = self.gateway.config().limits.minimum_rate;
                    let refusal = Refusal::too_slow(floor).referred();
                    self.close(Some(refusal.error.clone()));
                    self.refusal = Some(refusal);
                }
                Wake::Due(Due::Idle) => self.close(None),
                Wake::Due(Due::Whitespace) => {
                    if self.line.say(b" ").is_err() {
                        self.machine.eof();
                    }
                }
                Wake::Due(Due::Ping) => {
                    let answer = liveness::ping(&self.gateway, &self.peer);
                    self.keeper.asked(Instant::now(), answer);
                }
                Wake::Due(Due::Dead) => self.give_up(liveness::dead()),
                Wake::Unanswered => {
                    self.machine.close(None);
                    self.machine.eof();
                }
                Wake::Undecided => self.close(Some(resuming::undecided())),
                Wake::Ended => break StreamEnd::Truncated,
            }
        };
        Box::pin(self.end(end)).await;
    }

    async fn wait(&mut self) -> Wake {
        let open = self.machine.phase() == Phase::Established;
        let limits = self.machine.peer_limits();
        let terms = liveness::terms(&self.gateway, self.side, &self.peer, limits);
        let line = &self.line;
        let far = Instant::now() + FAR;
        let slow = self
            .pace
            .deadline(self.machine.unfinished(), Instant::now());
        let (machine, pace) = (&mut self.machine, &mut self.pace);
        let read = self.wire.read(|bytes| {
            pace.heard(bytes.len());
            machine.receive(bytes);
        });
        tokio::select! {
            read = read => {
                received(&mut self.machine, read);
                Wake::Read
            }
            flushed = self.line.flush(), if self.line.has_words() => Wake::Flushed(flushed),
            Ok(()) = self.generations.changed(), if open => Wake::Generation,
            stir = self.intake.stir(), if open => match stir {
                Stir::Doubt => Wake::Generation,
                Stir::Settled => Wake::Settled,
            },
            wish = self.owner.wish(), if open => Wake::Wish(wish),
            () = sleep_until(slow.unwrap_or(far)), if open && slow.is_some() => Wake::Slow,
            due = self.keeper.due(terms, || line.spoken()), if open => Wake::Due(due),
            () = sleep_until(self.closing.unwrap_or(far)), if self.closing.is_some() => Wake::Unanswered,
            () = resuming::undecided_since(self.resuming.as_ref()), if open => Wake::Undecided,
            () = self.gateway.phases.ended.cancelled() => Wake::Ended,
        }
    }

    /// Does what the machine wants done; tells the end of the stream.
    async fn act(&mut self) -> Option<StreamEnd> {
        let mut bytes = Vec::new();
        let mut ended = None;
        while let Some(action) = self.machine.next() {
            match action {
                OutboundAction::Send(more) => bytes.extend_from_slice(&more),
                OutboundAction::Closed(end) => ended = Some(end),
                OutboundAction::Failed(_) | OutboundAction::Verified(_) => {
                    ended = Some(StreamEnd::Truncated);
                }
                OutboundAction::Stanza(stanza) => {
                    if let Err(refusal) = self.intake.stanza(&self.gateway, stanza).await {
                        Box::pin(self.part(refusal)).await;
                    }
                }
                OutboundAction::BadStanza { peer, fault } => {
                    Box::pin(self.intake.bad_stanza(&self.gateway, &peer, *fault)).await;
                }
                OutboundAction::Management(nonza) => self.managed(&nonza),
                OutboundAction::Ask(Question::Key(asked)) => {
                    let verified = dialback::answer(&self.gateway, self.side, &asked);
                    self.machine.answer(Answer::Key(verified));
                }
                // All other questions and handshakes belong to the negotiation, which is over.
                OutboundAction::StartTls { .. }
                | OutboundAction::FallingBack(_)
                | OutboundAction::Ask(_)
                | OutboundAction::Established(_) => {}
            }
        }
        self.intake.wake();
        if self.machine.phase() != Phase::Established {
            // The closing tag is among the bytes: nothing of the pair's comes after it.
            self.line.shut();
            self.owner.close(Life::Lost);
            if self.machine.phase() == Phase::Closing && self.closing.is_none() {
                self.closing = Some(Instant::now() + CLOSING);
            }
        }
        if !bytes.is_empty() && self.line.say(&bytes).is_err() {
            self.machine.eof();
        }
        ended
    }

    /// What the peer says about stanzas that it or we have settled.
    fn managed(&mut self, nonza: &Nonza) {
        match nonza {
            Nonza::Enabled { resume } => {
                self.intake.manage();
                self.resumable = self.allowed(resume.as_ref());
            }
            Nonza::Failed { handled, .. } if self.resuming.is_some() => self.not_resumed(*handled),
            Nonza::Failed { .. } => self.line.unmanage(),
            Nonza::Resumed(resumed) => self.resumed(resumed),
            Nonza::Request => self.acknowledge(),
            Nonza::Answer { handled } => {
                if let Err(wrong) = self.line.acknowledged(*handled) {
                    self.owner.close(Life::Lost);
                    self.machine.close_too_high(wrong);
                }
            }
            // Not from who was connected to, or not asked for.
            Nonza::Enable { .. } | Nonza::Resume(_) => {}
        }
    }

    /// Says what is settled.
    fn acknowledge(&mut self) {
        if let Some(answer) = self.intake.answer() {
            self.machine.manage(&answer);
        }
    }

    /// Ends the stream because the partner is no longer welcome. What plugins want it to know goes
    /// out before: that its contacts are gone. A ghost would stay otherwise.
    async fn part(&mut self, refusal: Refusal) {
        if self.machine.phase() == Phase::Established {
            let Peer { local, remote, .. } = &*self.peer;
            route::last_words(&self.gateway, local, remote, &self.line).await;
            let refusal = refusal.referred();
            self.close(Some(refusal.error.clone()));
            self.refusal = Some(refusal);
        }
    }

    /// The peer is not there any more. If we may come back with another connection nothing is said, since
    /// an error would end the stream for good.
    fn give_up(&mut self, error: StreamError) {
        match self.resumable {
            Some(_) => self.machine.eof(),
            None => self.close(Some(error)),
        }
    }

    fn close(&mut self, error: Option<StreamError>) {
        self.owner.close(Life::Unwanted);
        self.machine.close(error);
    }

    /// Closes the connection and records the end.
    async fn end(mut self: Box<Self>, end: StreamEnd) {
        self.owner.close(Life::Lost);
        self.keep(&end);
        let generation = self.gateway.chain.enter();
        let (refusal, by, told, verdict) = match self.refusal {
            Some(refusal) => (refusal.told(), refusal.by, refusal.error.text, "refuse"),
            None => (None, Arc::from("gateway:stream"), None, "close"),
        };
        let peers = self.intake.end();
        self.wire.close().await;
        drop(self.slot);
        for peer in &peers {
            let decision = Decision {
                by: Some(Arc::clone(&by)),
                reason: Some(told.clone().unwrap_or_else(|| end.to_string())),
                condition: Some(condition(&end)),
                refusal: refusal.clone(),
                ..audit::of_stream(peer, generation.number(), verdict)
            };
            audit::record(&self.gateway, &generation, decision).await;
        }
        // The pair goes on now: everything of this stream is gone.
        drop(self.owner);
    }
}

fn received(machine: &mut Outbound, read: std::io::Result<usize>) {
    match read {
        Ok(0) => machine.eof(),
        Ok(_) => {}
        Err(error) if TlsError::of_stream(&error).is_some() => {
            machine.tls_failed(read_failure(&error));
        }
        Err(_) => machine.eof(),
    }
}
