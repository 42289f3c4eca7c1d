//! A filter with nothing but what the contract requires: it says nothing of itself, has no configuration,
//! and is written against the WIT without the SDK. It drops what has an element of its name.

// Its exports have names that only a component can have: a linker of native libraries refuses them.
#![cfg(target_family = "wasm")]

wit_bindgen::generate!({
    path: "../../../../../wit",
    world: "whole-filter",
    generate_all,
});

use exports::portcullis::policy::{filter, lifecycle};
use portcullis::policy::types::{Directions, Header, Kinds, Stanza, Subscription, Verdict};

struct Bare;

impl lifecycle::Guest for Bare {
    fn init(_: String) -> Result<Subscription, String> {
        Ok(Subscription {
            kinds: Kinds::MESSAGE | Kinds::PRESENCE | Kinds::IQ,
            directions: Directions::INBOUND | Directions::OUTBOUND,
            payloads: Vec::new(),
            memo_ms: None,
        })
    }

    fn started() {}
}

impl filter::Guest for Bare {
    fn decide(_: Header, stanza: &Stanza) -> Verdict {
        match stanza.contains("bare", "urn:bare") {
            true => Verdict::Drop("as asked".to_owned()),
            false => Verdict::Pass,
        }
    }
}

export!(Bare);
