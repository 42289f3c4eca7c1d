//! What a Portcullis policy plugin is written with.
//!
//! A plugin is a crate with `crate-type = ["cdylib", "rlib"]` that implements [`Plugin`] and at least
//! one capability, and names them in one macro. This is a whole one:
//!
//! ```
//! use portcullis_plugin::prelude::*;
//!
//! #[derive(Deserialize, JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! struct Config {
//!     /// The longest message body, in characters.
//!     limit: usize,
//! }
//!
//! struct ShortTalk(Config);
//!
//! impl Plugin for ShortTalk {
//!     type Config = Config;
//!
//!     fn new(config: Config) -> Result<Self, String> {
//!         Ok(Self(config))
//!     }
//!
//!     fn subscription(&self) -> Subscription {
//!         Subscription::everything().kinds([Kind::Message])
//!     }
//! }
//!
//! impl Filter for ShortTalk {
//!     fn decide(&mut self, header: &Header, stanza: &mut Stanza) -> Verdict {
//!         match stanza.body() {
//!             Some(body) if body.chars().count() > self.0.limit => {
//!                 Verdict::reject(Condition::PolicyViolation)
//!                     .text(format!("{} likes it short", header.to_domain()))
//!             }
//!             _ => Verdict::pass(),
//!         }
//!     }
//! }
//!
//! export!(ShortTalk: Filter);
//!
//! // The same code runs natively, against a mock host:
//! # #[cfg(not(target_family = "wasm"))]
//! # fn main() -> Result<(), String> {
//! let mut host = portcullis_plugin::mock::Host::new().own("org.test");
//! let mut plugin = host.load::<ShortTalk>(serde_json::json!({ "limit": 3 }))?;
//! let (verdict, _) = host.decide(
//!     &mut plugin,
//!     Direction::Inbound,
//!     "<message from='a@alpha.test' to='b@org.test'><body>Hello</body></message>",
//! );
//! assert!(verdict.is_reject());
//! # Ok(())
//! # }
//! # #[cfg(target_family = "wasm")]
//! # fn main() {}
//! ```
//!
//! `portcullis plugin build CRATE_DIR` makes the component that the gateway loads.
//!
//! What flows in: the configuration once, then streams, stanzas or decisions, already parsed, checked
//! and authenticated by the gateway. What flows out: verdicts, and edits through [`Stanza`]. A panic
//! ends the instance, not the gateway: its place in the source goes to the plugin's log, and the
//! plugin's `on_failure` decides about the stanza. Not guaranteed: that a plugin is one instance.
//! There are several, and what they must remember together belongs to [`state`], not to fields.

mod address;
mod component;
mod config;
mod decision;
mod element;
#[cfg(test)]
mod examples;
mod glob;
mod header;
mod host;
mod limit;
mod mark;
mod names;
mod network;
mod pattern;
mod plugin;
mod quantity;
mod schema;
mod services;
mod stanza;
mod stream;
mod verdict;

#[doc(hidden)]
pub mod bindings;
#[cfg(not(target_family = "wasm"))]
pub mod mock;
#[doc = include_str!("../docs/mod-firewall.md")]
pub mod mod_firewall {}

pub use address::{Address, AddressError, AddressPattern};
pub use config::NoConfig;
pub use decision::Decision;
pub use element::Element;
pub use glob::Glob;
pub use header::Header;
pub use limit::RateLimit;
pub use mark::Mark;
pub use network::{Network, NetworkError};
pub use pattern::{DomainPattern, PatternError};
pub use plugin::{Filter, Gatekeeper, Observer, Plugin, Subscription};
pub use quantity::{QuantityError, Rate, Size, Span};
pub use services::{
    addresses, clock, domains, emit, files, hearing, journal, log, partners, state,
};
pub use stanza::{Stanza, Text};
pub use stream::{Knock, Peer};
pub use verdict::{Admission, Verdict};

/// ```
/// # use portcullis_plugin::prelude::*;
/// assert!(Verdict::reject(Condition::PolicyViolation).is_reject());
/// ```
#[doc(inline)]
pub use bindings::base::portcullis::policy::types::Condition;
/// ```
/// # use portcullis_plugin::prelude::*;
/// let arriving = Subscription::everything().directions([Direction::Inbound]);
/// ```
#[doc(inline)]
pub use bindings::base::portcullis::policy::types::Direction;
/// ```
/// # use portcullis_plugin::prelude::*;
/// let error = EditError::Malformed("no end tag".into());
/// assert_eq!(Verdict::drop(error.message()).why(), "malformed: no end tag");
/// ```
#[doc(inline)]
pub use bindings::base::portcullis::policy::types::EditError;
/// ```
/// # use portcullis_plugin::prelude::*;
/// let talk = Subscription::everything().kinds([Kind::Message]);
/// ```
#[doc(inline)]
pub use bindings::base::portcullis::policy::types::Kind;
/// ```
/// # use portcullis_plugin::prelude::*;
/// fn is_trusted(domain: &str) -> bool {
///     partners::lookup(domain) == Some(PartnerType::Federated)
/// }
/// ```
#[doc(inline)]
pub use bindings::base::portcullis::policy::types::PartnerType;
/// ```
/// # use portcullis_plugin::prelude::*;
/// fn asks_for_presence(header: &Header) -> bool {
///     header.subtype() == Subtype::Subscribe
/// }
/// ```
#[doc(inline)]
pub use bindings::base::portcullis::policy::types::Subtype;

#[doc(hidden)]
pub use component::glue as __glue;

/// Everything that a plugin usually needs.
///
/// ```
/// use portcullis_plugin::prelude::*;
///
/// fn answer(header: &Header) -> Verdict {
///     log::debug!("{} from {}", header.kind(), header.sender());
///     Verdict::pass()
/// }
/// ```
pub mod prelude {
    pub use crate::{
        Address, AddressError, AddressPattern, Admission, Condition, Decision, Direction,
        DomainPattern, EditError, Element, Filter, Gatekeeper, Glob, Header, Kind, Knock, Mark,
        Network, NoConfig, Observer, PartnerType, Peer, Plugin, Rate, RateLimit, Size, Span,
        Stanza, Subscription, Subtype, Text, Verdict, addresses, clock, domains, emit, export,
        files, hearing, journal, log, partners, state,
    };
    pub use schemars::JsonSchema;
    pub use serde::Deserialize;
    // What `#[derive(JsonSchema)]` writes begins with `schemars::`.
    #[doc(hidden)]
    pub use schemars;
}
