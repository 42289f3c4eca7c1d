//! The rules of federation, each tried on a running gateway.
//!
//! [`registry`] is the list: every rule with its source, the tests that hold it, or the reason why the
//! gateway departs from it. The rest is what those tests need: [`Gateway`] is the program itself in a
//! process of its own, [`Stage`] what stands around it, [`Peer`] one end of a stream that says exactly
//! the bytes that it is told to say, and asserts what it hears.
//!
//! Nothing here uses Portcullis's own protocol code: what the gateway writes is read by rxml, a strict
//! parser by others, so a mistake on one side is not hidden by the same mistake on the other.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failure here is the failure of a test"
)]

mod dns;
mod gateway;
mod peer;
pub mod registry;
mod stage;

pub use dns::{Answer, Dns};
pub use gateway::{Gateway, Usage, program};
pub use peer::{End, Listener, Node, Part, Peer, Show};
pub use stage::{At, Bare, Partner, Plan, Stage, bare};

/// How long a test waits for something that should happen soon. Machines that build at the same time
/// are slow; a test that fails takes this long once.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

/// Namespaces, spelled out here so that a wrong constant of the gateway shows.
pub mod ns {
    /// RFC 6120: stream elements.
    pub const STREAM: &str = "http://etherx.jabber.org/streams";
    /// RFC 6120: content between servers.
    pub const SERVER: &str = "jabber:server";
    /// RFC 6120: content from clients.
    pub const CLIENT: &str = "jabber:client";
    /// RFC 6120: stream error conditions.
    pub const STREAM_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-streams";
    /// RFC 6120: stanza error conditions.
    pub const STANZA_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
    /// RFC 6120: STARTTLS.
    pub const TLS: &str = "urn:ietf:params:xml:ns:xmpp-tls";
    /// RFC 6120: SASL.
    pub const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
    /// XEP-0220.
    pub const DIALBACK: &str = "jabber:server:dialback";
    /// XEP-0220: the feature.
    pub const DIALBACK_FEATURE: &str = "urn:xmpp:features:dialback";
    /// XEP-0288.
    pub const BIDI: &str = "urn:xmpp:bidi";
    /// XEP-0288: the feature.
    pub const BIDI_FEATURE: &str = "urn:xmpp:features:bidi";
    /// XEP-0198.
    pub const SM: &str = "urn:xmpp:sm:3";
    /// XEP-0478.
    pub const LIMITS: &str = "urn:xmpp:stream-limits:0";
    /// XEP-0205: application conditions.
    pub const ERRORS: &str = "urn:xmpp:errors";
}
