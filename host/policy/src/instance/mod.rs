//! One plugin instance: one store, one set of limits, one call at a time.
//!
//! In: a [`Prepared`] component and what its plugin may reach ([`Context`]). Out: typed calls. A call
//! that returns a [`Failure`] has poisoned the store: the instance must be dropped. Dropping a call's
//! future in its middle poisons it too; the pool sees to that.

mod budget;
mod convert;
mod describe;
mod failure;
pub(crate) mod handles;
mod host;
mod limits;
mod log;
mod wasi;

use std::collections::BTreeSet;
use std::pin::{Pin, pin};
use std::sync::Arc;

use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::stanza::{Direction, Stanza};
use portcullis_xmpp::stream::Peer;
use tokio::sync::mpsc;
use wasmtime::component::{Linker, Resource, ResourceTable};
use wasmtime::{Store, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

pub(crate) use budget::{Budget, Meter};
pub(crate) use convert::{PackedHeader, condition};
pub(crate) use describe::describe;
pub(crate) use failure::Failure;
use failure::LastWords;
use handles::{DecisionsHandle, PeerHandle, StanzaHandle};
pub(crate) use log::{PluginLog, cut};

use crate::bindings::exports::portcullis::policy as exports;
use crate::bindings::portcullis::policy::types;
use crate::component::Prepared;
use crate::decision::{Heard, Hears, Scribe};
use crate::engine::Pulse;
use crate::figures::Figures;
use crate::files::Files;
use crate::replay::Unknowns;
use crate::spec::{Emission, Partners};
use crate::{journal, state};

/// What a guest may hand over in one call, in bytes; larger arguments and answers fail it before the
/// host makes room for them. The largest that an honest plugin has is a journal line of 1 MiB.
const HANDED_OVER: usize = 2 * 1024 * 1024;

/// Handles that one instance may have at a time, its own resources included.
const HANDLES: usize = 4096;

/// Namespaces in a subscription: each is compared with each payload of each stanza (WIT,
/// `subscription.payloads`).
const PAYLOADS: usize = 256;

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
    pub(crate) figures: Arc<Figures>,
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
    /// What it may not know: nothing, unless it judges what was recorded.
    pub(crate) unknowns: Unknowns,
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
    Observing(Heard),
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
    words: Arc<LastWords>,
    table: ResourceTable,
    scope: Scope,
    rehearsal: Rehearsal,
    /// Its filter's verdicts are remembered, so it may not read `state`.
    memo: bool,
    /// What it hears as an observer.
    hears: Hears,
    /// Writes records of whole decisions.
    scribe: Scribe,
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

/// A store with the plugin's limits, what measures the time in it, and what hears its end.
fn store(
    prepared: &Prepared,
    context: &Arc<Context>,
    rehearsal: Rehearsal,
) -> (Store<Guest>, Arc<Meter>, Arc<LastWords>) {
    let words = Arc::<LastWords>::default();
    let guest = Guest {
        limits: limits::Limits::new(context.memory, Arc::clone(&context.figures)),
        wasi: wasi::context(&context.log, &words),
        words: Arc::clone(&words),
        table: wasi::table(),
        scope: Scope::Starting,
        rehearsal,
        memo: false,
        hears: Hears::Decisions,
        scribe: Scribe::default(),
        context: Arc::clone(context),
    };
    let mut store = Store::new(prepared.instance.engine(), guest);
    store.limiter(|guest| &mut guest.limits);
    store.set_hostcall_fuel(HANDED_OVER);
    store.set_max_component_handles(HANDLES);
    let meter = Meter::new(Arc::clone(&context.pulse));
    let ticking = Arc::clone(&meter);
    store.epoch_deadline_callback(move |_| {
        ticking.tick()?;
        // Not wasmtime's own yield, which is run again at once: with a guest on every runtime
        // thread no socket would be looked at for many ticks. Tokio's comes after every task
        // that is ready and after a look at the sockets.
        let yielded = Box::pin(tokio::task::yield_now());
        Ok(UpdateDeadline::YieldCustom(1, yielded))
    });
    store.set_epoch_deadline(1);
    (store, meter, words)
}

/// A running instance.
pub(crate) struct Instance {
    store: Store<Guest>,
    meter: Arc<Meter>,
    words: Arc<LastWords>,
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
        let (store, meter, words) = store(prepared, context, rehearsal);
        let budget = context.budget.times(INIT_FACTOR);
        let call = Self::load(
            prepared,
            store,
            Arc::clone(&meter),
            Arc::clone(&words),
            &context.config,
        );
        let (mut instance, answer) = run(&meter, &words, budget, pin!(call)).await?;
        let subscription = answer.map_err(|text| Failure::Init(cut(&text, 4096).to_owned()))?;
        if subscription.payloads.len() > PAYLOADS {
            let text = format!("it subscribes to more than {PAYLOADS} namespaces of payloads");
            return Err(Failure::Init(text));
        }
        let guest = instance.store.data_mut();
        guest.scope = Scope::Open;
        guest.memo = subscription.memo_ms.is_some();
        Ok((instance, subscription))
    }

    async fn load(
        prepared: &Prepared,
        mut store: Store<Guest>,
        meter: Arc<Meter>,
        words: Arc<LastWords>,
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
                words,
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
        let call = self.lifecycle.call_started(&mut self.store);
        run(&self.meter, &self.words, budget, pin!(call)).await
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
        run(&self.meter, &self.words, budget, pin!(call)).await
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
            .map_err(|error| Failure::Host(error.to_string()))?;
        let lent = Resource::new_borrow(handle.rep());
        let call = gatekeeper.call_admit(&mut self.store, lent);
        let answer = run(&self.meter, &self.words, budget, pin!(call)).await?;
        self.store
            .data_mut()
            .table
            .delete(handle)
            .map_err(|error| Failure::Host(error.to_string()))?;
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
        let verdict = {
            let lent = Resource::new_borrow(0);
            let call = pin!(filter.call_decide(&mut self.store, header.lend(), lent));
            pin!(run(&self.meter, &self.words, budget, call)).await?
        };
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

    /// What it hears as an observer.
    pub(crate) fn hears(&self) -> Hears {
        self.store.data().hears
    }

    /// What was decided. The inner error is the plugin's own word and leaves the instance whole.
    pub(crate) async fn observe(&mut self, batch: &Heard) -> Result<Result<(), String>, Failure> {
        let budget = self.ready(Scope::Observing(batch.clone()));
        let Some(observer) = &self.observer else {
            return Ok(Ok(()));
        };
        // One call stands for many decisions: each has the budget of one.
        let budget = budget.times(u32::try_from(batch.len()).unwrap_or(u32::MAX));
        let answer = {
            let call = observer.call_observe(&mut self.store, Resource::new_borrow(0));
            run(&self.meter, &self.words, budget, pin!(call)).await
        };
        self.store.data_mut().scope = Scope::Open;
        Ok(answer?.map_err(|text| cut(&text, 4096).to_owned()))
    }

    /// Arms the budget and says what the call may touch.
    fn ready(&mut self, scope: Scope) -> Budget {
        self.store.set_epoch_deadline(1);
        let guest = self.store.data_mut();
        guest.scope = scope;
        guest.context.budget
    }
}

/// Runs one call; what the guest printed about its end belongs to the failure.
async fn run<T>(
    meter: &Meter,
    words: &LastWords,
    budget: Budget,
    call: Pin<&mut impl Future<Output = wasmtime::Result<T>>>,
) -> Result<T, Failure> {
    let outcome = pin!(meter.run(budget, call)).await?;
    outcome.map_err(|error| words.failure(error))
}
