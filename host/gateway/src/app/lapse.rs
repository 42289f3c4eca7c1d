//! Partner records that end by themselves.
//!
//! In: the clock, and `valid_until` of the records in force. Out: when one has passed, every session
//! asks again whether its stream may go on ([`Gateway::lapses`]); that the record counts as absent is
//! the directory's doing. No reload is needed, and none that fails can hold this up. If the system's
//! clock is set, records end within [`LOOK`] of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::sleep;

use super::gateway::Gateway;

/// How often the clock is looked at, whatever it said before.
const LOOK: Duration = Duration::from_secs(30);

/// Runs until the gateway stops listening.
pub(super) async fn run(gateway: Arc<Gateway>) {
    let mut generations = gateway.generations.subscribe();
    let mut looked = OffsetDateTime::now_utc();
    loop {
        let now = OffsetDateTime::now_utc();
        let directory = gateway.directory.load_full();
        let ended: Vec<_> = directory.ended(looked, now).collect();
        if !ended.is_empty() {
            for partner in ended {
                tracing::warn!(partner = %partner.domain, "the partner record has ended (valid_until)");
            }
            gateway.lapses.fetch_add(1, Ordering::Release);
            gateway.doubt();
            gateway.generations.send_modify(|_| ());
        }
        looked = now;
        let left = directory.next_end(now).map_or(LOOK, |end| {
            // Never negative: it is after now.
            Duration::try_from(end - now).unwrap_or_default().min(LOOK)
        });
        tokio::select! {
            () = gateway.phases.listening.cancelled() => return,
            () = sleep(left) => {}
            // Perhaps with other records.
            changed = generations.changed() => if changed.is_err() {
                return;
            },
        }
    }
}
