//! The orderly end.
//!
//! In: a running gateway. Out: [`Drained`], after a bounded time. Nothing is accepted any more; each
//! stream that brings stanzas says `system-shutdown` in its turn, and what it brought is judged; then
//! the queues are emptied, by delivery or by bounces, and the streams that take stanzas end; then
//! observers, state and journal are brought to rest.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use portcullis_policy::journal::Append;
use tokio::time::{Instant, timeout, timeout_at};

use super::gateway::Gateway;

/// For everything until the queues are empty. A service manager that kills after 90 s (systemd's
/// default) finds the process gone long before.
const DRAIN: Duration = Duration::from_secs(25);
/// What of it the streams that bring stanzas may use.
const GOODBYES: Duration = Duration::from_secs(10);
/// For each stream that says goodbye, the time over which all goodbyes are spread grows by this ...
const SPREAD_EACH: Duration = Duration::from_millis(10);
/// ... up to this.
const SPREAD: Duration = Duration::from_secs(3);
/// For what is left after the streams: observers, disk, admin connections.
const REST: Duration = Duration::from_secs(10);

/// How the end went.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Drained {
    /// Stanzas that were still waiting when time was up. Each is counted as bounced or dropped.
    pub unsettled: usize,
    /// Streams that had not said goodbye when time was up.
    pub streams: usize,
    /// Whether observers, state and journal have taken everything.
    pub settled: bool,
    /// How long it took.
    pub took: Duration,
}

impl Drained {
    /// Whether nothing was left over.
    pub fn is_clean(&self) -> bool {
        self.unsettled == 0 && self.streams == 0 && self.settled
    }
}

impl fmt::Display for Drained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_clean() {
            return write!(f, "drained in {:.1} s", self.took.as_secs_f32());
        }
        write!(
            f,
            "ended after {:.1} s with {} stanzas undelivered and {} streams open{}",
            self.took.as_secs_f32(),
            self.unsettled,
            self.streams,
            if self.settled {
                ""
            } else {
                "; observers, state or journal have not taken everything"
            }
        )
    }
}

pub(super) async fn drain(gateway: &Arc<Gateway>) -> Drained {
    let began = Instant::now();
    let open = u32::try_from(gateway.streams.count()).unwrap_or(u32::MAX);
    tracing::info!(streams = open, "draining");
    gateway.phases.listening.cancel();
    gateway
        .phases
        .drain(SPREAD_EACH.saturating_mul(open).min(SPREAD));
    gateway.sessions.close();
    // Those that are late end at `ended`.
    let _ = timeout_at(began + GOODBYES, gateway.sessions.wait()).await;

    gateway.phases.flushing.cancel();
    gateway.pairs.close();
    let _ = timeout_at(began + DRAIN, gateway.pairs.wait()).await;
    let (_, unsettled, _) = gateway.router.totals();
    let streams = gateway.streams.count();

    gateway.phases.ended.cancel();
    gateway.tasks.close();
    let _ = timeout(REST, async {
        gateway.sessions.wait().await;
        gateway.pairs.wait().await;
        gateway.tasks.wait().await;
    })
    .await;
    let observed = timeout(REST, gateway.chain.settled()).await.is_ok();
    let services = gateway.services.clone();
    let written = tokio::task::spawn_blocking(move || {
        let state = services
            .state
            .flush()
            .map_err(|error| tracing::error!(%error, "plugins' state"));
        let journal = services
            .journal
            .flush()
            .map_err(|error| tracing::error!(%error, "audit journal"));
        state.is_ok() && journal.is_ok()
    });
    let settled = observed
        && timeout(REST, written)
            .await
            .is_ok_and(|written| written.unwrap_or(false));
    Drained {
        unsettled,
        streams,
        settled,
        took: began.elapsed(),
    }
}
