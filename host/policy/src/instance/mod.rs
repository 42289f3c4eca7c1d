//! One plugin instance: one store, one set of limits, one call at a time.
//!
//! In: a [`Prepared`] component and what its plugin may reach ([`Context`]). Out: typed calls. A call
//! that returns a [`Failure`] has poisoned the store: the instance must be dropped. Dropping a call's
//! future in its middle poisons it too; the pool sees to that.

mod budget;
mod convert;
pub(crate) mod handles;
mod host;
mod limits;
mod log;
mod wasi;

use std::collections::BTreeSet;
use std::sync::Arc;

use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::stanza::{Direction, Stanza};
use portcullis_xmpp::stream::Peer;
use tokio::sync::mpsc;
use wasmtime::component::{Linker, Resource, ResourceTable};
use wasmtime::{Store, UpdateDeadline};
use wasmtime_wasi::{I32Exit, WasiCtx, WasiCtxView, WasiView};

pub(crate) use budget::{Budget, Meter, Overrun};
pub(crate) use convert::{PackedHeader, condition};
use handles::{DecisionsHandle, PeerHandle, StanzaHandle};
pub(crate) use log::{PluginLog, cut};

use crate::bindings::exports::portcullis::policy as exports;
use crate::bindings::portcullis::policy::types;
use crate::component::Prepared;
use crate::decision::Decision;
use crate::engine::Pulse;
use crate::files::Files;
use crate::spec::{Emission, Partners};
use crate::{journal, state};

/// How much longer `init` may take than a call (WIT, `lifecycle.init`).
const INIT_FACTOR: u32 = 10;
/// How much longer `started` may take than a call (WIT, `lifecycle.started`).
const STARTED_FACTOR: u32 = 100;

/// What a plugin may reach, the same for all its instances.
pub(crate) struct Context {
    pub(crate) name: Arc<str>,
    pub(crate) budget: Budget,
    pub(crate) memory: usize,
    /// Edits in one call (WIT, `edit-error.too-large`).
    pub(crate) edits: u32,
    /// `[plugin.config]` as JSON.
    pub(crate) config: String,
    pub(crate) stanza_bytes: usize,
    pub(crate) log: Arc<PluginLog>,
    pub(crate) state: state::Namespace,
    pub(crate) journal: Arc<journal::Journal>,
    pub(crate) emit: mpsc::Sender<Emission>,
    pub(crate) own_domains: Arc<BTreeSet<Domain>>,
    pub(crate) partners: Arc<Partners>,
    /// `[plugin.files]` as they were when the generation was built.
    pub(crate) files: Files,
    pub(crate) pulse: Arc<Pulse>,
    /// What its instances do for real.
    pub(crate) rehearsal: Rehearsal,
}

/// Why a call came to nothing. The plugin's fault.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Overrun(#[from] Overrun),
    #[error("it ended itself with exit status {0}")]
    Exit(i32),
    #[error("its init failed: {0}")]
    Init(String),
    #[error("it reported: {0}")]
    Reported(String),
    #[error("{0}")]
    Trap(String),
}

impl From<wasmtime::Error> for Failure {
    fn from(error: wasmtime::Error) -> Self {
        if let Some(overrun) = error.downcast_ref::<Overrun>() {
            return Self::Overrun(*overrun);
        }
        if let Some(exit) = error.downcast_ref::<I32Exit>() {
            return Self::Exit(exit.0);
        }
        // The root cause in front: the rest of the chain is the backtrace.
        Self::Trap(format!(
            "{} ({})",
            error.root_cause(),
            cut(&format!("{error}"), 1024)
        ))
    }
}

/// What the running call may do.
pub(super) enum Scope {
    /// `init`: nothing that another instance or generation could see.
    Starting,
    /// Nothing but the imports.
    Open,
    /// A filter's call.
    Judging {
        stanza: Stanza,
        peer: Arc<Peer>,
        edits: u32,
        edited: bool,
    },
    /// An observer's call.
    Observing(Vec<Arc<Decision>>),
}

/// Whether what a guest does is real.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rehearsal {
    /// It is.
    Live,
    /// A plugin whose word has no effect: `state` is real, `journal` and `emit` accept everything and
    /// keep nothing.
    Mute,
    /// The probe of a new generation: `state`, `journal` and `emit` accept everything and keep
    /// nothing.
    Probe,
}

/// A store's data.
pub(crate) struct Guest {
    context: Arc<Context>,
    limits: limits::Limits,
    wasi: WasiCtx,
    table: ResourceTable,
    scope: Scope,
    rehearsal: Rehearsal,
    /// Its filter's verdicts are remembered, so it may not read `state`.
    memo: bool,
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// A linker with everything that a plugin may import.
pub(crate) fn link(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    wasi::link(&mut linker)?;
    host::link(&mut linker)?;
    Ok(linker)
}

/// A running instance.
pub(crate) struct Instance {
    store: Store<Guest>,
    meter: Arc<Meter>,
    lifecycle: exports::lifecycle::Guest,
    gatekeeper: Option<exports::gatekeeper::Guest>,
    filter: Option<exports::filter::Guest>,
    observer: Option<exports::observer::Guest>,
}

/// What a filter said.
pub(crate) enum Judgement {
    /// The stanza goes on, with edits if there were any.
    Pass(Option<Stanza>),
    Reject(types::Rejection),
    Drop(String),
}

impl Instance {
    /// Instantiates and initialises.
    pub(crate) async fn start(
        prepared: &Prepared,
        context: &Arc<Context>,
        rehearsal: Rehearsal,
    ) -> Result<(Self, types::Subscription), Failure> {
        let guest = Guest {
            limits: limits::Limits::new(context.memory),
            wasi: wasi::context(&context.log),
            table: wasi::table(),
            scope: Scope::Starting,
            rehearsal,
            memo: false,
            context: Arc::clone(context),
        };
        let mut store = Store::new(prepared.instance.engine(), guest);
        store.limiter(|guest| &mut guest.limits);
        let meter = Meter::new(Arc::clone(&context.pulse));
        let ticking = Arc::clone(&meter);
        store.epoch_deadline_callback(move |_| {
            ticking.tick()?;
            Ok(UpdateDeadline::Yield(1))
        });
        store.set_epoch_deadline(1);

        let budget = context.budget.times(INIT_FACTOR);
        let call = Self::load(prepared, store, Arc::clone(&meter), &context.config);
        let (mut instance, answer) = meter.run(budget, call).await??;
        let subscription = answer.map_err(|text| Failure::Init(cut(&text, 4096).to_owned()))?;
        let guest = instance.store.data_mut();
        guest.scope = Scope::Open;
        guest.memo = subscription.memo_ms.is_some();
        Ok((instance, subscription))
    }

    async fn load(
        prepared: &Prepared,
        mut store: Store<Guest>,
        meter: Arc<Meter>,
        config: &str,
    ) -> wasmtime::Result<(Self, Result<types::Subscription, String>)> {
        let instance = prepared.instance.instantiate_async(&mut store).await?;
        let lifecycle = prepared.lifecycle.load(&mut store, &instance)?;
        let gatekeeper = prepared
            .gatekeeper
            .as_ref()
            .map(|it| it.load(&mut store, &instance))
            .transpose()?;
        let filter = prepared
            .filter
            .as_ref()
            .map(|it| it.load(&mut store, &instance))
            .transpose()?;
        let observer = prepared
            .observer
            .as_ref()
            .map(|it| it.load(&mut store, &instance))
            .transpose()?;
        let answer = lifecycle.call_init(&mut store, config).await?;
        Ok((
            Self {
                store,
                meter,
                lifecycle,
                gatekeeper,
                filter,
                observer,
            },
            answer,
        ))
    }

    /// Tells it that its generation has taken over.
    pub(crate) async fn started(&mut self) -> Result<(), Failure> {
        let budget = self.ready(Scope::Open).times(STARTED_FACTOR);
        self.meter
            .run(budget, self.lifecycle.call_started(&mut self.store))
            .await??;
        Ok(())
    }

    /// May there be a stream? Abstains if it is no gatekeeper.
    pub(crate) async fn knock(
        &mut self,
        domain: &Domain,
        direction: Direction,
        address: Option<&str>,
    ) -> Result<types::Admission, Failure> {
        let budget = self.ready(Scope::Open);
        let Some(gatekeeper) = &self.gatekeeper else {
            return Ok(types::Admission::Abstain);
        };
        let call = gatekeeper.call_knock(
            &mut self.store,
            domain.as_str(),
            convert::direction(direction),
            address,
        );
        Ok(self.meter.run(budget, call).await??)
    }

    /// May there be a stream with this peer? Abstains if it is no gatekeeper.
    pub(crate) async fn admit(&mut self, peer: &Arc<Peer>) -> Result<types::Admission, Failure> {
        let budget = self.ready(Scope::Open);
        let Some(gatekeeper) = &self.gatekeeper else {
            return Ok(types::Admission::Abstain);
        };
        let handle = self
            .store
            .data_mut()
            .table
            .push(PeerHandle(Arc::clone(peer)))
            .map_err(|error| Failure::Trap(error.to_string()))?;
        let lent = Resource::new_borrow(handle.rep());
        let answer = self
            .meter
            .run(budget, gatekeeper.call_admit(&mut self.store, lent))
            .await??;
        self.store
            .data_mut()
            .table
            .delete(handle)
            .map_err(|error| Failure::Trap(error.to_string()))?;
        Ok(answer)
    }

    /// May this stanza pass, and as what? It passes if this is no filter.
    pub(crate) async fn decide(
        &mut self,
        header: &PackedHeader,
        stanza: &Stanza,
        peer: &Arc<Peer>,
    ) -> Result<Judgement, Failure> {
        let scope = Scope::Judging {
            stanza: stanza.clone(),
            peer: Arc::clone(peer),
            edits: self.store.data().context.edits,
            edited: false,
        };
        let budget = self.ready(scope);
        let Some(filter) = &self.filter else {
            return Ok(Judgement::Pass(None));
        };
        let call = filter.call_decide(&mut self.store, header.lend(), Resource::new_borrow(0));
        let verdict = self.meter.run(budget, call).await??;
        let scope = std::mem::replace(&mut self.store.data_mut().scope, Scope::Open);
        Ok(match verdict {
            types::Verdict::Pass => Judgement::Pass(match scope {
                Scope::Judging {
                    stanza,
                    edited: true,
                    ..
                } => Some(stanza),
                _ => None,
            }),
            types::Verdict::Reject(rejection) => Judgement::Reject(rejection),
            types::Verdict::Drop(reason) => Judgement::Drop(reason),
        })
    }

    /// What was decided. The inner error is the plugin's own word and leaves the instance whole.
    pub(crate) async fn observe(
        &mut self,
        batch: &[Arc<Decision>],
    ) -> Result<Result<(), String>, Failure> {
        let budget = self.ready(Scope::Observing(batch.to_vec()));
        let Some(observer) = &self.observer else {
            return Ok(Ok(()));
        };
        // One call stands for many decisions: each has the budget of one.
        let budget = budget.times(u32::try_from(batch.len()).unwrap_or(u32::MAX));
        let answer = self
            .meter
            .run(
                budget,
                observer.call_observe(&mut self.store, Resource::new_borrow(0)),
            )
            .await??;
        self.store.data_mut().scope = Scope::Open;
        Ok(answer.map_err(|text| cut(&text, 4096).to_owned()))
    }

    /// Arms the budget and says what the call may touch.
    fn ready(&mut self, scope: Scope) -> Budget {
        self.store.set_epoch_deadline(1);
        let guest = self.store.data_mut();
        guest.scope = scope;
        guest.context.budget
    }
}
