//! Who answers a plugin's calls: the gateway.

pub(crate) use crate::bindings::base::portcullis::policy::{
    domains, emit, journal, log, partners, state,
    types::{Decisions, Peer, Stanza},
};
