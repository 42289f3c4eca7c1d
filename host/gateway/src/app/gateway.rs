//! What every task of a running gateway can reach.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use arc_swap::ArcSwap;
use portcullis_policy::{Chain, Engine, Services};
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
use super::totals::Totals;
use crate::admin::protocol;
use crate::capture::Captures;
use crate::config::{Config, Partner, Server};
use crate::connect::Dialer;
use crate::explain::Refusals;
use crate::listen::Slots;
use crate::liveness::Questions;
use crate::observe::Metrics;
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
    pub(super) totals: Totals,
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

    /// The records and servers by domain, as they are now.
    pub(crate) fn directory(&self) -> Arc<Directory> {
        self.directory.load_full()
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
            Side::Federation => self.of_record(domain, |record| record.terms(&config.federation)),
            Side::Internal => Terms {
                tls_dialback: initiator == Initiator::Gateway,
                bidi: config.internal.bidi,
                management: config.internal.stream_management,
                ..Terms::CERTIFICATE
            },
        }
    }

    /// Reads the record of a domain, or that of a domain without one, without a copy.
    pub(crate) fn of_record<T>(&self, domain: &Domain, read: impl FnOnce(&Partner) -> T) -> T {
        let directory = self.directory.load();
        match directory.partner(domain) {
            Some(record) => read(record),
            None => read(&Partner::unlisted(domain.clone(), &directory.config.limits)),
        }
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
}
