//! One plugin of one generation: whom it wants to hear of, its instances, its memory of verdicts, its
//! health, and what its failure means.
//!
//! In: questions about streams and stanzas. Out: answers that always are one: where the plugin fails
//! or is quarantined, [`OnFailure`] has answered.

mod health;
mod memo;
mod observer;
mod pool;
mod probe;
mod resting;
mod round;

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis_xmpp::error::{StanzaCondition, StanzaError};
use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::stanza::{Direction, Kind, Stanza};
use portcullis_xmpp::stream::Peer;

pub(crate) use observer::{Observer, Told};
pub(crate) use probe::rehearse;
pub(crate) use round::Round;

use crate::bindings::portcullis::policy::types;
use crate::clock::Clock;
use crate::component::Prepared;
use crate::figures::Tally;
use crate::instance::{Context, Failure, Instance, Judgement, Rehearsal, condition, cut};
use crate::replay::Unknowns;
use crate::spec::{Mode, OnFailure};
use crate::status::{MadeOf, PluginStatus};
use health::{Asked, Health, Resting, Sender};
use memo::{Key, Memo, Remembered};
use pool::{Lease, Pool};

/// Texts of plugins are cut here (WIT, `rejection`, `verdict.drop`, `admission.refuse`).
const TEXT_BYTES: usize = 512;

pub(crate) struct Plugin {
    generation: u64,
    on_failure: OnFailure,
    prepared: Arc<Prepared>,
    context: Arc<Context>,
    subscription: types::Subscription,
    memo: Option<Memo>,
    pool: Pool,
    health: Health,
}

/// A filter's answer, already in the gateway's words.
pub(crate) enum Answer {
    /// With the stanza if it was edited. Boxed: it is rare, and every answer would carry room for it.
    Pass(Option<Stanza>),
    Reject(StanzaError, String),
    Drop(String),
}

/// A gatekeeper's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opinion {
    /// It opens the door.
    Allow,
    /// It has none.
    Abstain,
    /// It closes the door; the peer gets the text, at most 512 bytes.
    Refuse(String),
}

/// Why `on_failure` has to answer.
pub(crate) enum Unanswered {
    Resting(Resting),
    Failed(String),
}

/// An instance for one call.
struct Call<'a> {
    plugin: &'a Plugin,
    lease: Lease<'a>,
    instance: Box<Instance>,
    sender: Sender<'a>,
    asked: Asked,
    since: Instant,
}

impl Plugin {
    /// A plugin whose instances are all initialised.
    pub(crate) fn new(
        generation: u64,
        on_failure: OnFailure,
        clock: Clock,
        prepared: Arc<Prepared>,
        context: Arc<Context>,
        subscription: types::Subscription,
        instances: Vec<Instance>,
    ) -> Self {
        let memo = subscription
            .memo_ms
            .map(|lifetime| Memo::new(Duration::from_millis(u64::from(lifetime))));
        Self {
            generation,
            on_failure,
            prepared,
            context,
            subscription,
            memo,
            pool: Pool::new(instances),
            health: Health::new(clock),
        }
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.context.name
    }

    /// What it may not know, in a replay.
    pub(crate) fn unknowns(&self) -> &Unknowns {
        &self.context.unknowns
    }

    /// Whether its subscription may cover the stanza, whatever payloads that has.
    pub(crate) fn may_want(&self, stanza: &Stanza, direction: Direction) -> bool {
        let any = types::Subscription {
            payloads: Vec::new(),
            ..self.subscription.clone()
        };
        covers(&any, stanza, direction)
    }

    pub(crate) fn component(&self) -> MadeOf {
        let prepared = &self.prepared;
        MadeOf {
            digest: prepared.digest.to_string(),
            version: (prepared.said.get()).and_then(|said| said.version.clone()),
            exports: prepared.exports.clone(),
        }
    }

    pub(crate) fn is_gatekeeper(&self) -> bool {
        self.prepared.gatekeeper.is_some()
    }

    pub(crate) fn is_filter(&self) -> bool {
        self.prepared.filter.is_some()
    }

    /// Whether its subscription covers the stanza.
    pub(crate) fn wants(&self, stanza: &Stanza, direction: Direction) -> bool {
        covers(&self.subscription, stanza, direction)
    }

    /// Whether it has let such a stanza pass, and that still holds.
    pub(crate) fn remembers_pass(
        &self,
        stanza: &Stanza,
        direction: Direction,
        now: Instant,
    ) -> bool {
        let memo = self.memo.as_ref();
        memo.is_some_and(|memo| {
            memo.recall(&Key::of(stanza, direction), now) == Some(Remembered::Pass)
        })
    }

    /// A verdict that it remembered stood for a call.
    pub(crate) fn has_remembered(&self) {
        self.context.figures.remembered.add(1);
    }

    /// May the stanza pass, and as what? Whether the plugin answers or not, [`Self::answer`] says
    /// what that means.
    // No future in a future: each one more is moved as a whole. For the same reason they are pinned
    // here before they are awaited.
    pub(crate) async fn decide(
        &self,
        round: &mut Round,
        stanza: &Stanza,
        peer: &Arc<Peer>,
    ) -> Result<Judgement, Unanswered> {
        let key = self
            .memo
            .as_ref()
            .map(|memo| (memo, Key::of(stanza, peer.direction)));
        if let Some((memo, key)) = &key
            && let Some(verdict) = memo.recall(key, round.now())
        {
            self.has_remembered();
            return Ok(match verdict {
                Remembered::Pass => Judgement::Pass(None),
                Remembered::Reject(rejection) => Judgement::Reject(rejection),
                Remembered::Drop(reason) => Judgement::Drop(reason),
            });
        }
        let called = pin!(self.call(Sender::of_stanza(stanza, peer), round.now())).await;
        let outcome = match called {
            Ok(mut call) => {
                let header = round.header(stanza, peer.direction);
                let outcome = pin!(call.instance.decide(header, stanza, peer)).await;
                let ended = Instant::now();
                round.ended(ended);
                call.end(outcome, ended)
            }
            Err(unanswered) => {
                round.ended(Instant::now());
                Err(unanswered)
            }
        };
        let judgement = outcome?;
        if let Some((memo, key)) = key
            && !self.unknowns().has_asked()
            && let Some(verdict) = memorable(&judgement)
        {
            memo.remember(key, verdict, round.now());
        }
        Ok(judgement)
    }

    /// In the gateway's words, `on_failure`'s where the plugin has none.
    pub(crate) fn answer(&self, outcome: Result<Judgement, Unanswered>) -> Answer {
        match outcome {
            Ok(judgement) => answer(judgement),
            Err(_) if self.on_failure == OnFailure::Open => Answer::Pass(None),
            Err(unanswered) => Answer::Reject(
                StanzaError::new(StanzaCondition::InternalServerError),
                unanswered.to_string(),
            ),
        }
    }

    /// May there be a stream between us and this domain, which is not proven yet?
    pub(crate) async fn knock(
        &self,
        domain: &Domain,
        direction: Direction,
        address: Option<SocketAddr>,
    ) -> Opinion {
        let outcome = self.try_knock(domain, direction, address).await;
        self.opinion(outcome)
    }

    /// As [`knock`](Self::knock), but a failure is one.
    pub(crate) async fn try_knock(
        &self,
        domain: &Domain,
        direction: Direction,
        address: Option<SocketAddr>,
    ) -> Result<Opinion, Unanswered> {
        let sender = Sender::of_knock(domain, direction, address);
        let address = address.map(|address| address.to_string());
        let outcome = match self.call(sender, Instant::now()).await {
            Ok(mut call) => {
                let outcome = call
                    .instance
                    .knock(domain, direction, address.as_deref())
                    .await;
                call.end(outcome, Instant::now())
            }
            Err(unanswered) => Err(unanswered),
        };
        outcome.map(opinion)
    }

    /// May there be a stream with this peer, which is proven?
    pub(crate) async fn admit(&self, peer: &Arc<Peer>) -> Opinion {
        let outcome = self.try_admit(peer).await;
        self.opinion(outcome)
    }

    /// As [`admit`](Self::admit), but a failure is one.
    pub(crate) async fn try_admit(&self, peer: &Arc<Peer>) -> Result<Opinion, Unanswered> {
        let sender = Sender::Domain(peer.partner());
        let outcome = match self.call(sender, Instant::now()).await {
            Ok(mut call) => {
                let outcome = call.instance.admit(peer).await;
                call.end(outcome, Instant::now())
            }
            Err(unanswered) => Err(unanswered),
        };
        outcome.map(opinion)
    }

    /// Tells one of its instances that the generation lives. A failure is logged and counted. A plugin
    /// that only observes is told by its observer, on its only instance.
    pub(crate) async fn started(&self) {
        if !self.is_filter() && !self.is_gatekeeper() {
            return;
        }
        if let Ok(mut call) = self.call(Sender::Plugin, Instant::now()).await {
            let outcome = call.instance.started().await;
            // `end` has told the log.
            let _ = call.end(outcome, Instant::now());
        }
    }

    pub(crate) fn status(&self) -> PluginStatus {
        PluginStatus {
            name: self.context.name.to_string(),
            digest: self.prepared.digest.to_string(),
            version: (self.prepared.said.get()).and_then(|said| said.version.clone()),
            exports: self.prepared.exports.clone(),
            mode: match self.context.rehearsal {
                Rehearsal::Mute => Mode::Shadow,
                Rehearsal::Live | Rehearsal::Probe => Mode::Active,
            },
            on_failure: self.on_failure,
            quarantine: self.health.quarantine(),
            resting: self.health.senders(),
            last_failure: self.health.last_failure(),
            memory: self.context.figures.memory.get(),
            state: self.context.state.used(),
            state_limit: self.context.state.share(),
            counts: self.context.figures.counts(),
        }
    }

    pub(crate) fn tally(&self) -> Tally {
        Tally::new(
            Arc::clone(&self.context.name),
            Arc::clone(&self.context.figures),
        )
    }

    fn opinion(&self, outcome: Result<Opinion, Unanswered>) -> Opinion {
        match outcome {
            Ok(opinion) => opinion,
            Err(_) if self.on_failure == OnFailure::Open => Opinion::Abstain,
            // The peer learns nothing about our plugins; the log has the failure.
            Err(_) => Opinion::Refuse("this server's policy cannot be asked at present".to_owned()),
        }
    }

    /// An instance for one call, unless the plugin is left alone or cannot be built again.
    async fn call<'a>(&'a self, sender: Sender<'a>, now: Instant) -> Result<Call<'a>, Unanswered> {
        let skipped = |resting| {
            self.context.figures.skipped.add(1);
            Unanswered::Resting(resting)
        };
        // Who would be turned away does not wait for an instance first; who waited for one may have
        // to be turned away by what happened meanwhile.
        if let Some(resting) = self.health.rests(sender) {
            return Err(skipped(resting));
        }
        let (leased, now) = match self.pool.lease_now() {
            Some(leased) => (leased, now),
            None => {
                let leased = self.pool.lease().await;
                let leased =
                    leased.ok_or_else(|| Unanswered::Failed("it has no instances".to_owned()))?;
                (leased, Instant::now())
            }
        };
        let (lease, instance) = leased;
        let asked = self.health.may_ask(sender).map_err(skipped)?;
        let (instance, since) = match instance {
            Some(instance) => (instance, now),
            None => {
                // Boxed: it is rare, and every call would carry room for it.
                let rebuilt = Box::pin(self.rebuild()).await;
                // That an instance does not start is no sender's doing.
                let rebuilt =
                    rebuilt.map_err(|failure| self.failed(&failure, Sender::Plugin, &asked))?;
                (Box::new(rebuilt), Instant::now())
            }
        };
        Ok(Call {
            plugin: self,
            lease,
            instance,
            sender,
            asked,
            since,
        })
    }

    /// A new instance in the place of one that was lost.
    async fn rebuild(&self) -> Result<Instance, Failure> {
        self.context.figures.rebuilt.add(1);
        let (instance, _) =
            Instance::start(&self.prepared, &self.context, self.context.rehearsal).await?;
        Ok(instance)
    }

    fn failed(&self, failure: &Failure, sender: Sender<'_>, asked: &Asked) -> Unanswered {
        let text = self.tell(failure);
        let turns = self.health.failed(sender, text.clone(), asked);
        self.turned(turns, &text);
        Unanswered::Failed(text)
    }

    /// Counts and logs a failure; returns its text.
    fn tell(&self, failure: &Failure) -> String {
        self.context.figures.failed(failure.cause());
        let text = failure.to_string();
        self.context.log.failure(&text);
        text
    }
}

impl Call<'_> {
    /// Gives the instance back, or drops it if the call failed.
    fn end<T>(self, outcome: Result<T, Failure>, now: Instant) -> Result<T, Unanswered> {
        let took = now.saturating_duration_since(self.since);
        self.plugin.context.figures.called(took);
        match outcome {
            Ok(value) => {
                self.lease.give_back(self.instance);
                let turns = self.plugin.health.succeeded(self.sender, &self.asked);
                self.plugin.turned(turns, "");
                Ok(value)
            }
            Err(failure) => Err(self.plugin.failed(&failure, self.sender, &self.asked)),
        }
    }
}

impl std::fmt::Display for Unanswered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Resting(Resting::Plugin) => f.write_str("the plugin is quarantined"),
            Self::Resting(Resting::Sender) => {
                f.write_str("the plugin is quarantined for what this sender sends")
            }
            Self::Failed(failure) => write!(f, "the plugin failed: {}", cut(failure, TEXT_BYTES)),
        }
    }
}

fn covers(subscription: &types::Subscription, stanza: &Stanza, direction: Direction) -> bool {
    let kind = match stanza.kind() {
        Kind::Message => types::Kinds::MESSAGE,
        Kind::Presence => types::Kinds::PRESENCE,
        Kind::Iq => types::Kinds::IQ,
    };
    let direction = match direction {
        Direction::Inbound => types::Directions::INBOUND,
        Direction::Outbound => types::Directions::OUTBOUND,
    };
    let payloads = &subscription.payloads;
    subscription.kinds.contains(kind)
        && subscription.directions.contains(direction)
        && (payloads.is_empty()
            || stanza
                .payloads()
                .any(|(_, namespace)| payloads.iter().any(|wanted| wanted == namespace)))
}

fn memorable(judgement: &Judgement) -> Option<Remembered> {
    match judgement {
        Judgement::Pass(None) => Some(Remembered::Pass),
        Judgement::Pass(Some(_)) => None,
        // Cut before they are kept: a memo has many entries.
        Judgement::Reject(rejection) => Some(Remembered::Reject(types::Rejection {
            condition: rejection.condition,
            text: rejection
                .text
                .as_deref()
                .map(|text| cut(text, TEXT_BYTES).to_owned()),
            reason: cut(&rejection.reason, TEXT_BYTES).to_owned(),
        })),
        Judgement::Drop(reason) => Some(Remembered::Drop(cut(reason, TEXT_BYTES).to_owned())),
    }
}

/// A plugin's own answer in the gateway's words.
pub(crate) fn answer(judgement: Judgement) -> Answer {
    match judgement {
        Judgement::Pass(edited) => Answer::Pass(edited),
        Judgement::Reject(rejection) => {
            let mut error = StanzaError::new(condition(rejection.condition));
            error.text = rejection.text.as_deref().map(plain);
            Answer::Reject(error, cut(&rejection.reason, TEXT_BYTES).to_owned())
        }
        Judgement::Drop(reason) => Answer::Drop(cut(&reason, TEXT_BYTES).to_owned()),
    }
}

fn opinion(admission: types::Admission) -> Opinion {
    match admission {
        types::Admission::Allow => Opinion::Allow,
        types::Admission::Abstain => Opinion::Abstain,
        types::Admission::Refuse(text) => Opinion::Refuse(plain(&text)),
    }
}

/// Text that XML can carry: bounded, without control characters.
fn plain(text: &str) -> String {
    let legal = |it: char| {
        if it.is_control() || matches!(it, '\u{fffe}' | '\u{ffff}') {
            ' '
        } else {
            it
        }
    };
    cut(text, TEXT_BYTES).chars().map(legal).collect()
}
