//! What the gateway tells of itself in numbers.

mod held;
mod labels;
mod metrics;
mod plugins;
mod readings;
mod reloads;

pub use held::{Receipt, StreamGauge};
pub use labels::{Delivery, GatewayStanza, Outcome};
pub use metrics::Metrics;
pub use plugins::{PluginReading, PluginUse};
pub use readings::Readings;
