//! What the gateway tells of itself when it is asked.
//!
//! In: the question, of `/metrics` or of `portcullis status`. Out: the numbers and names of that
//! moment, read from where they are kept. Nothing here changes anything.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use portcullis_policy::{Generation, Mode, PluginCounts, PluginStatus};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::gateway::Gateway;
use crate::admin::protocol;
use crate::observe::{PluginReading, PluginUse, Readings};

impl Gateway {
    /// What `/metrics` reads when it is asked.
    pub(crate) fn readings(&self) -> Readings {
        let (generation, totals) = self.totals.with(&self.chain);
        let (pairs, stanzas, bytes) = self.router.totals();
        let now = OffsetDateTime::now_utc();
        Readings {
            generation: generation.number(),
            generations_alive: self.chain.alive() as u64,
            pairs: pairs as u64,
            queued: (stanzas as u64, bytes as u64),
            certificates: self
                .certificates()
                .map(|(file, not_after)| (file, (not_after - now).whole_seconds()))
                .collect(),
            peer_certificates: self
                .streams
                .expiries()
                .into_iter()
                .map(|(domain, not_after)| (domain.to_string(), (not_after - now).whole_seconds()))
                .collect(),
            plugins: Self::plugin_totals(&generation, totals),
            rolled_back: copy(&self.rolled_back).is_some(),
            shadows: self.shadows(),
        }
    }

    /// What shadow plugins would have decided.
    pub(crate) fn shadows(&self) -> Vec<portcullis_policy::shadow::Report> {
        self.engine.shadows().reports()
    }

    /// What `portcullis status` shows.
    pub(crate) fn status(&self) -> protocol::Status {
        let generation = self.chain.enter();
        let now = OffsetDateTime::now_utc();
        protocol::Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            phase: self.phases.name().to_owned(),
            started: self.started.format(&Rfc3339).unwrap_or_default(),
            listeners: self.listeners.get().cloned().unwrap_or_default(),
            generation: generation.number(),
            generations_alive: self.chain.alive() as u64,
            last_reload: copy(&self.last_reload),
            last_refused: copy(&self.last_refused),
            rolled_back: copy(&self.rolled_back),
            plugins: generation.plugins().into_iter().map(plugin).collect(),
            capture: self.captures.status(),
            streams: self.streams.list(),
            queues: self.router.list(),
            certificates: self
                .certificates()
                .map(|(file, not_after)| protocol::Certificate {
                    file,
                    not_after: not_after.format(&Rfc3339).unwrap_or_default(),
                    expires_in: (not_after - now).whole_seconds(),
                })
                .collect(),
        }
    }

    /// Our own certificates and when they end, the soonest first.
    fn certificates(&self) -> impl Iterator<Item = (String, OffsetDateTime)> {
        // Longer than any certificate is valid.
        let all = self
            .tls
            .expiring(OffsetDateTime::now_utc(), Duration::days(100 * 366));
        all.into_iter()
            .map(|expiring| (expiring.file.display().to_string(), expiring.not_after))
    }

    fn plugin_totals(
        generation: &Generation,
        mut totals: HashMap<String, PluginCounts>,
    ) -> Vec<PluginReading> {
        let mut readings: Vec<_> = generation
            .plugins()
            .into_iter()
            .map(|status| {
                let mut counts = totals.remove(&status.name).unwrap_or_default();
                counts.add(&status.counts);
                PluginReading {
                    now: Some(PluginUse {
                        memory: status.memory,
                        state_bytes: status.state.bytes as u64,
                        state_keys: status.state.keys as u64,
                        quarantined: status.quarantine.is_some(),
                        senders_resting: status.resting.len() as u64,
                    }),
                    name: status.name,
                    counts,
                }
            })
            .collect();
        readings.extend(totals.into_iter().map(|(name, counts)| PluginReading {
            name,
            counts,
            now: None,
        }));
        readings.sort_by(|a, b| a.name.cmp(&b.name));
        readings
    }
}

fn copy<T: Clone>(place: &Mutex<T>) -> T {
    place.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// The name of an exported interface that asks for decisions, without package and version.
fn capability(export: &str) -> Option<String> {
    let name = export.rsplit('/').next()?.split('@').next()?;
    ["gatekeeper", "filter", "observer"]
        .contains(&name)
        .then(|| name.to_owned())
}

/// Senders that `status` names for one plugin; there may be a thousand.
const RESTING_SHOWN: usize = 16;

fn plugin(status: PluginStatus) -> protocol::Plugin {
    let moment = |time: OffsetDateTime| time.format(&Rfc3339).unwrap_or_default();
    let nanoseconds = |share| {
        let time = status.counts.latency.quantile(share)?;
        u64::try_from(time.as_nanos()).ok()
    };
    let reason = status.last_failure.clone().unwrap_or_default();
    let counts = &status.counts;
    protocol::Plugin {
        mode: match status.mode {
            Mode::Active => "active".to_owned(),
            Mode::Shadow => "shadow".to_owned(),
        },
        capabilities: status
            .exports
            .iter()
            .filter_map(|export| capability(export))
            .collect(),
        calls: counts.calls,
        failures: counts.failures,
        quarantined: status.quarantine.as_ref().map(|_| reason),
        quarantined_since: (status.quarantine.as_ref()).map(|it| moment(it.since)),
        quarantined_until: (status.quarantine.as_ref()).and_then(|it| it.until.map(moment)),
        senders_resting: status.resting.len() as u64,
        resting: (status.resting.iter().take(RESTING_SHOWN))
            .map(|resting| protocol::Resting {
                sender: resting.sender.clone(),
                since: moment(resting.rest.since),
                until: resting.rest.until.map(moment),
            })
            .collect(),
        failures_by_cause: (counts.by_cause.named().into_iter())
            .filter(|(_, count)| *count > 0)
            .map(|(cause, count)| (cause.to_owned(), count))
            .collect(),
        call_p50_ns: nanoseconds(0.5),
        call_p99_ns: nanoseconds(0.99),
        skipped: counts.skipped,
        quarantines: counts.quarantines,
        sender_rests: counts.rests,
        decisions_lost: counts.lost,
        memory_bytes: status.memory,
        state_bytes: status.state.bytes as u64,
        state_bytes_limit: status.state_limit.bytes as u64,
        state_keys: status.state.keys as u64,
        state_keys_limit: status.state_limit.keys as u64,
        state_refused: counts.state_refused,
        log_lines_dropped: counts.log_dropped,
        edits: counts.edits,
        edits_refused: counts.edits_refused,
        name: status.name,
        digest: status.digest,
        last_failure: status.last_failure,
        version: status.version,
    }
}
