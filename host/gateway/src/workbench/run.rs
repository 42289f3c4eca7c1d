//! A component over a fixture.
//!
//! In: the component, a [`Fixture`]. Out: [`Done`] for each case, in order, on one generation: what one
//! case leaves in the state, the next one finds.

use std::{path::Path, sync::Arc, time::Duration};

use portcullis_policy::{
    Chain, Engine, Generation, GenerationSpec, OnFailure, Opinion, PartnerRecord, Partners,
    PluginLimits, PluginSpec, Verdict,
    state::{State as _, StateError},
};
use portcullis_xmpp::{
    jid::Domain,
    stanza::{Direction, Stanza},
};
use serde_json::Value;
use tokio::time::timeout;

use super::{
    Untried, Workbench,
    fixture::{Before, Case, Fixture, domain, stanza},
    heard,
};

/// The name that the plugin goes by.
pub(crate) const NAME: &str = "tried";
/// The gateway's own defaults.
const BUDGET: Duration = Duration::from_millis(10);
const MEMORY: usize = 16 << 20;
const STANZA_BYTES: usize = 262_144;

/// An observer that has not taken its decisions after so long will not: it is offered them again and
/// again as long as it fails.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a case came to.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// `pass`, `reject`, `drop`; `allow`, `abstain`, `refuse`; none if it only heard.
    pub(crate) verdict: Option<&'static str>,
    pub(crate) condition: Option<&'static str>,
    pub(crate) text: Option<String>,
    pub(crate) reason: Option<String>,
    /// The stanza that it was given, and the one that goes on, if it was about one that passed.
    pub(crate) stanza: Option<(Stanza, Option<Stanza>)>,
    pub(crate) emits: Vec<String>,
    pub(crate) journal: Vec<Value>,
    /// Why the plugin failed at it, if it did.
    pub(crate) failure: Option<String>,
    pub(crate) elapsed: Duration,
}

/// Why nothing came of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotRun {
    #[error(transparent)]
    Untried(#[from] Untried),
    /// The fixture's fault.
    #[error("{0}")]
    Fixture(String),
    /// The component's: this gateway would not start with it.
    #[error("{0}")]
    Refused(String),
}

/// A component that has been started for a fixture.
pub(crate) struct Tried {
    bench: Workbench,
    chain: Chain,
    own: Vec<Domain>,
    /// Failures that have been told.
    failures: u64,
    /// Lines of the journal that have been told.
    lines: usize,
}

impl Tried {
    /// Starts it, and says what it did when it was told so.
    pub(crate) async fn start(
        engine: &Arc<Engine>,
        component: &Path,
        fixture: &Fixture,
    ) -> Result<(Self, Done), NotRun> {
        let own = fixture.own.iter().map(|name| domain(name));
        let own = own
            .collect::<Result<Vec<_>, _>>()
            .map_err(NotRun::Fixture)?;
        let bench = Workbench::new(own.iter().cloned())?;
        before(&bench, fixture)?;
        let generation = Generation::build(engine, &bench.services, spec(component, fixture)?)
            .await
            .map_err(|error| NotRun::Refused(error.to_string()))?;
        let mut tried = Self {
            // The journal's own first record is not the plugin's.
            lines: bench.journal().len(),
            bench,
            chain: Chain::new(generation),
            own,
            failures: 0,
        };
        tried.chain.enter().started().await;
        let mut done = Done::default();
        tried.aftermath(&mut done).await;
        Ok((tried, done))
    }

    /// Whether stanzas are shown to it.
    pub(crate) fn is_filter(&self) -> bool {
        let statuses = self.chain.enter().plugins();
        let mut exports = statuses.iter().flat_map(|status| &status.exports);
        exports.any(|name| name.starts_with("portcullis:policy/filter"))
    }

    /// One case. The inner error is the fixture's fault.
    pub(crate) async fn meet(&mut self, case: &Case) -> Result<Done, String> {
        let generation = self.chain.enter();
        let way = case.direction.map(Direction::from);
        let mut done = match (&case.stanza, &case.knock, &case.admit, &case.observe) {
            (Some(xml), None, None, None) => {
                let stanza = stanza(xml)?;
                let direction = way.unwrap_or_else(|| heard::direction(&stanza, &self.own));
                let peer = heard::sender(&case.peer, direction, &stanza);
                let said = generation.rehearse(stanza.clone(), peer).await;
                judged(stanza, said.verdict, said.stanza, said.elapsed)
            }
            (None, Some(name), None, None) => {
                let direction = way.unwrap_or(Direction::Inbound);
                let address = (direction == Direction::Inbound).then_some(());
                let address = address.and_then(|()| {
                    let known = case.peer.address;
                    known.or_else(|| "192.0.2.1:40000".parse().ok())
                });
                let domain = domain(name)?;
                opinion(generation.rehearse_knock(&domain, direction, address).await)?
            }
            (None, None, Some(name), None) => {
                let direction = way.unwrap_or(Direction::Inbound);
                let local = self.own.first().ok_or("`own` names no domain")?.clone();
                let peer = heard::peer(&case.peer, direction, domain(name)?, local);
                opinion(generation.rehearse_admit(&peer).await)?
            }
            (None, None, None, Some(told)) => {
                let decisions = told.iter().map(|told| heard::decision(told, &self.own));
                let decisions = decisions.collect::<Result<Vec<_>, _>>()?;
                let all = async {
                    for decision in decisions {
                        generation.observe(decision).await;
                    }
                };
                // What does not go in is told as what has not been taken.
                let _ = timeout(PATIENCE, all).await;
                Done::default()
            }
            _ => {
                let text = "a case is one of `stanza`, `knock`, `admit` and `observe`";
                return Err(text.to_owned());
            }
        };
        drop(generation);
        self.aftermath(&mut done).await;
        Ok(done)
    }

    /// What was left behind since it was looked at last.
    async fn aftermath(&mut self, done: &mut Done) {
        let settled = timeout(PATIENCE, self.chain.settled()).await;
        while let Ok(emission) = self.bench.emitted.try_recv() {
            let (word, from, to) = (emission.subtype.as_str(), &emission.from, &emission.to);
            done.emits.push(format!("{word} {from} {to}"));
        }
        let lines = self.bench.journal();
        let new = lines.iter().skip(self.lines);
        done.journal = new
            .map(|line| serde_json::from_str(line).unwrap_or(Value::Null))
            .collect();
        self.lines = lines.len();
        let statuses = self.chain.enter().plugins();
        let failures = statuses.iter().map(|status| status.counts.failures).sum();
        if failures > self.failures || settled.is_err() {
            let texts = statuses
                .into_iter()
                .filter_map(|status| status.last_failure);
            let text = texts.collect::<Vec<_>>().join("; ");
            done.failure = Some(match settled {
                Ok(()) => text,
                Err(_) => format!("it does not take its decisions: {text}"),
            });
            self.failures = failures;
        }
    }
}

fn judged(arrived: Stanza, verdict: Verdict, stanza: Stanza, elapsed: Duration) -> Done {
    let word = verdict.as_str();
    let (condition, text, reason) = match verdict {
        Verdict::Pass => (None, None, None),
        Verdict::Reject { error, reason } => {
            (Some(error.condition.as_str()), error.text, Some(reason))
        }
        Verdict::Drop { reason } => (None, None, Some(reason)),
    };
    let passed = (word == "pass").then_some(stanza);
    Done {
        verdict: Some(word),
        condition,
        text,
        reason,
        stanza: Some((arrived, passed)),
        elapsed,
        ..Done::default()
    }
}

fn opinion(opinions: Vec<Opinion>) -> Result<Done, String> {
    let opinion = opinions.into_iter().next();
    let opinion = opinion.ok_or("the component exports no gatekeeper")?;
    let (verdict, text) = match opinion {
        Opinion::Allow => ("allow", None),
        Opinion::Abstain => ("abstain", None),
        Opinion::Refuse(text) => ("refuse", Some(text)),
    };
    Ok(Done {
        verdict: Some(verdict),
        text,
        ..Done::default()
    })
}

/// Fills the state.
fn before(bench: &Workbench, fixture: &Fixture) -> Result<(), NotRun> {
    let state = bench.services.state.namespace(NAME);
    for (key, value) in &fixture.state {
        let set: Result<(), StateError> = match value {
            Before::Counter(number) => state.set(key, &number.to_be_bytes(), None),
            Before::Text(text) => state.set(key, text.as_bytes(), None),
        };
        set.map_err(|error| NotRun::Fixture(format!("state `{key}`: {error}")))?;
    }
    Ok(())
}

/// What one `[[plugin]]` with the gateway's defaults is.
pub(crate) fn plugin(component: &Path, config: Value) -> PluginSpec {
    PluginSpec {
        name: NAME.to_owned(),
        component: component.to_owned(),
        on_failure: OnFailure::Closed,
        budget: BUDGET,
        memory: MEMORY,
        config,
        grants: Vec::new(),
        files: std::collections::BTreeMap::new(),
        limits: PluginLimits::default(),
        content: None,
        sha256: None,
        signature: None,
        mode: portcullis_policy::Mode::Active,
    }
}

fn spec(component: &Path, fixture: &Fixture) -> Result<GenerationSpec, NotRun> {
    let mut partners = Vec::new();
    for (name, kind) in &fixture.partners {
        let record = PartnerRecord {
            kind: (*kind).into(),
            subdomains: false,
            valid_until: None,
        };
        partners.push((domain(name).map_err(NotRun::Fixture)?, record));
    }
    Ok(GenerationSpec {
        number: 1,
        plugins: vec![PluginSpec {
            files: fixture.files.clone(),
            ..plugin(component, fixture.config.clone())
        }],
        partners: partners.into_iter().collect::<Partners>(),
        stanza_bytes: STANZA_BYTES,
        plugin_keys: Vec::new(),
    })
}
