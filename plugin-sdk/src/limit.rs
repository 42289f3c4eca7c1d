//! Rate limits whose counts are exact: over all instances, over reloads and restarts.

use crate::Rate;
use crate::state::{self, StateError};

/// So many in so long, for everybody that has a name. The host counts, so no instance and no reload
/// forgets or counts twice.
///
/// The time runs from the first one that is counted; when it is over, counting begins anew. So twice the
/// count may pass within a moment, the end of one window and the beginning of the next, but never more,
/// and never more than the count in a window.
///
/// ```
/// # #[cfg(not(target_family = "wasm"))] {
/// use portcullis_plugin::prelude::*;
/// let mut host = portcullis_plugin::mock::Host::new();
/// let limit = RateLimit::new("messages", Rate::parse("2/1m")?);
/// let mut take = || host.within(|| limit.take("eve@alpha.test"));
/// assert_eq!((take()?, take()?, take()?), (true, true, false));
/// host.advance(std::time::Duration::from_secs(60));
/// assert!(host.within(|| limit.take("eve@alpha.test"))?);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    name: &'static str,
    rate: Rate,
}

impl RateLimit {
    /// A limit; its counts belong to its name.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// let limit = RateLimit::new("messages", Rate::parse("30/1m")?);
    /// # assert_eq!(limit.rate().count(), 30);
    /// # Ok::<(), portcullis_plugin::QuantityError>(())
    /// ```
    #[must_use]
    pub const fn new(name: &'static str, rate: Rate) -> Self {
        Self { name, rate }
    }

    /// Counts one and tells whether it is within the rate.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let limit = RateLimit::new("messages", Rate::parse("1/1m")?);
    /// # within(|| {
    /// assert_eq!(limit.take("eve@alpha.test"), Ok(true));
    /// assert_eq!(limit.take("eve@alpha.test"), Ok(false));
    /// assert_eq!(limit.take("bob@alpha.test"), Ok(true));
    /// # });
    /// # Ok::<(), portcullis_plugin::QuantityError>(())
    /// ```
    ///
    /// # Errors
    /// [`StateError`]; nothing was counted then.
    pub fn take(&self, whom: &str) -> Result<bool, StateError> {
        let count = state::increment(&self.key(whom), 1, Some(self.rate.per()))?;
        Ok(count <= i64::from(self.rate.count()))
    }

    /// How many were counted in the window that runs, those beyond the rate included.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let limit = RateLimit::new("messages", Rate::parse("1/1m")?);
    /// # within(|| {
    /// for _ in 0..3 {
    ///     limit.take("eve@alpha.test")?;
    /// }
    /// assert_eq!(limit.count("eve@alpha.test")?, 3);
    /// # Ok::<(), state::StateError>(()) }).unwrap();
    /// # Ok::<(), portcullis_plugin::QuantityError>(())
    /// ```
    ///
    /// # Errors
    /// [`StateError`].
    pub fn count(&self, whom: &str) -> Result<u64, StateError> {
        Ok(u64::try_from(state::counter(&self.key(whom))?).unwrap_or(0))
    }

    /// Forgets what was counted.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let limit = RateLimit::new("messages", Rate::parse("1/1m")?);
    /// # within(|| {
    /// limit.take("eve@alpha.test")?;
    /// limit.reset("eve@alpha.test")?;
    /// assert!(limit.take("eve@alpha.test")?);
    /// # Ok::<(), state::StateError>(()) }).unwrap();
    /// # Ok::<(), portcullis_plugin::QuantityError>(())
    /// ```
    ///
    /// # Errors
    /// [`StateError`].
    pub fn reset(&self, whom: &str) -> Result<(), StateError> {
        state::delete(&self.key(whom)).map(drop)
    }

    /// The rate.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// let limit = RateLimit::new("messages", Rate::parse("30/1m")?);
    /// assert_eq!(limit.rate().to_string(), "30/1m");
    /// # Ok::<(), portcullis_plugin::QuantityError>(())
    /// ```
    #[must_use]
    pub fn rate(&self) -> Rate {
        self.rate
    }

    fn key(&self, whom: &str) -> String {
        state::key("rate", &[self.name, whom])
    }
}
