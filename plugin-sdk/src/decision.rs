//! What an observer hears.

use crate::{Direction, host};

/// A decision that stood, about a stanza or about a stream.
///
/// The keys of [`json`](Self::json), of which those that do not apply are left out, and to which only
/// new ones are ever added: `time` (RFC 3339, microseconds, UTC), `event` (`stanza`, `stream` or
/// `bounce`), `stream`, `partner`, `local`, `direction`, `address`, `tls`, `cipher`, `method`, `kind`,
/// `type`, `from`, `to`, `id`, `bytes`, `verdict` (`pass`, `reject`, `drop`, `bounce`, `allow` or
/// `refuse`), `plugin`, `reason`, `condition`, `generation`, `elapsed_us`, `refusal` (what
/// `portcullis explain` takes), `lang`, `payloads` (namespace and name of each) and `edited` (whether plugins
/// have changed it), which `portcullis replay` needs.
///
/// ```
/// use portcullis_plugin::prelude::*;
/// # struct X;
/// # impl Plugin for X {
/// #     type Config = NoConfig;
/// #     fn new(_: NoConfig) -> Result<Self, String> { Ok(Self) }
/// # }
/// impl Observer for X {
///     fn observe(&mut self, batch: &[Decision]) -> Result<(), String> {
///         for decision in batch {
///             if decision.direction() == Direction::Inbound && decision.partner() == "alpha.test" {
///                 journal::append(&decision.json()).map_err(|error| error.to_string())?;
///             }
///         }
///         Ok(())
///     }
/// }
/// # #[cfg(not(target_family = "wasm"))] {
/// # use portcullis_plugin::mock;
/// # let mut host = mock::Host::new();
/// # let mut plugin = host.load::<X>(serde_json::json!({}))?;
/// let decision = serde_json::json!({ "partner": "alpha.test", "direction": "inbound", "verdict": "pass" });
/// host.observe(&mut plugin, &[mock::Decision::new(decision).body("not in the line")])?;
/// assert_eq!(host.journal().len(), 1);
/// # }
/// # Ok::<(), String>(())
/// ```
pub struct Decision<'a> {
    batch: &'a host::Decisions,
    index: u32,
}

impl<'a> Decision<'a> {
    /// All decisions of a batch, in order.
    pub(crate) fn all(batch: &'a host::Decisions) -> Vec<Self> {
        (0..batch.count())
            .map(|index| Self { batch, index })
            .collect()
    }

    /// The batch that it is of, and where it stands there.
    pub(crate) fn place(&self) -> (&'a host::Decisions, u32) {
        (self.batch, self.index)
    }

    /// One JSON object without line breaks and without message content.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// # decided(|decision| {
    /// // In an observer, for each decision of the batch:
    /// assert!(decision.json().contains(r#""verdict":"pass""#));
    /// # });
    /// ```
    #[must_use]
    pub fn json(&self) -> String {
        self.batch.json(self.index)
    }

    /// The remote domain, normalised.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// # decided(|decision| {
    /// assert_eq!(decision.partner(), "alpha.test");
    /// # });
    /// ```
    #[must_use]
    pub fn partner(&self) -> String {
        self.batch.partner(self.index)
    }

    /// Which way the stanza or stream went.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// # decided(|decision| {
    /// assert_eq!(decision.direction(), Direction::Inbound);
    /// # });
    /// ```
    #[must_use]
    pub fn direction(&self) -> Direction {
        self.batch.direction(self.index)
    }

    /// The text of a message's body, none for anything else: as it was passed on, or as it arrived if
    /// it was not. Always none after [`hearing::records_only`](crate::hearing::records_only).
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// # decided(|decision| {
    /// assert_eq!(decision.body().as_deref(), Some("Hi"));
    /// # });
    /// ```
    #[must_use]
    pub fn body(&self) -> Option<String> {
        self.batch.body(self.index)
    }

    /// The stanza as XML, in the same state; none for a decision about a stream, and always none after
    /// [`hearing::records_only`](crate::hearing::records_only).
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// # decided(|decision| {
    /// assert!(decision.xml().is_some_and(|xml| xml.starts_with("<message ")));
    /// # });
    /// ```
    #[must_use]
    pub fn xml(&self) -> Option<String> {
        self.batch.xml(self.index)
    }
}
