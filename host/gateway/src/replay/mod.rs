//! What another configuration would make of recorded stanzas.
//!
//! In: a file of `capture` or of the audit journal, and a configuration. Out: how many stanzas would
//! end otherwise and how, with samples. No gateway is asked, and nothing of the data directory is
//! touched: state and journal are in a directory that is thrown away.

mod tally;

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;

use portcullis_policy::replay::{BadRecord, Outcome, Reader, Replay};
use portcullis_policy::{
    BuildError, Engine, EngineError, EngineSettings, Services, journal, state,
};
use tokio::{runtime, sync::mpsc};

pub(crate) use self::tally::named;
pub use self::tally::{Sample, Tally};
use crate::{app, config::Config};

/// What plugins emit goes nowhere.
const EMISSIONS: usize = 1;

/// Why nothing could be judged.
#[derive(Debug, thiserror::Error)]
pub enum Untried {
    /// The file, or a directory for the state.
    #[error("cannot read: {0}")]
    File(#[from] io::Error),
    /// A line of the file.
    #[error(transparent)]
    Record(#[from] BadRecord),
    /// The empty state.
    #[error(transparent)]
    State(#[from] state::OpenError),
    /// The journal that is thrown away.
    #[error(transparent)]
    Journal(#[from] journal::JournalError),
    /// The engine does not start.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A plugin of the configuration.
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// Judges all stanzas of a file in their order. Blocks for as long as the plugins take, on a runtime of
/// its own.
///
/// # Errors
/// [`Untried`]
pub fn judge(file: &Path, config: &Config) -> Result<Tally, Untried> {
    let scratch = tempfile::Builder::new()
        .prefix("portcullis-replay-")
        .tempdir()?;
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let (emit, _nowhere) = mpsc::channel(EMISSIONS);
    let services = Services {
        state: Arc::new(state::Store::open(&scratch.path().join("state.redb"))?),
        journal: Arc::new(journal::Journal::open(
            &scratch.path().join("audit"),
            journal::Settings::default(),
        )?),
        emit,
        own_domains: Arc::new(config.gateway.domains.iter().cloned().collect()),
    };
    let engine = Arc::new(Engine::new(EngineSettings::default())?);
    let spec = app::generation_spec(config, 1);
    runtime.block_on(async {
        let mut replay = Replay::build(&engine, services, spec).await?;
        let mut reader = Reader::default();
        let mut tally = Tally::default();
        for line in BufReader::new(File::open(file)?).lines() {
            let Some(case) = reader.read(&line?)? else {
                continue;
            };
            match replay.judge(&case).await {
                Outcome::Same => tally.same += 1,
                Outcome::Different { would, passed } => tally.differs(&case, would, passed),
                Outcome::NotDecidable { by } => tally.undecidable(&by),
            }
        }
        tally.note(&reader);
        Ok(tally)
    })
}
