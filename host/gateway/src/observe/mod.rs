//! What the gateway tells of itself in numbers.

mod labels;
mod metrics;

pub use labels::{Delivery, GatewayStanza, Outcome};
pub use metrics::{Metrics, Readings, Receipt, StreamGauge};
