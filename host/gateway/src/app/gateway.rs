//! What every task of a running gateway can reach.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use portcullis_policy::{Chain, Engine, Generation, Mode, PluginCounts, PluginStatus, Services};
use portcullis_xmpp::dialback;
use portcullis_xmpp::frame::Limits;
use portcullis_xmpp::jid::{Domain, Strictness};
use portcullis_xmpp::stream::{Initiator, Peer, Terms};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::task::TaskTracker;

use super::directory::Directory;
use super::history::History;
use super::phases::Phases;
use super::reload::{Action, Request, Trigger};
use crate::admin::protocol;
use crate::capture::Captures;
use crate::config::{Config, Partner, Server};
use crate::connect::Dialer;
use crate::explain::Refusals;
use crate::listen::Slots;
use crate::liveness::Questions;
use crate::observe::{Metrics, PluginReading, PluginUse, Readings};
use crate::policing::Buckets;
use crate::presence::Presence;
use crate::prove::{KeyMemory, Posh};
use crate::route::{Routed, Router};
use crate::session::{self, Quota, Registry, Resumable};
use crate::tls::{PeerChain, Side, Tls};

/// A certificate that ends within so many days is worth a warning: what renews certificates by
/// itself does so a month before.
pub(super) const EXPIRES_SOON: Duration = Duration::days(14);

/// See the module.
pub(crate) struct Gateway {
    pub(super) file: PathBuf,
    pub(super) directory: ArcSwap<Directory>,
    /// Every domain served; never changes while the gateway runs.
    pub(super) own_domains: Arc<BTreeSet<Domain>>,
    pub(super) engine: Arc<Engine>,
    pub(super) services: Services,
    pub(super) reloads: mpsc::Sender<Request>,
    pub(super) emitted: mpsc::Sender<Routed>,
    pub(super) last_reload: Mutex<Option<protocol::Reload>>,
    pub(super) last_refused: Mutex<Option<protocol::Reload>>,
    pub(super) rolled_back: Mutex<Option<protocol::RolledBack>>,
    /// The generations that can be gone back to.
    pub(super) history: Arc<History>,
    /// Where files lie that the policy is made from; it grows.
    pub(super) watched: watch::Sender<BTreeSet<PathBuf>>,
    /// What plugins did in generations that are gone.
    pub(super) retired: Mutex<HashMap<String, PluginCounts>>,
    pub(super) started: OffsetDateTime,
    pub(super) listeners: OnceLock<Vec<protocol::Listener>>,
    pub(crate) tls: Tls,
    /// What the keys of all our domains are made from.
    pub(crate) dialback: dialback::Secret,
    /// Which keys were sent, and what is being verified.
    pub(crate) dialbacks: session::Dialback,
    pub(crate) dialer: Dialer,
    pub(crate) posh: Posh,
    pub(crate) chain: Chain,
    /// Changes when another generation judges, and when records have ended.
    pub(crate) generations: watch::Sender<u64>,
    /// Changes when certificates that were good may be no more: with the trust anchors, the
    /// revocation lists, the partner records.
    pub(crate) beliefs: watch::Sender<u64>,
    pub(crate) keys: KeyMemory,
    /// How often records have ended by themselves.
    pub(super) lapses: AtomicU64,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) router: Router,
    pub(crate) streams: Registry,
    /// Streams whose connection was lost.
    pub(crate) resumable: Resumable,
    /// What the gateway itself has asked other servers.
    pub(crate) questions: Questions,
    /// The capture that runs, if one does.
    pub(crate) captures: Captures,
    /// What was refused, for `explain`.
    pub(crate) refusals: Refusals,
    /// How much each partner has sent, and was sent.
    pub(crate) buckets: Buckets,
    /// Which contacts of partners are shown inside.
    pub(crate) presence: Presence,
    pub(crate) federation_slots: Arc<Slots>,
    pub(crate) phases: Phases,
    /// Tasks that read stanzas.
    pub(crate) sessions: TaskTracker,
    /// Tasks that send them.
    pub(crate) pairs: TaskTracker,
    /// All others.
    pub(crate) tasks: TaskTracker,
}

impl Gateway {
    /// The configuration in force.
    pub(crate) fn config(&self) -> Arc<Config> {
        Arc::clone(&self.directory.load().config)
    }

    /// Whether this domain is served here.
    pub(crate) fn is_own(&self, domain: &Domain) -> bool {
        self.own_domains.contains(domain)
    }

    /// The record that names this domain, if one does.
    pub(crate) fn partner(&self, domain: &Domain) -> Option<Partner> {
        self.directory.load().partner(domain).cloned()
    }

    /// Reads the record that names this domain, if one does, without a copy.
    pub(crate) fn of_partner<T>(
        &self,
        domain: &Domain,
        read: impl FnOnce(&Partner) -> T,
    ) -> Option<T> {
        self.directory.load().partner(domain).map(read)
    }

    /// On what terms a stream with this domain may exist that this one of us has opened. Inside, the
    /// gateway stands for every partner, whom nobody could verify there: only its own streams to
    /// internal servers fall back to dialback.
    pub(crate) fn terms(&self, side: Side, initiator: Initiator, domain: &Domain) -> Terms {
        let directory = self.directory.load();
        let config = &directory.config;
        match side {
            Side::Federation => self.record(domain).terms(&config.federation),
            Side::Internal => Terms {
                tls_dialback: initiator == Initiator::Gateway,
                bidi: config.internal.bidi,
                management: config.internal.stream_management,
                ..Terms::CERTIFICATE
            },
        }
    }

    /// The record of a domain, or that of a domain without one.
    pub(crate) fn record(&self, domain: &Domain) -> Partner {
        let directory = self.directory.load();
        let limits = &directory.config.limits;
        (directory.partner(domain).cloned())
            .unwrap_or_else(|| Partner::unlisted(domain.clone(), limits))
    }

    /// How often records have ended by themselves since the gateway started.
    pub(crate) fn lapses(&self) -> u64 {
        self.lapses.load(Ordering::Acquire)
    }

    /// The internal server that this domain belongs to, if it is one of ours.
    pub(crate) fn server(&self, domain: &Domain) -> Option<Server> {
        self.directory.load().server(domain).cloned()
    }

    /// Whose connections those of this domain are, and how many there may be: all domains of a record
    /// count together.
    pub(crate) fn quota(&self, domain: &Domain) -> Quota {
        let directory = self.directory.load();
        match directory.partner(domain) {
            Some(partner) => Quota {
                partner: partner.domain.clone(),
                limit: partner.connection_limit,
            },
            None => Quota {
                partner: domain.clone(),
                limit: directory.config.limits.connections_per_partner,
            },
        }
    }

    /// What a peer may send.
    pub(crate) fn stream_limits(&self) -> Limits {
        let config = self.config();
        Limits {
            stanza_bytes: config.limits.stanza_bytes,
            addresses: if config.gateway.strict_jids {
                Strictness::Strict
            } else {
                Strictness::Tolerant
            },
            ..Limits::default()
        }
    }

    /// Tells the operator if a peer's certificate ends soon, and if a partner's key is a new one.
    pub(crate) fn look_at_certificate(&self, side: Side, peer: &Peer, chain: &PeerChain) {
        if side == Side::Federation
            && let Some(new) = self.keys.meet(&peer.remote, chain)
        {
            tracing::warn!(
                partner = %peer.remote,
                stream = &*peer.stream_id,
                address = peer.address.map(tracing::field::display),
                before = %new.before,
                now = %new.now,
                "the partner's certificate has a public key that it did not have before"
            );
        }
        if let Some(not_after) = chain.not_after()
            && not_after - OffsetDateTime::now_utc() < EXPIRES_SOON
        {
            tracing::warn!(
                partner = %peer.remote,
                stream = &*peer.stream_id,
                not_after = not_after.format(&Rfc3339).unwrap_or_default(),
                "the peer's certificate expires soon"
            );
        }
    }

    /// What was proven has to be proven again.
    pub(crate) fn doubt(&self) {
        self.beliefs.send_modify(|beliefs| *beliefs += 1);
    }

    /// Reloads, and waits for the result; none if the gateway is ending.
    pub(crate) async fn reload(&self, trigger: Trigger) -> Option<protocol::Reload> {
        self.change(trigger, Action::Reload).await
    }

    /// Reloads, tries to, or rolls back, and waits for the result; none if the gateway is ending.
    pub(crate) async fn change(
        &self,
        trigger: Trigger,
        action: Action,
    ) -> Option<protocol::Reload> {
        let (reply, answer) = oneshot::channel();
        self.reloads
            .send(Request {
                trigger,
                action,
                reply: Some(reply),
            })
            .await
            .ok()?;
        answer.await.ok()
    }

    /// The generations that can be gone back to.
    pub(crate) fn history(&self) -> protocol::Generations {
        self.history.list(self.chain.enter().number())
    }

    /// What `/metrics` reads when it is asked.
    pub(crate) fn readings(&self) -> Readings {
        let generation = self.chain.enter();
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
            plugins: self.plugin_totals(&generation),
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

    fn plugin_totals(&self, generation: &Generation) -> Vec<PluginReading> {
        let mut totals = self
            .retired
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
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

    /// Keeps the totals of a generation that judges no more, so that counters never fall.
    pub(super) fn retire_totals(&self, generation: &Generation) {
        let mut totals = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        for status in generation.plugins() {
            totals.entry(status.name).or_default().add(&status.counts);
        }
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
        failures_by_cause: (counts.by_cause.named().into_iter())
            .filter(|(_, count)| *count > 0)
            .map(|(cause, count)| (cause.to_owned(), count))
            .collect(),
        call_p50_ns: nanoseconds(0.5),
        call_p99_ns: nanoseconds(0.99),
        skipped: counts.skipped,
        quarantines: counts.quarantines,
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
