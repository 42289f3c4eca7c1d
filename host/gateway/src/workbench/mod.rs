//! Where plugins are tried: the engine, the limits and the services that a gateway has, in a directory
//! that is thrown away. No socket, nobody's traffic.
//!
//! In: a component and what it is to meet ([`fixture::Fixture`]). Out: what it did ([`run::Done`]), and
//! how that differs from what was expected ([`compare`]). What can fail: the machine, and the plugin in
//! every way that a plugin can. Not tried here: several instances at once, and what only time brings.

pub(crate) mod compare;
pub(crate) mod fixture;
pub(crate) mod heard;
pub(crate) mod run;
pub(crate) mod samples;

use std::{collections::BTreeSet, io, sync::Arc};

use portcullis_policy::{Emission, Engine, EngineError, Services, journal, state};
use portcullis_xmpp::jid::Domain;
use tempfile::TempDir;
use tokio::sync::mpsc;

/// What plugins emit waits here until it is looked at; more is refused as a gateway's full queue is.
const EMISSIONS: usize = 1000;

/// Why nothing can be tried. The machine's fault.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Untried {
    /// No room, no rights, no threads.
    #[error("cannot make a place to try plugins in: {0}")]
    Place(#[from] io::Error),
    /// No state.
    #[error(transparent)]
    State(#[from] state::OpenError),
    /// No journal.
    #[error(transparent)]
    Journal(#[from] journal::JournalError),
    /// No engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// State and journal that are thrown away.
pub(crate) struct Workbench {
    pub(crate) services: Services,
    /// What plugins emitted.
    pub(crate) emitted: mpsc::Receiver<Emission>,
    dir: TempDir,
}

impl Workbench {
    /// An empty one for an organisation with these domains.
    pub(crate) fn new(own: impl IntoIterator<Item = Domain>) -> Result<Self, Untried> {
        let dir = tempfile::Builder::new()
            .prefix("portcullis-try-")
            .tempdir()?;
        let (emit, emitted) = mpsc::channel(EMISSIONS);
        let own_domains: BTreeSet<Domain> = own.into_iter().collect();
        let state = state::Store::open(&dir.path().join("state.redb"))?;
        let audit = dir.path().join("audit");
        let journal = journal::Journal::open(&audit, journal::Settings::default())?;
        Ok(Self {
            services: Services {
                state: Arc::new(state),
                journal: Arc::new(journal),
                emit,
                own_domains: Arc::new(own_domains),
            },
            emitted,
            dir,
        })
    }

    /// The lines of the journal so far.
    pub(crate) fn journal(&self) -> Vec<String> {
        let file = self.dir.path().join("audit/current.jsonl");
        let text = std::fs::read_to_string(file).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

/// A runtime to try things on, and an engine that keeps nothing on disk.
pub(crate) fn machinery() -> Result<(tokio::runtime::Runtime, Arc<Engine>), Untried> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let engine = Engine::new(portcullis_policy::EngineSettings::default())?;
    Ok((runtime, Arc::new(engine)))
}
