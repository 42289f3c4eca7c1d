//! The host's side of `wit/policy.wit`, generated.
//!
//! Exports take borrowed strings (`Header<'_>`), so that one packed header serves all plugins without
//! a copy. Imports are synchronous: none of them waits for anything.

#![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated")]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "host",
    imports: { default: trappable },
    exports: { default: async },
    ownership: Borrowing { duplicate_if_necessary: true },
    with: {
        "portcullis:policy/types.stanza": crate::instance::handles::StanzaHandle,
        "portcullis:policy/types.peer": crate::instance::handles::PeerHandle,
        "portcullis:policy/types.decisions": crate::instance::handles::DecisionsHandle,
    },
    additional_derives: [PartialEq],
});
