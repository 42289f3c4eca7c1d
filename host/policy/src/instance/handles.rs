//! What the resources of the WIT stand for on this side.

#![allow(
    unreachable_pub,
    reason = "the generated bindings re-export them within this crate"
)]

use std::sync::Arc;

use portcullis_xmpp::stream::Peer;

/// The stanza that the running call was lent; there is only one, so the handle says nothing.
pub struct StanzaHandle;

/// A stream's other end. A guest may keep such a handle after the call.
pub struct PeerHandle(pub(super) Arc<Peer>);

/// The batch that the running call was lent; there is only one.
pub struct DecisionsHandle;
