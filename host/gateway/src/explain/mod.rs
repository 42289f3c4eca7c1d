//! Why was this refused? What the gateway remembers of its refusals, for `portcullis explain`.
//!
//! In: each decision that is a refusal, as it is recorded, and the questions of the admin socket.
//! Out: the refusal of a reference, or how far the memory reaches. It needs no audit plugin and
//! survives a restart: one owned task writes it below `data_dir` ([`store`]), off the way of stanzas.
//! The queue to it is bounded; what does not fit, or what the disk does not take, is counted, and
//! every answer tells the number. No message content is kept.

mod record;
mod store;

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use portcullis_policy::{Decision, Generation, Reference};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval};

use self::store::{Line, Store};
use crate::admin::protocol::Explained;
use crate::app::Gateway;

/// Refusals that wait to be written: half a second of the most that a busy gateway refuses.
const QUEUE: usize = 4096;
/// Refusals in one write.
const BATCH: usize = 256;
/// Questions that wait: an operator and some scripts.
const QUESTIONS: usize = 16;
/// How often what has become too old is looked for.
const SWEEP: Duration = Duration::from_secs(3600);

/// The way into the memory. Cheap to use where stanzas are judged: it never waits.
#[derive(Debug)]
pub(crate) struct Refusals {
    lines: mpsc::Sender<Line>,
    questions: mpsc::Sender<Question>,
    lost: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Question {
    reference: Reference,
    answer: oneshot::Sender<io::Result<Explained>>,
}

/// The task behind [`Refusals`], until it runs.
#[derive(Debug)]
pub(crate) struct Memory {
    store: Arc<Mutex<Store>>,
    lines: mpsc::Receiver<Line>,
    questions: mpsc::Receiver<Question>,
    lost: Arc<AtomicU64>,
}

/// Opens the memory in `dir` (made with mode 0700), whose files have mode 0600.
///
/// # Errors
/// What the system says.
pub(crate) fn open(dir: &Path) -> io::Result<(Refusals, Memory)> {
    let store = Arc::new(Mutex::new(Store::open(dir)?));
    let (lines, receiver) = mpsc::channel(QUEUE);
    let (questions, asked) = mpsc::channel(QUESTIONS);
    let lost = Arc::new(AtomicU64::new(0));
    let refusals = Refusals {
        lines,
        questions,
        lost: Arc::clone(&lost),
    };
    let memory = Memory {
        store,
        lines: receiver,
        questions: asked,
        lost,
    };
    Ok((refusals, memory))
}

impl Refusals {
    /// Keeps the decision if it is a refusal. `generation` is the one whose plugins may have made it.
    pub(crate) fn remember(&self, generation: &Generation, decision: &Decision) {
        if let Some(refusal) = record::of(generation, decision) {
            self.keep(Line::Refusal(Box::new(refusal)));
        }
    }

    /// What the sender was to be told could not be sent after all, for this reason.
    pub(crate) fn untold(&self, reference: Reference, reason: &str) {
        self.keep(Line::Untold {
            id: reference.to_string(),
            untold: reason.to_owned(),
        });
    }

    /// What is known of a refusal; none if the gateway is ending.
    pub(crate) async fn explain(&self, reference: Reference) -> Option<io::Result<Explained>> {
        let (answer, answered) = oneshot::channel();
        let question = Question { reference, answer };
        self.questions.send(question).await.ok()?;
        answered.await.ok()
    }

    fn keep(&self, line: Line) {
        if self.lines.try_send(line).is_err() {
            self.lost.fetch_add(1, Relaxed);
        }
    }
}

/// Writes and answers until the gateway has ended and everything that was refused is written.
pub(crate) async fn run(gateway: Arc<Gateway>, mut memory: Memory) {
    let mut sweep = interval(SWEEP);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        tokio::select! {
            // What was refused before somebody asks is written before the answer is looked for.
            biased;
            received = memory.lines.recv_many(&mut batch, BATCH) => {
                if received == 0 {
                    return;
                }
                memory.write(std::mem::take(&mut batch)).await;
            }
            Some(question) = memory.questions.recv() => memory.answer(question).await,
            _ = sweep.tick() => memory.write(Vec::new()).await,
            () = gateway.phases.ended.cancelled() => break,
        }
    }
    // The last streams are ending; each may still refuse something.
    gateway.sessions.wait().await;
    gateway.pairs.wait().await;
    while let Ok(line) = memory.lines.try_recv() {
        batch.push(line);
    }
    memory.write(batch).await;
}

impl Memory {
    async fn write(&self, lines: Vec<Line>) {
        let lost = self.lost.swap(0, Relaxed);
        let count = lines.iter().filter(|line| line.is_refusal()).count() as u64;
        let outcome = self.with(move |store| store.write(&lines, lost)).await;
        if lost > 0 {
            tracing::warn!(
                lost,
                "more was refused at once than can be remembered for `explain`"
            );
        }
        if let Err(error) = outcome {
            // Said in the next line that can be written.
            self.lost.fetch_add(lost + count, Relaxed);
            tracing::error!(%error, "refusals cannot be remembered for `explain`");
        }
    }

    async fn answer(&self, question: Question) {
        let Question { reference, answer } = question;
        let unwritten = self.lost.load(Relaxed);
        let found = self
            .with(move |store| store.find(&reference.to_string()))
            .await;
        let found = found.map(|found| Explained {
            lost: found.lost + unwritten,
            ..found
        });
        // Who asked may be gone.
        let _ = answer.send(found);
    }

    /// Reads and writes files where that may take its time.
    async fn with<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Store) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let store = Arc::clone(&self.store);
        let acted = tokio::task::spawn_blocking(move || {
            act(&mut store.lock().unwrap_or_else(PoisonError::into_inner))
        });
        acted
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
    }
}
