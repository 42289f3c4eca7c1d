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

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use portcullis_xmpp::error::{StanzaCondition, StanzaError};
use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::stanza::{Direction, Kind, Stanza};
use portcullis_xmpp::stream::Peer;

pub(crate) use observer::Observer;
pub(crate) use probe::rehearse;

use crate::bindings::portcullis::policy::types;
use crate::component::Prepared;
use crate::instance::{
    Context, Failure, Instance, Judgement, PackedHeader, Rehearsal, condition, cut,
};
use crate::spec::{Mode, OnFailure};
use crate::status::{PluginCounts, PluginStatus};
use health::{Health, Turn};
use memo::{Key, Memo, Remembered};
use pool::{Lease, Pool};

/// Texts of plugins are cut here (WIT, `rejection`, `verdict.drop`, `admission.refuse`).
const TEXT_BYTES: usize = 512;

pub(crate) struct Plugin {
    on_failure: OnFailure,
    prepared: Arc<Prepared>,
    context: Arc<Context>,
    subscription: types::Subscription,
    memo: Option<Memo>,
    pool: Pool,
    health: Health,
    counters: Counters,
}

#[derive(Debug, Default)]
struct Counters {
    calls: AtomicU64,
    failures: AtomicU64,
    remembered: AtomicU64,
    skipped: AtomicU64,
    rebuilt: AtomicU64,
    lost: AtomicU64,
    busy_ns: AtomicU64,
}

/// A filter's answer, already in the gateway's words.
pub(crate) enum Answer {
    /// With the stanza if it was edited.
    Pass(Option<Stanza>),
    Reject(StanzaError, String),
    Drop(String),
}

/// A gatekeeper's answer.
pub(crate) enum Opinion {
    Allow,
    Abstain,
    Refuse(String),
}

/// Why `on_failure` has to answer.
pub(crate) enum Unanswered {
    Quarantined,
    Failed(String),
}

/// An instance for one call.
struct Call<'a> {
    plugin: &'a Plugin,
    lease: Lease<'a>,
    instance: Instance,
    since: Instant,
}

impl Plugin {
    /// A plugin whose instances are all initialised.
    pub(crate) fn new(
        on_failure: OnFailure,
        prepared: Arc<Prepared>,
        context: Arc<Context>,
        subscription: types::Subscription,
        instances: Vec<Instance>,
    ) -> Self {
        let memo = subscription
            .memo_ms
            .map(|lifetime| Memo::new(Duration::from_millis(u64::from(lifetime))));
        Self {
            on_failure,
            prepared,
            context,
            subscription,
            memo,
            pool: Pool::new(instances),
            health: Health::default(),
            counters: Counters::default(),
        }
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.context.name
    }

    /// The component's digest and exports.
    pub(crate) fn component(&self) -> (String, Vec<String>) {
        let prepared = &self.prepared;
        (prepared.digest.to_string(), prepared.exports.clone())
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

    /// May the stanza pass, and as what? `header` is packed when the first plugin needs it.
    pub(crate) async fn decide(
        &self,
        header: &mut Option<PackedHeader>,
        stanza: &Stanza,
        peer: &Arc<Peer>,
    ) -> Answer {
        match self.judgement(header, stanza, peer).await {
            Ok(judgement) => answer(judgement),
            Err(_) if self.on_failure == OnFailure::Open => Answer::Pass(None),
            Err(unanswered) => Answer::Reject(
                StanzaError::new(StanzaCondition::InternalServerError),
                unanswered.to_string(),
            ),
        }
    }

    /// As [`decide`](Self::decide), but a failure is one.
    pub(crate) async fn try_decide(
        &self,
        header: &mut Option<PackedHeader>,
        stanza: &Stanza,
        peer: &Arc<Peer>,
    ) -> Result<Answer, Unanswered> {
        self.judgement(header, stanza, peer).await.map(answer)
    }

    async fn judgement(
        &self,
        header: &mut Option<PackedHeader>,
        stanza: &Stanza,
        peer: &Arc<Peer>,
    ) -> Result<Judgement, Unanswered> {
        let key = self
            .memo
            .as_ref()
            .map(|memo| (memo, Key::of(stanza, peer.direction)));
        if let Some((memo, key)) = &key
            && let Some(verdict) = memo.recall(key, Instant::now())
        {
            self.counters.remembered.fetch_add(1, Relaxed);
            return Ok(match verdict {
                Remembered::Pass => Judgement::Pass(None),
                Remembered::Reject(rejection) => Judgement::Reject(rejection),
                Remembered::Drop(reason) => Judgement::Drop(reason),
            });
        }
        let header = header.get_or_insert_with(|| PackedHeader::of(stanza, peer.direction));
        let outcome = match self.call().await {
            Ok(mut call) => {
                let outcome = call.instance.decide(header, stanza, peer).await;
                call.end(outcome)
            }
            Err(unanswered) => Err(unanswered),
        };
        let judgement = outcome?;
        if let Some((memo, key)) = key
            && let Some(verdict) = memorable(&judgement)
        {
            memo.remember(key, verdict, Instant::now());
        }
        Ok(judgement)
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
        let address = address.map(|address| address.to_string());
        let outcome = match self.call().await {
            Ok(mut call) => {
                let outcome = call
                    .instance
                    .knock(domain, direction, address.as_deref())
                    .await;
                call.end(outcome)
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
        let outcome = match self.call().await {
            Ok(mut call) => {
                let outcome = call.instance.admit(peer).await;
                call.end(outcome)
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
        if let Ok(mut call) = self.call().await {
            let outcome = call.instance.started().await;
            // `end` has told the log.
            let _ = call.end(outcome);
        }
    }

    pub(crate) fn status(&self) -> PluginStatus {
        let count = |counter: &AtomicU64| counter.load(Relaxed);
        PluginStatus {
            name: self.context.name.to_string(),
            digest: self.prepared.digest.to_string(),
            version: None,
            exports: self.prepared.exports.clone(),
            mode: match self.context.rehearsal {
                Rehearsal::Mute => Mode::Shadow,
                Rehearsal::Live | Rehearsal::Probe => Mode::Active,
            },
            on_failure: self.on_failure,
            quarantined: self.health.is_quarantined(),
            last_failure: self.health.last_failure(),
            counts: PluginCounts {
                calls: count(&self.counters.calls),
                failures: count(&self.counters.failures),
                remembered: count(&self.counters.remembered),
                skipped: count(&self.counters.skipped),
                rebuilt: count(&self.counters.rebuilt),
                lost: count(&self.counters.lost),
                busy_ns: count(&self.counters.busy_ns),
            },
        }
    }

    fn opinion(&self, outcome: Result<Opinion, Unanswered>) -> Opinion {
        match outcome {
            Ok(opinion) => opinion,
            Err(_) if self.on_failure == OnFailure::Open => Opinion::Abstain,
            // The peer learns nothing about our plugins; the log has the failure.
            Err(_) => Opinion::Refuse("this server's policy cannot be asked at present".to_owned()),
        }
    }

    /// An instance for one call, unless the plugin is quarantined or cannot be built again.
    async fn call(&self) -> Result<Call<'_>, Unanswered> {
        if !self.health.may_ask(Instant::now()) {
            self.counters.skipped.fetch_add(1, Relaxed);
            return Err(Unanswered::Quarantined);
        }
        let Some((lease, instance)) = self.pool.lease().await else {
            return Err(Unanswered::Failed("it has no instances".to_owned()));
        };
        let since = Instant::now();
        let instance = match instance {
            Some(instance) => instance,
            None => self
                .rebuild()
                .await
                .map_err(|failure| self.failed(&failure))?,
        };
        Ok(Call {
            plugin: self,
            lease,
            instance,
            since,
        })
    }

    /// A new instance in the place of one that was lost.
    async fn rebuild(&self) -> Result<Instance, Failure> {
        self.counters.rebuilt.fetch_add(1, Relaxed);
        let (instance, _) =
            Instance::start(&self.prepared, &self.context, self.context.rehearsal).await?;
        Ok(instance)
    }

    fn count(&self, since: Instant) {
        let busy = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.counters.calls.fetch_add(1, Relaxed);
        self.counters.busy_ns.fetch_add(busy, Relaxed);
    }

    fn succeeded(&self) {
        if self.health.succeeded() == Turn::Recovered {
            tracing::warn!(plugin = %self.context.name, "the plugin answers again and is out of quarantine");
        }
    }

    fn failed(&self, failure: &Failure) -> Unanswered {
        self.counters.failures.fetch_add(1, Relaxed);
        let text = failure.to_string();
        self.context.log.failure(&text);
        if let Turn::Quarantined(pause) = self.health.failed(Instant::now(), text.clone()) {
            let on_failure = self.on_failure;
            tracing::error!(plugin = %self.context.name, failure = %text, ?pause, ?on_failure,
                "the plugin fails again and again and is quarantined");
        }
        Unanswered::Failed(text)
    }
}

impl Call<'_> {
    /// Gives the instance back, or drops it if the call failed.
    fn end<T>(self, outcome: Result<T, Failure>) -> Result<T, Unanswered> {
        self.plugin.count(self.since);
        match outcome {
            Ok(value) => {
                self.lease.give_back(self.instance);
                self.plugin.succeeded();
                Ok(value)
            }
            Err(failure) => Err(self.plugin.failed(&failure)),
        }
    }
}

impl std::fmt::Display for Unanswered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Quarantined => f.write_str("the plugin is quarantined"),
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
        Judgement::Reject(rejection) => Some(Remembered::Reject(rejection.clone())),
        Judgement::Drop(reason) => Some(Remembered::Drop(reason.clone())),
    }
}

fn answer(judgement: Judgement) -> Answer {
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
