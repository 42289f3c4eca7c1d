//! The plugin's log: `log::info!("{} partners", count)`.
//!
//! At most 4 KiB a line and 100 lines a second; what is beyond is counted, not written. A line should
//! hold no message content.
//!
//! ```
//! # #[cfg(not(target_family = "wasm"))] {
//! use portcullis_plugin::prelude::*;
//! # let mut host = portcullis_plugin::mock::Host::new()
//! #     .own("org.test")
//! #     .partner("alpha.test", PartnerType::Federated);
//! # host.within(|| {
//! log::info!("{} partners", 3);
//! log::warn!("one of them is new");
//! # });
//! # }
//! ```

use crate::host;

/// ```
/// # use portcullis_plugin::prelude::*;
/// fn level(known: bool) -> log::Level {
///     if known { log::Level::Debug } else { log::Level::Warn }
/// }
/// ```
#[doc(inline)]
pub use crate::bindings::base::portcullis::policy::log::Level;
#[doc(inline)]
pub use crate::{debug, error, info, trace, warn};

/// Writes one line.
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
/// # let mut host = host();
/// # host.within(|| {
/// log::write(log::Level::Info, "3 partners");
/// # });
/// # assert_eq!(host.log(), [(log::Level::Info, "3 partners".to_owned())]);
/// ```
pub fn write(level: Level, message: &str) {
    host::log::write(level, message);
}

/// Logs what matters only to someone who follows every step.
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
/// let mut host = Host::new();
/// host.within(|| log::trace!("{} looked at", "alpha.test"));
/// assert_eq!(host.log(), [(log::Level::Trace, "alpha.test looked at".to_owned())]);
/// ```
#[macro_export]
macro_rules! trace {
    ($($format:tt)+) => {
        $crate::log::write($crate::log::Level::Trace, &::std::format!($($format)+))
    };
}

/// Logs what helps to find a mistake.
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
/// let mut host = Host::new();
/// host.within(|| log::debug!("{} is not in the list", "alpha.test"));
/// assert_eq!(host.log(), [(log::Level::Debug, "alpha.test is not in the list".to_owned())]);
/// ```
#[macro_export]
macro_rules! debug {
    ($($format:tt)+) => {
        $crate::log::write($crate::log::Level::Debug, &::std::format!($($format)+))
    };
}

/// Logs what an operator likes to know.
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
/// let mut host = Host::new();
/// host.within(|| log::info!("{} partners", 3));
/// assert_eq!(host.log(), [(log::Level::Info, "3 partners".to_owned())]);
/// ```
#[macro_export]
macro_rules! info {
    ($($format:tt)+) => {
        $crate::log::write($crate::log::Level::Info, &::std::format!($($format)+))
    };
}

/// Logs what an operator should look at.
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
/// let mut host = Host::new();
/// host.within(|| log::warn!("{} knocks too often", "alpha.test"));
/// assert_eq!(host.log(), [(log::Level::Warn, "alpha.test knocks too often".to_owned())]);
/// ```
#[macro_export]
macro_rules! warn {
    ($($format:tt)+) => {
        $crate::log::write($crate::log::Level::Warn, &::std::format!($($format)+))
    };
}

/// Logs what an operator must look at.
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
/// let mut host = Host::new();
/// host.within(|| log::error!("the journal is full: {}", "decisions wait"));
/// assert_eq!(host.log(), [(log::Level::Error, "the journal is full: decisions wait".to_owned())]);
/// ```
#[macro_export]
macro_rules! error {
    ($($format:tt)+) => {
        $crate::log::write($crate::log::Level::Error, &::std::format!($($format)+))
    };
}
