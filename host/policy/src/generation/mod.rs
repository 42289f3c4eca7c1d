//! Everything that is swapped together: the ordered plugins with their configuration, and the partner
//! records.
//!
//! In: streams to rule on, stanzas to judge, decisions to tell. Out: a [`Ruling`], a [`Judged`]. Both
//! are always given: where a plugin fails, its `on_failure` answers. A generation is complete before
//! anybody sees it; one that cannot be built changes nothing ([`BuildError`]).

mod build;
mod rehearse;

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis_xmpp::error::{StanzaCondition, StanzaError};
use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::stanza::{Direction, Kind, Stanza, Subtype};
use portcullis_xmpp::stream::{Authenticated, Peer};
use time::OffsetDateTime;
use tokio::sync::watch;

pub use build::{BuildError, BuildStep, BuildTimes};
pub use rehearse::Rehearsed;

use crate::chain::Alive;
use crate::decision::Decision;
use crate::engine::Engine;
use crate::figures::Tally;
use crate::instance::Rehearsal;
use crate::judged::{Judged, Ruling, Verdict};
use crate::plugin::{Answer, Observer, Opinion, Plugin, Round, Told};
use crate::shadow::{Case, Seen, Shadow};
use crate::spec::{GenerationSpec, Partners, Services};
use crate::status::{MadeOf, PluginStatus};

/// One policy, complete.
pub struct Generation {
    number: u64,
    /// In chain order.
    plugins: Vec<Arc<Plugin>>,
    observers: Vec<Observer>,
    shadows: Vec<Shadow>,
    partners: Arc<Partners>,
    times: BuildTimes,
    /// Held from going live until the last batch is observed.
    alive: std::sync::OnceLock<Arc<Alive>>,
}

impl Generation {
    /// Builds a generation in full: every component loaded, verified, compiled, linked and rehearsed,
    /// every instance initialised.
    ///
    /// # Errors
    /// The first plugin that does not get so far. Nothing has changed then.
    pub async fn build(
        engine: &Arc<Engine>,
        services: &Services,
        spec: GenerationSpec,
    ) -> Result<Self, BuildError> {
        build::build(engine, services, spec, Rehearsal::Live).await
    }

    /// The same, but what its plugins say leads nowhere. It never goes live.
    pub(crate) async fn build_for_replay(
        engine: &Arc<Engine>,
        services: &Services,
        spec: GenerationSpec,
    ) -> Result<Self, BuildError> {
        build::build(engine, services, spec, Rehearsal::Mute).await
    }

    /// Its plugins in chain order, without shadows.
    pub(crate) fn active(&self) -> &[Arc<Plugin>] {
        &self.plugins
    }

    /// Its number, as decisions name it.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// How long its parts took to build.
    #[must_use]
    pub fn times(&self) -> BuildTimes {
        self.times
    }

    /// Its plugins in chain order, as they stand now.
    #[must_use]
    pub fn plugins(&self) -> Vec<PluginStatus> {
        let failing = |plugin: &Arc<Plugin>| {
            let observer = |observer: &&Observer| Arc::ptr_eq(observer.plugin(), plugin);
            self.observers.iter().find(observer)?.quarantine()
        };
        let status = |plugin: &Arc<Plugin>| {
            let mut status = plugin.status();
            status.quarantine = status.quarantine.or_else(|| failing(plugin));
            status
        };
        let beside = |place| {
            let here = self.shadows.iter().filter(move |it| it.place() == place);
            here.map(|shadow| shadow.plugin().status())
        };
        let mut all = Vec::with_capacity(self.plugins.len() + self.shadows.len());
        for (place, plugin) in self.plugins.iter().enumerate() {
            all.extend(beside(place));
            all.push(status(plugin));
        }
        all.extend(beside(self.plugins.len()));
        all
    }

    /// What its plugins do, also while it retires; shadows too.
    #[must_use]
    pub fn tallies(&self) -> Vec<Tally> {
        let shadows = self.shadows.iter().map(Shadow::plugin);
        let all = self.plugins.iter().chain(shadows);
        all.map(|plugin| plugin.tally()).collect()
    }

    /// Which component a plugin is made of.
    #[must_use]
    pub fn component(&self, plugin: &str) -> Option<MadeOf> {
        let named = |known: &&Arc<Plugin>| &**known.name() == plugin;
        self.plugins.iter().find(named).map(|it| it.component())
    }

    /// Tells each plugin that this generation has taken over. Call it once, after the swap; stanzas
    /// are judged meanwhile.
    pub async fn started(&self) {
        for plugin in &self.plugins {
            plugin.started().await;
        }
    }

    /// May a stream with this domain exist, before anything is proven (and before DNS)? `address` is
    /// where it connects from; none for a stream that the gateway would open.
    pub async fn knock(
        &self,
        domain: &Domain,
        direction: Direction,
        address: Option<SocketAddr>,
    ) -> Ruling {
        let mut allowed = None;
        let mut asked = self.plugins.len();
        let mut refused = None;
        for (place, plugin) in self.gatekeepers() {
            match plugin.knock(domain, direction, address).await {
                Opinion::Allow => allowed = allowed.or(Some(plugin.name())),
                Opinion::Abstain => {}
                Opinion::Refuse(text) => {
                    let by = Arc::clone(plugin.name());
                    (asked, refused) = (place, Some(Ruling::Refused { by, text }));
                    break;
                }
            }
        }
        let ruling = refused.unwrap_or_else(|| self.ruling(domain, allowed));
        for shadow in self.shadow_gatekeepers(asked) {
            shadow.tell(Case::Knock {
                domain: domain.clone(),
                direction,
                address,
                stood: ruling.clone(),
            });
        }
        ruling
    }

    /// May the stream with this authenticated peer exist? Asked once per pair of domains.
    pub async fn admit(&self, peer: &Arc<Peer>) -> Ruling {
        let mut allowed = None;
        let mut asked = self.plugins.len();
        let mut refused = None;
        for (place, plugin) in self.gatekeepers() {
            match plugin.admit(peer).await {
                Opinion::Allow => allowed = allowed.or(Some(plugin.name())),
                Opinion::Abstain => {}
                Opinion::Refuse(text) => {
                    let by = Arc::clone(plugin.name());
                    (asked, refused) = (place, Some(Ruling::Refused { by, text }));
                    break;
                }
            }
        }
        let ruling = refused.unwrap_or_else(|| self.ruling(&peer.remote, allowed));
        for shadow in self.shadow_gatekeepers(asked) {
            shadow.tell(Case::Admit {
                peer: Arc::clone(peer),
                stood: ruling.clone(),
            });
        }
        ruling
    }

    /// Asks each filter whose subscription covers the stanza, in chain order, until one does not let
    /// it pass. Edits of one are what the next one sees.
    pub async fn judge(&self, incoming: Authenticated) -> Judged {
        let (arrived, peer) = incoming.into_parts();
        if self.shadows.is_empty() && self.passes_unasked(&arrived, peer.direction) {
            return Judged::new(
                arrived,
                peer,
                Verdict::Pass,
                None,
                self.number,
                Duration::ZERO,
            );
        }
        // Boxed: a call into a plugin is large, and every stanza would carry its room around.
        Box::pin(self.judge_stanza(arrived, peer)).await
    }

    /// Whether no filter has to be asked: those that want the stanza have let its like pass, and it is
    /// remembered.
    fn passes_unasked(&self, stanza: &Stanza, direction: Direction) -> bool {
        let wanting = || {
            let filters = self.plugins.iter().filter(|plugin| plugin.is_filter());
            filters.filter(|plugin| plugin.wants(stanza, direction))
        };
        let mut now = None;
        let passes = wanting().all(|plugin| {
            plugin.remembers_pass(stanza, direction, *now.get_or_insert_with(Instant::now))
        });
        if passes {
            wanting().for_each(|plugin| plugin.has_remembered());
        }
        passes
    }

    async fn judge_stanza(&self, arrived: Stanza, peer: Arc<Peer>) -> Judged {
        let mut round = Round::new();
        let mut edited: Option<Stanza> = None;
        let mut seen = Seen::new(&self.shadows, peer.direction);
        for (place, plugin) in self.plugins.iter().enumerate() {
            let stanza = edited.as_ref().unwrap_or(&arrived);
            seen.at(place, stanza);
            if !plugin.is_filter() || !plugin.wants(stanza, peer.direction) {
                continue;
            }
            let outcome = pin!(plugin.decide(&mut round, stanza, &peer)).await;
            let verdict = match plugin.answer(outcome) {
                Answer::Pass(None) => continue,
                Answer::Pass(Some(stanza)) => {
                    edited = Some(stanza);
                    round.edited();
                    continue;
                }
                Answer::Reject(error, reason) => rejected(&arrived, error, reason),
                Answer::Drop(reason) => dropped(&arrived, reason),
            };
            let by = Some(Arc::clone(plugin.name()));
            seen.stood(&peer, &verdict, by.as_ref(), &arrived);
            return Judged::new(arrived, peer, verdict, by, self.number, round.elapsed());
        }
        let (stanza, arrived) = match edited {
            Some(edited) => (edited, Some(arrived)),
            None => (arrived, None),
        };
        seen.at(self.plugins.len(), &stanza);
        seen.stood(&peer, &Verdict::Pass, None, &stanza);
        Judged::new(
            stanza,
            peer,
            Verdict::Pass,
            None,
            self.number,
            round.elapsed(),
        )
        .made_from(arrived)
    }

    /// Tells the observers what stood. Decisions of one stream are observed in the order of these
    /// calls. While an observer that must hear everything (`on_failure = "closed"`) fails or lags,
    /// this waits: the caller reads no more from the stream meanwhile. A caller that is cancelled
    /// while it waits for room leaves that decision out.
    pub async fn observe(&self, decision: Decision) {
        if self.observers.is_empty() {
            return;
        }
        let decision = match self.observers.iter().any(Observer::keeps_decisions) {
            true => Told::Shared(Arc::new(decision)),
            false => Told::Once(decision),
        };
        for observer in &self.observers {
            observer.tell(&decision).await;
        }
    }

    /// Waits until the observers have taken everything told so far, or given it up.
    pub async fn settled(&self) {
        for observer in &self.observers {
            observer.settled().await;
        }
    }

    /// Waits until the shadows have compared everything told so far. A shadow may take long: nothing
    /// that others wait for should wait for this.
    pub async fn compared(&self) {
        for shadow in &self.shadows {
            shadow.settled().await;
        }
    }

    /// Goes live: observers begin when the generation before has been heard out.
    pub(crate) fn live(&self, before: Option<watch::Receiver<()>>, alive: Arc<Alive>) {
        for observer in &self.observers {
            observer.begin(before.clone(), Arc::clone(&alive));
        }
        for shadow in &self.shadows {
            shadow.begin();
        }
        // Only the chain calls this, once.
        let _ = self.alive.set(alive);
    }

    /// With their places in the chain.
    fn gatekeepers(&self) -> impl Iterator<Item = (usize, &Arc<Plugin>)> {
        let places = self.plugins.iter().enumerate();
        places.filter(|(_, plugin)| plugin.is_gatekeeper())
    }

    /// The shadows that would have been asked before the plugin at this place had refused.
    fn shadow_gatekeepers(&self, refused: usize) -> impl Iterator<Item = &Shadow> {
        (self.shadows.iter()).filter(move |it| it.plugin().is_gatekeeper() && it.place() <= refused)
    }

    /// Nobody has refused; somebody must have opened.
    pub(crate) fn ruling(&self, domain: &Domain, allowed: Option<&Arc<str>>) -> Ruling {
        if self
            .partners
            .find(domain, OffsetDateTime::now_utc())
            .is_some()
        {
            return Ruling::Admitted {
                by: Arc::from(Ruling::RECORD),
            };
        }
        match allowed {
            Some(by) => Ruling::Admitted { by: Arc::clone(by) },
            None => Ruling::Refused {
                by: Arc::from(Ruling::DEFAULT_DENY),
                text: format!("{domain} is not a partner of this server"),
            },
        }
    }
}

/// What RFC 6120 §8.3.1 forbids to answer is dropped, under the same reason.
pub(crate) fn rejected(stanza: &Stanza, error: StanzaError, reason: String) -> Verdict {
    if stanza.error_reply(&error).is_some() {
        Verdict::Reject { error, reason }
    } else {
        Verdict::Drop { reason }
    }
}

/// An IQ request gets its answer all the same (RFC 6120 §8.2.3).
pub(crate) fn dropped(stanza: &Stanza, reason: String) -> Verdict {
    let request =
        stanza.kind() == Kind::Iq && matches!(stanza.subtype(), Subtype::Get | Subtype::Set);
    if request {
        rejected(
            stanza,
            StanzaError::new(StanzaCondition::ServiceUnavailable),
            reason,
        )
    } else {
        Verdict::Drop { reason }
    }
}
