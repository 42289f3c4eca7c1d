//! What an observer asks for while it is made.
//!
//! ```
//! use portcullis_plugin::prelude::*;
//!
//! struct Ledger;
//!
//! impl Plugin for Ledger {
//!     type Config = NoConfig;
//!
//!     fn new(_: NoConfig) -> Result<Self, String> {
//!         hearing::records_only();
//!         Ok(Self)
//!     }
//! }
//!
//! impl Observer for Ledger {
//!     fn observe(&mut self, batch: &[Decision]) -> Result<(), String> {
//!         journal::append_decisions(batch).map_err(|error| error.to_string())
//!     }
//! }
//! # #[cfg(not(target_family = "wasm"))] {
//! # let mut host = portcullis_plugin::mock::Host::new();
//! # let mut plugin = host.load::<Ledger>(serde_json::json!({}))?;
//! # let decision = portcullis_plugin::mock::Decision::new(serde_json::json!({ "verdict": "pass" }));
//! # host.observe(&mut plugin, &[decision])?;
//! # assert_eq!(host.journal(), [r#"{"verdict":"pass"}"#]);
//! # }
//! # Ok::<(), String>(())
//! ```

use crate::host;

/// Says that this observer never looks at a stanza: [`Decision::body`](crate::Decision::body) and
/// [`Decision::xml`](crate::Decision::xml) of what it hears are none, and all else is as before. The gateway
/// then keeps no stanza for it, which costs less, and much less memory where stanzas are large.
///
/// To be called in [`Plugin::new`](crate::Plugin::new); anywhere else the gateway fails the plugin.
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
/// struct Counter;
///
/// impl Plugin for Counter {
///     type Config = NoConfig;
///
///     fn new(_: NoConfig) -> Result<Self, String> {
///         hearing::records_only();
///         Ok(Self)
///     }
/// }
/// # impl Observer for Counter {
/// #     fn observe(&mut self, batch: &[Decision]) -> Result<(), String> {
/// #         assert_eq!((batch[0].partner().as_str(), batch[0].body()), ("alpha.test", None));
/// #         Ok(())
/// #     }
/// # }
/// # let mut host = host();
/// # let mut plugin = host.load::<Counter>(serde_json::json!({}))?;
/// # let decision = mock::Decision::new(serde_json::json!({ "partner": "alpha.test" })).body("Hi");
/// # host.observe(&mut plugin, &[decision])?;
/// # Ok::<(), String>(())
/// ```
pub fn records_only() {
    host::hearing::records_only();
}
