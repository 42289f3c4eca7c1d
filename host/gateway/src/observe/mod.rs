//! What the gateway tells of itself in numbers.

mod metrics;

pub use metrics::{Delivery, GatewayStanza, Metrics, Outcome, Readings, Receipt, StreamGauge};
