//! What the gateway tells of itself in numbers.

mod labels;
mod metrics;
mod plugins;

pub use labels::{Delivery, GatewayStanza, Outcome};
pub use metrics::{Metrics, Readings, Receipt, StreamGauge};
pub use plugins::{PluginReading, PluginUse};
