//! Marks: what a plugin notes about somebody, for a time.

use std::time::Duration;

use crate::state::{self, StateError};

/// A note about anything that has a name (an address, a domain): set or not, with an end. It is kept by
/// the host: all instances see it, and it outlives reloads and restarts.
///
/// ```
/// # #[cfg(not(target_family = "wasm"))] {
/// use portcullis_plugin::prelude::*;
/// use std::time::Duration;
/// const SPAMMER: Mark = Mark::new("spammer");
///
/// let mut host = portcullis_plugin::mock::Host::new();
/// let hour = Duration::from_secs(3600);
/// assert!(!host.within(|| SPAMMER.is_set("eve@alpha.test"))?);
/// host.within(|| SPAMMER.set("eve@alpha.test", hour))?;
/// assert!(host.within(|| SPAMMER.is_set("eve@alpha.test"))?);
/// host.advance(hour);
/// assert!(!host.within(|| SPAMMER.is_set("eve@alpha.test"))?);
/// # }
/// # Ok::<(), portcullis_plugin::state::StateError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    name: &'static str,
}

impl Mark {
    /// A mark of this name; plugins do not share marks.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// const SPAMMER: Mark = Mark::new("spammer");
    /// ```
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name }
    }

    /// Marks somebody for so long from now on.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// # const SPAMMER: Mark = Mark::new("spammer");
    /// # within(|| {
    /// SPAMMER.set("eve@alpha.test", std::time::Duration::from_secs(3600))?;
    /// assert!(SPAMMER.is_set("eve@alpha.test")?);
    /// # Ok::<(), state::StateError>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`StateError`].
    pub fn set(&self, whom: &str, time: Duration) -> Result<(), StateError> {
        state::set(&self.key(whom), b"", Some(time))
    }

    /// Marks somebody for good.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// # const SPAMMER: Mark = Mark::new("spammer");
    /// # let mut host = host();
    /// assert_eq!(host.within(|| SPAMMER.set_for_good("eve@alpha.test")), Ok(()));
    /// host.advance(std::time::Duration::from_secs(365 * 24 * 3600));
    /// assert_eq!(host.within(|| SPAMMER.is_set("eve@alpha.test")), Ok(true));
    /// ```
    ///
    /// # Errors
    /// [`StateError`].
    pub fn set_for_good(&self, whom: &str) -> Result<(), StateError> {
        state::set(&self.key(whom), b"", None)
    }

    /// Whether somebody is marked.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// # const SPAMMER: Mark = Mark::new("spammer");
    /// # within(|| {
    /// assert_eq!(SPAMMER.is_set("bob@alpha.test"), Ok(false));
    /// # });
    /// ```
    ///
    /// # Errors
    /// [`StateError`].
    pub fn is_set(&self, whom: &str) -> Result<bool, StateError> {
        state::get(&self.key(whom)).map(|value| value.is_some())
    }

    /// Takes the mark away; true if there was one.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// # const SPAMMER: Mark = Mark::new("spammer");
    /// # within(|| {
    /// SPAMMER.set_for_good("eve@alpha.test")?;
    /// assert!(SPAMMER.clear("eve@alpha.test")?);
    /// assert!(!SPAMMER.is_set("eve@alpha.test")?);
    /// # Ok::<(), state::StateError>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`StateError`].
    pub fn clear(&self, whom: &str) -> Result<bool, StateError> {
        state::delete(&self.key(whom))
    }

    fn key(&self, whom: &str) -> String {
        state::key("mark", &[self.name, whom])
    }
}
