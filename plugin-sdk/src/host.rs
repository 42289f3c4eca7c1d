//! Who answers a plugin's calls: the gateway in a component, the mock host everywhere else. Both
//! sides have the same modules, types and functions, so nothing else in this crate asks where it runs.

#[cfg(target_family = "wasm")]
pub(crate) use crate::bindings::base::portcullis::policy::{
    addresses, domains, emit, files, journal, log, partners, state,
    types::{Decisions, Peer, Stanza},
};

#[cfg(not(target_family = "wasm"))]
pub(crate) use crate::mock::side::{
    Decisions, Peer, Stanza, addresses, domains, emit, files, journal, log, partners, state,
};
