//! The life of the gateway: start, reload, drain.
//!
//! In: a [`Config`]. Out: a [`Running`] gateway with its addresses, its status and its end. What can
//! fail at the start is told by [`StartError`] before a single connection is accepted; afterwards
//! nothing stops the gateway but a request to end.

mod content;
mod directory;
mod drain;
mod gateway;
mod history;
mod lapse;
mod opening;
mod phases;
mod reload;
mod running;
mod start;
mod status;
mod totals;
mod watch;

pub(crate) use directory::Directory;
pub use drain::Drained;
pub(crate) use gateway::Gateway;
pub(crate) use phases::Turn;
pub(crate) use reload::Action;
pub use reload::Trigger;
pub use running::{Addresses, Running};
pub(crate) use start::generation_spec;
pub use start::{StartError, start};

#[cfg(doc)]
use crate::config::Config;
