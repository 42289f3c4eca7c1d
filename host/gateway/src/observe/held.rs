//! What somebody holds while something is the case.
//!
//! In: what begins: a stream, a connection. Out: a gauge that falls again when it is let go. Nothing
//! here fails.

use prometheus_client::metrics::gauge::Gauge;

/// One more of something, as long as it lives.
#[derive(Debug)]
#[must_use]
pub struct StreamGauge(Gauge);

impl StreamGauge {
    pub(super) fn up(gauge: Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for StreamGauge {
    fn drop(&mut self) {
        self.0.dec();
    }
}
