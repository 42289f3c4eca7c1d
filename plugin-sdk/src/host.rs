//! Who answers a plugin's calls: the gateway in a component, the mock host everywhere else. Both
//! sides have the same modules, types and functions, so nothing else in this crate asks where it runs.

#[cfg(target_family = "wasm")]
pub(crate) use crate::bindings::base::portcullis::policy::{
    addresses, domains, emit, files, hearing, journal, log, partners, state,
    types::{Decisions, Peer, Stanza},
};

#[cfg(not(target_family = "wasm"))]
pub(crate) use crate::mock::side::{
    Decisions, Peer, Stanza, addresses, clock, domains, emit, files, hearing, journal, log,
    partners, state,
};

/// The component's own clock: WASI's.
#[cfg(target_family = "wasm")]
pub(crate) mod clock {
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    /// Since 1970; a clock that stands before it stands at it.
    pub(crate) fn now() -> Duration {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
    }
}
