//! The policy engine: WASM components decide about streams and stanzas; the gateway acts.
//!
//! In: component files and their settings ([`GenerationSpec`]), streams to rule on, [`Authenticated`]
//! stanzas. Out: a [`Ruling`] for each stream, a [`Judged`] for each stanza, and every [`Decision`]
//! to the plugins that observe.
//!
//! The way of a stanza: [`Chain::enter`] pins the current [`Generation`]; [`Generation::judge`] asks
//! its filters in order; the gateway acts and tells [`Generation::observe`] what stood.
//!
//! A plugin can fail in every way that code can fail: it traps, loops, eats memory, lies about its
//! types. None of it reaches another plugin or the gateway: the one instance is thrown away and the
//! plugin's `on_failure` answers in its place. What cannot be promised: that a plugin's verdict is
//! wise, and that memory inside an instance survives (what must be remembered belongs in [`state`]).
//!
//! [`Authenticated`]: portcullis_xmpp::stream::Authenticated

mod beside;
mod bindings;
pub mod build;
pub mod capture;
mod chain;
mod clock;
mod component;
mod decision;
mod engine;
mod figures;
pub mod files;
mod generation;
mod instance;
pub mod journal;
mod judged;
mod plugin;
mod reference;
pub mod replay;
pub mod schema;
pub mod shadow;
mod spec;
pub mod state;
mod status;
pub mod watch;

pub use chain::Chain;
pub use clock::Clock;
pub use component::{Description, Inspection, KeyError, NoComponent};
pub use decision::{Decision, Event, Refusal, Told};
pub use engine::{Engine, EngineError, EngineSettings};
pub use figures::Tally;
pub use generation::{BuildError, BuildStep, BuildTimes, Generation, Rehearsed};
pub use judged::{Judged, Ruling, Verdict};
pub use plugin::Opinion;
pub use reference::{NoReference, Reference};
pub use spec::{
    Emission, GenerationSpec, Mode, OnFailure, PartnerRecord, PartnerType, Partners, PluginLimits,
    PluginSpec, Services,
};
pub use status::{
    Failures, Latency, MadeOf, PluginCounts, PluginStatus, Quarantine, Resting, Wanted,
};
