//! From a configuration to a running gateway.
//!
//! The order is: what plugins reach (state, journal), the first generation, certificates, sockets,
//! and only when all of that stands the first connection is accepted. Whatever fails is the
//! operator's to mend, and [`StartError`] says what it was.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock};

use arc_swap::ArcSwap;
use portcullis_policy::{
    Chain, Engine, EngineError, EngineSettings, Generation, GenerationSpec, Mode, OnFailure,
    PartnerRecord, PartnerType, Partners, PluginLimits, PluginSpec, Services, journal, state,
};
use portcullis_xmpp::dialback;
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinError;
use tokio_util::task::TaskTracker;

use super::directory::Directory;
use super::gateway::Gateway;
use super::history::Record;
use super::lapse;
use super::opening::{self, Opened};
use super::phases::Phases;
use super::reload::{self, Reloader};
use super::running::{Addresses, Running};
use super::totals::Totals;
use super::watch as files;
use crate::admin::http;
use crate::admin::protocol::{Listener, RolledBack};
use crate::admin::socket::{Socket, SocketError};
use crate::capture::Captures;
use crate::config::{self, Config};
use crate::connect::{self, ConnectError, Dialer};
use crate::explain;
use crate::listen::{self, Slots};
use crate::liveness::Questions;
use crate::observe::Metrics;
use crate::policing::Buckets;
use crate::presence::{self, Presence};
use crate::prove::{KeyMemory, Posh};
use crate::route::{self, Router};
use crate::session::{self, Registry, Resumable};
use crate::tls::{self, Problem, Side, Tls};

/// Emissions of plugins that wait to be routed: the bound that the WIT states.
const EMISSIONS: usize = 10_000;
/// Reloads that wait for their turn.
const RELOADS: usize = 16;

/// Why the gateway did not start. Each is the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory cannot be used.
    #[error("cannot use the data directory {}: {error}", path.display())]
    DataDir {
        /// `[gateway].data_dir`
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The admin socket is taken: another gateway runs on this data directory.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// What plugins remember cannot be read.
    #[error("cannot open the plugins' state: {0}")]
    State(#[from] state::OpenError),
    /// The audit journal cannot be written.
    #[error("cannot open the audit journal: {0}")]
    Journal(#[from] journal::JournalError),
    /// What was refused cannot be kept.
    #[error("cannot keep what was refused in {}: {error}", path.display())]
    Refusals {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The WASM engine does not start.
    #[error("cannot start the WASM engine: {0}")]
    Engine(#[from] EngineError),
    /// A plugin is missing or faulty.
    #[error("{}", .0.join("; "))]
    Policy(Vec<String>),
    /// A generation of the past should judge, and what was kept of it cannot be used.
    #[error("{0}")]
    History(String),
    /// Certificates, keys or trust anchors are missing or faulty.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Tls(Vec<Problem>),
    /// A part of the start ended early: a fault of this program.
    #[error("a part of the start ended early: {0}")]
    Ended(String),
    /// The resolvers cannot be used.
    #[error(transparent)]
    Dns(#[from] ConnectError),
    /// An address cannot be bound.
    #[error("cannot listen on {address} ([{section}].listen): {error}")]
    Bind {
        /// The configured address.
        address: SocketAddr,
        /// The section that it stands in.
        section: &'static str,
        /// What the system said.
        error: io::Error,
    },
}

/// Starts the gateway. When this returns, it accepts connections.
///
/// # Errors
/// See [`StartError`]; nothing was accepted then.
pub async fn start(config: Config) -> Result<Running, StartError> {
    // Nothing here needs it before the first handshake does, and there is enough else to do meanwhile.
    drop(tokio::task::spawn_blocking(tls::gather_randomness));
    let data_dir = config.gateway.data_dir.clone();
    prepare(&data_dir).map_err(|error| StartError::DataDir {
        path: data_dir.clone(),
        error,
    })?;
    // First of all, so that a second gateway is told apart from a damaged directory.
    let socket = Socket::bind(&data_dir)?;

    // Beside what follows, which waits for the disk.
    let reading = tokio::task::spawn_blocking({
        let (config, data_dir) = (config.clone(), data_dir.clone());
        move || {
            let opened = opening::open(config, &data_dir)?;
            let tls = Tls::load(opened.content.tls_settings());
            Ok::<_, StartError>((opened, tls))
        }
    });
    let engine = tokio::task::spawn_blocking({
        let cache_dir = Some(data_dir.join("components"));
        move || {
            Engine::new(EngineSettings {
                cache_dir,
                ..EngineSettings::default()
            })
        }
    });

    let own_domains = Arc::new(config.gateway.domains.iter().cloned().collect());
    let (emit, emissions) = mpsc::channel(EMISSIONS);
    let services = Services {
        state: Arc::new(state::Store::open(&data_dir.join("state.redb"))?),
        journal: Arc::new(journal::Journal::open(
            &data_dir.join("audit"),
            journal::Settings::default(),
        )?),
        emit,
        own_domains: Arc::clone(&own_domains),
    };
    let refusals_dir = data_dir.join("refusals");
    let (refusals, memory) =
        explain::open(&refusals_dir).map_err(|error| StartError::Refusals {
            path: refusals_dir,
            error,
        })?;
    let engine = Arc::new(engine.await.map_err(ended)??);
    let (opened, tls) = reading.await.map_err(ended)??;
    let Opened {
        content,
        bytes,
        history,
        mark,
    } = opened;
    let number = history.next_number();
    let generation = Generation::build(&engine, &services, content.spec(&bytes, number))
        .await
        .map_err(|error| StartError::Policy(config::told(&config.file, &error)))?;
    let tls = tls.map_err(StartError::Tls)?;
    for problem in tls.warnings() {
        tracing::warn!("{problem}");
    }

    let federation = bind("federation", &config.federation.listen).await?;
    let internal = bind("internal", &config.internal.listen).await?;
    let admin = match &config.admin {
        Some(admin) => bind("admin", &[admin.listen]).await?.into_iter().next(),
        None => None,
    };
    let addresses = Addresses {
        federation: federation.iter().map(|(_, address)| *address).collect(),
        internal: internal.iter().map(|(_, address)| *address).collect(),
        admin: admin.as_ref().map(|(_, address)| *address),
    };
    let listeners = addresses
        .federation
        .iter()
        .chain(&addresses.internal)
        .copied()
        .collect();
    let dialer = Dialer::new(connect::Settings {
        listeners,
        ..connect::Settings::from(&config)
    })?;

    let metrics = Arc::new(Metrics::new());
    let made_from = mark.as_ref().map(|mark| mark.to);
    let record = Record::of(&content, &generation, "start", made_from);
    let most = config.gateway.generations_kept;
    let history = Arc::new(history);
    let keeper = Arc::clone(&history);
    let kept = tokio::task::spawn_blocking(move || keeper.keep(record, &bytes, most)).await;
    if let Err(error) = kept.unwrap_or_else(|error| Err(io::Error::other(error))) {
        metrics.not_kept();
        tracing::error!("generation {number} could not be kept to go back to: {error}");
    }
    let (reloads, requests) = mpsc::channel(RELOADS);
    let (emitted, waiting) = mpsc::channel(1);
    let limits = config.limits;
    let dialback = match &config.federation.dialback_secret {
        Some(secret) => dialback::Secret::new(secret.expose()),
        // As unguessable as a stream id, and gone with this process.
        None => dialback::Secret::new(&session::stream_id()),
    };
    let gateway = Arc::new(Gateway {
        file: config.file.clone(),
        directory: ArcSwap::from_pointee(Directory::new(content.config.clone())),
        history,
        watched: watch::Sender::new(content.directories()),
        own_domains,
        engine,
        services,
        reloads,
        emitted,
        last_reload: Mutex::new(None),
        last_refused: Mutex::new(None),
        rolled_back: Mutex::new(mark.as_ref().map(|mark| RolledBack {
            to: mark.to,
            since: mark.since.clone(),
            // Otherwise the rollback had ended.
            files_differ: true,
        })),
        totals: Totals::default(),
        started: OffsetDateTime::now_utc(),
        listeners: OnceLock::from(listed(&addresses)),
        tls,
        dialback,
        posh: Posh::new(dialer.clone()),
        dialbacks: session::Dialback::default(),
        dialer,
        chain: Chain::new(generation),
        generations: watch::Sender::new(number),
        beliefs: watch::Sender::new(1),
        keys: KeyMemory::default(),
        lapses: AtomicU64::new(0),
        router: Router::default(),
        streams: Registry::new(Arc::clone(&metrics)),
        resumable: Resumable::default(),
        questions: Questions::default(),
        captures: Captures::default(),
        refusals,
        buckets: Buckets::default(),
        presence: Presence::default(),
        metrics,
        federation_slots: Arc::new(Slots::new(Side::Federation, &limits)),
        phases: Phases::default(),
        sessions: TaskTracker::new(),
        pairs: TaskTracker::new(),
        tasks: TaskTracker::new(),
    });
    let first = gateway.chain.enter();
    first.started().await;
    drop(first);
    gateway.engine.traffic_begins();

    let tasks = &gateway.tasks;
    tasks.spawn(route::emit(Arc::clone(&gateway), emissions, waiting));
    tasks.spawn(explain::run(Arc::clone(&gateway), memory));
    tasks.spawn(presence::run(Arc::clone(&gateway)));
    tasks.spawn(Reloader::new(Arc::clone(&gateway), content, mark, config).run(requests));
    tasks.spawn(files::run(Arc::clone(&gateway)));
    tasks.spawn(reload::expiry(Arc::clone(&gateway)));
    tasks.spawn(lapse::run(Arc::clone(&gateway)));
    tasks.spawn(socket.serve(Arc::clone(&gateway)));
    if let Some((listener, _)) = admin {
        tasks.spawn(http::serve(Arc::clone(&gateway), listener));
    }
    let internal_slots = Arc::new(Slots::new(Side::Internal, &limits));
    for (listener, _) in federation {
        let slots = Arc::clone(&gateway.federation_slots);
        tasks.spawn(listen::serve(
            Arc::clone(&gateway),
            Side::Federation,
            listener,
            slots,
        ));
    }
    for (listener, _) in internal {
        let slots = Arc::clone(&internal_slots);
        tasks.spawn(listen::serve(
            Arc::clone(&gateway),
            Side::Internal,
            listener,
            slots,
        ));
    }
    Ok(Running::new(gateway, addresses))
}

fn ended(error: JoinError) -> StartError {
    StartError::Ended(error.to_string())
}

/// The data directory holds the state of plugins and the audit journal: it is nobody else's.
fn prepare(data_dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data_dir)
}

async fn bind(
    section: &'static str,
    addresses: &[SocketAddr],
) -> Result<Vec<(TcpListener, SocketAddr)>, StartError> {
    let mut bound = Vec::with_capacity(addresses.len());
    for address in addresses {
        let fail = |error| StartError::Bind {
            address: *address,
            section,
            error,
        };
        let listener = TcpListener::bind(address).await.map_err(fail)?;
        let address = listener.local_addr().map_err(fail)?;
        bound.push((listener, address));
    }
    Ok(bound)
}

fn listed(addresses: &Addresses) -> Vec<Listener> {
    let named = |name: &str, address: &SocketAddr| Listener {
        name: name.to_owned(),
        address: address.to_string(),
    };
    let federation = addresses
        .federation
        .iter()
        .map(|address| named("federation", address));
    let internal = addresses
        .internal
        .iter()
        .map(|address| named("internal", address));
    let admin = addresses
        .admin
        .iter()
        .map(|address| named("admin", address));
    federation.chain(internal).chain(admin).collect()
}

/// What a generation is built from.
pub(crate) fn generation_spec(config: &Config, number: u64) -> GenerationSpec {
    GenerationSpec {
        number,
        plugins: config.plugins.iter().map(plugin).collect(),
        partners: partners(config),
        stanza_bytes: config.limits.stanza_bytes,
        plugin_keys: config.gateway.plugin_keys.clone(),
    }
}

fn plugin(plugin: &config::Plugin) -> PluginSpec {
    PluginSpec {
        name: plugin.name.clone(),
        component: plugin.component.clone(),
        on_failure: match plugin.on_failure {
            config::OnFailure::Closed => OnFailure::Closed,
            config::OnFailure::Open => OnFailure::Open,
        },
        budget: plugin.budget,
        memory: plugin.memory,
        config: plugin.config.clone(),
        grants: plugin.grants.clone(),
        limits: PluginLimits {
            component_bytes: plugin.component_size,
            state_bytes: plugin.state_bytes,
            state_keys: plugin.state_keys,
            log_lines: plugin.log_lines,
            edits: plugin.edits,
        },
        files: plugin.files.clone(),
        content: None,
        sha256: plugin.sha256,
        signature: plugin.signature.clone(),
        mode: match plugin.mode {
            config::Mode::Active => Mode::Active,
            config::Mode::Shadow => Mode::Shadow,
        },
    }
}

fn partners(config: &Config) -> Partners {
    let kind = |partner: &config::Partner| match partner.partner_type {
        config::PartnerType::Federated => PartnerType::Federated,
        config::PartnerType::PublicVerified => PartnerType::PublicVerified,
        config::PartnerType::PublicUnverified => PartnerType::PublicUnverified,
    };
    let record = |partner: &config::Partner| PartnerRecord {
        kind: kind(partner),
        subdomains: partner.subdomains,
        valid_until: partner.valid_until,
    };
    (config.partners.iter())
        .flat_map(|partner| (partner.domains().cloned()).zip(std::iter::repeat(record(partner))))
        .collect()
}
