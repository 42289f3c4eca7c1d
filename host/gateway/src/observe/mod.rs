//! What the gateway tells of itself in numbers.

mod held;
mod labels;
mod metrics;
mod plugins;
mod readings;
mod reloads;
mod stanzas;

pub use held::StreamGauge;
pub use labels::{Delivery, GatewayStanza, Outcome};
pub use metrics::Metrics;
pub use plugins::{PluginReading, PluginUse};
pub use readings::Readings;
pub use stanzas::Receipt;
