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

#[doc(inline)]
pub use crate::bindings::base::portcullis::policy::log::Level;
#[doc(inline)]
pub use crate::{debug, error, info, trace, warn};

/// Writes one line.
pub fn write(level: Level, message: &str) {
    host::log::write(level, message);
}

/// Logs what matters only to someone who follows every step.
#[macro_export]
macro_rules! trace {
    ($($format:tt)+) => {
        $crate::log::write($crate::log::Level::Trace, &::std::format!($($format)+))
    };
}

/// Logs what helps to find a mistake.
#[macro_export]
macro_rules! debug {
    ($($format:tt)+) => {
        $crate::log::write($crate::log::Level::Debug, &::std::format!($($format)+))
    };
}

/// Logs what an operator likes to know.
#[macro_export]
macro_rules! info {
    ($($format:tt)+) => {
        $crate::log::write($crate::log::Level::Info, &::std::format!($($format)+))
    };
}

/// Logs what an operator should look at.
#[macro_export]
macro_rules! warn {
    ($($format:tt)+) => {
        $crate::log::write($crate::log::Level::Warn, &::std::format!($($format)+))
    };
}

/// Logs what an operator must look at.
#[macro_export]
macro_rules! error {
    ($($format:tt)+) => {
        $crate::log::write($crate::log::Level::Error, &::std::format!($($format)+))
    };
}
