//! `portcullis capture`: whole stanzas to a file of the operator's, for as long as he asks for.
//!
//! In: a wish from the admin socket, and each decision about a stanza as it is recorded. Out: a file
//! of the format in [`portcullis_policy::capture`], which only its owner can read (mode 0600), made
//! anew: it follows no link and overwrites nothing. Nobody but who asked for it gets bodies: nothing
//! is written unless a capture runs, and the log and `status` say when one does. It ends at its time,
//! its size, when it is stopped, or with the gateway; then the last line tells how, and how many
//! stanzas are missing, because the queue to the file is bounded and no stanza waits for a disk.

mod writer;

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use portcullis_policy::{Decision, Event};
use portcullis_xmpp::jid::Domain;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use self::writer::{Full, Writer};
use crate::admin::protocol::Capturing;
use crate::app::Gateway;

/// Decisions that wait to be written. Each may hold two stanzas.
const QUEUE: usize = 1024;
/// Decisions in one write.
const BATCH: usize = 64;
/// How long a capture may run, in seconds: bodies are not to be written by accident for ever.
const SECONDS: std::ops::RangeInclusive<u64> = 1..=24 * 3600;
/// How large its file may become.
const BYTES: std::ops::RangeInclusive<u64> = (64 << 10)..=(1 << 40);
/// How long one that was stopped may take to write its last line.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// What the operator asks for.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) output: PathBuf,
    pub(crate) seconds: u64,
    pub(crate) bytes: u64,
    pub(crate) partner: Option<String>,
}

/// The capture that runs, if one does.
#[derive(Debug, Default)]
pub(crate) struct Captures {
    running: ArcSwapOption<Running>,
    /// Held while one begins: there is one at a time.
    beginning: Mutex<()>,
}

#[derive(Debug)]
struct Running {
    queue: mpsc::Sender<Decision>,
    /// As it began.
    wanted: Capturing,
    partner: Option<Domain>,
    stanzas: AtomicU64,
    missed: AtomicU64,
    stop: CancellationToken,
    ended: CancellationToken,
}

/// Begins a capture; says what began.
///
/// # Errors
/// For people: another one runs, the wish is out of bounds, or the file cannot be made.
pub(crate) async fn start(gateway: &Arc<Gateway>, wanted: Wanted) -> Result<Capturing, String> {
    let opening = Arc::clone(gateway);
    let begun = tokio::task::spawn_blocking(move || begin(&opening, wanted));
    let (running, queue, writer, until) =
        begun.await.unwrap_or_else(|error| Err(error.to_string()))?;
    let status = running.status();
    tracing::warn!(
        output = %status.output.display(),
        until = status.until,
        max_bytes = status.max_bytes,
        partner = status.partner,
        "a capture begins: whole stanzas are written"
    );
    let task = run(Arc::clone(gateway), running, queue, writer, until);
    gateway.tasks.spawn(task);
    Ok(status)
}

type Begun = (Arc<Running>, mpsc::Receiver<Decision>, Writer, Instant);

fn begin(gateway: &Gateway, wanted: Wanted) -> Result<Begun, String> {
    let Wanted {
        output,
        seconds,
        bytes,
        partner,
    } = wanted;
    if !output.is_absolute() {
        return Err(format!("{} is not absolute", output.display()));
    }
    if !SECONDS.contains(&seconds) {
        return Err(format!("{seconds} s are not from 1 s to 24 h"));
    }
    if !BYTES.contains(&bytes) {
        return Err(format!("{bytes} bytes are not from 64KiB to 1TiB"));
    }
    let domain = (partner.as_deref().map(Domain::parse).transpose())
        .map_err(|error| format!("the partner is no domain: {error}"))?;
    let captures = &gateway.captures;
    let _one = (captures.beginning.lock()).unwrap_or_else(PoisonError::into_inner);
    if let Some(running) = captures.status() {
        let output = running.output.display().to_string();
        return Err(format!("a capture runs already, to {output}"));
    }
    let now = OffsetDateTime::now_utc();
    let until = now + Duration::from_secs(seconds);
    let text = |time: OffsetDateTime| time.format(&Rfc3339).unwrap_or_default();
    let wanted = Capturing {
        output: output.clone(),
        began: text(now),
        until: text(until),
        max_bytes: bytes,
        partner: domain.as_ref().map(ToString::to_string),
        stanzas: 0,
        missed: 0,
    };
    let cannot = |error| format!("cannot make {}: {error}", output.display());
    let writer = Writer::begin(create(&output).map_err(cannot)?, &wanted).map_err(cannot)?;
    let (queue, receiver) = mpsc::channel(QUEUE);
    let running = Arc::new(Running {
        queue,
        wanted,
        partner: domain,
        stanzas: AtomicU64::new(0),
        missed: AtomicU64::new(0),
        stop: CancellationToken::new(),
        ended: CancellationToken::new(),
    });
    captures.running.store(Some(Arc::clone(&running)));
    let until = Instant::now() + Duration::from_secs(seconds);
    Ok((running, receiver, writer, until))
}

/// With `O_EXCL`, which follows no link.
fn create(path: &PathBuf) -> std::io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

impl Captures {
    /// Takes the decision if a capture wants it. Never waits.
    pub(crate) fn offer(&self, decision: &Decision) {
        let running = self.running.load();
        let Some(running) = running.as_deref() else {
            return;
        };
        let wanted =
            (running.partner.as_ref()).is_none_or(|partner| partner == decision.peer.partner());
        if decision.event != Event::Stanza || decision.stanza.is_none() || !wanted {
            return;
        }
        if running.queue.try_send(decision.clone()).is_err() {
            running.missed.fetch_add(1, Relaxed);
        }
    }

    /// What runs.
    pub(crate) fn status(&self) -> Option<Capturing> {
        self.running.load().as_ref().map(|running| running.status())
    }

    /// Ends it, and says what there was.
    ///
    /// # Errors
    /// For people: none runs, or its disk does not take the rest in time.
    pub(crate) async fn stop(&self) -> Result<Capturing, String> {
        let running = self.running.load_full().ok_or("no capture runs")?;
        running.stop.cancel();
        let ended = timeout(LAST_WORDS, running.ended.cancelled()).await;
        ended.map_err(|_| "it was told to end, and still writes".to_owned())?;
        Ok(running.status())
    }
}

impl Running {
    fn status(&self) -> Capturing {
        Capturing {
            stanzas: self.stanzas.load(Relaxed),
            missed: self.missed.load(Relaxed),
            ..self.wanted.clone()
        }
    }
}

async fn run(
    gateway: Arc<Gateway>,
    running: Arc<Running>,
    mut queue: mpsc::Receiver<Decision>,
    mut writer: Writer,
    until: Instant,
) {
    let mut batch = Vec::with_capacity(BATCH);
    let mut because = loop {
        tokio::select! {
            biased;
            () = running.stop.cancelled() => break "stopped",
            () = sleep_until(until) => break "time",
            received = queue.recv_many(&mut batch, BATCH) => {
                if received == 0 {
                    break "stopped";
                }
                let full;
                (writer, full) = write(writer, &running, std::mem::take(&mut batch)).await;
                if let Some(full) = full {
                    break full.as_str();
                }
            }
            () = gateway.phases.ended.cancelled() => {
                // The last streams are ending; what they brought belongs to it.
                gateway.sessions.wait().await;
                break "shutdown";
            }
        }
    };
    gateway.captures.running.store(None);
    queue.close();
    while because != Full::Size.as_str() && because != Full::Broken.as_str() {
        if queue.recv_many(&mut batch, BATCH).await == 0 {
            break;
        }
        let full;
        (writer, full) = write(writer, &running, std::mem::take(&mut batch)).await;
        because = full.map_or(because, Full::as_str);
    }
    // What is left has no room.
    while queue.recv().await.is_some() {
        running.missed.fetch_add(1, Relaxed);
    }
    let status = running.status();
    let (stanzas, missed) = (status.stanzas, status.missed);
    let ended = tokio::task::spawn_blocking(move || writer.end(because, stanzas, missed));
    match ended
        .await
        .unwrap_or_else(|error| Err(std::io::Error::other(error)))
    {
        Ok(()) => tracing::warn!(
            output = %status.output.display(),
            because,
            stanzas,
            missed,
            "the capture has ended"
        ),
        Err(error) => tracing::error!(
            output = %status.output.display(),
            because,
            %error,
            "the capture has ended, and its file has no end"
        ),
    }
    running.ended.cancel();
}

/// Writes where that may take its time. What has no room is missed.
async fn write(
    mut writer: Writer,
    running: &Arc<Running>,
    batch: Vec<Decision>,
) -> (Writer, Option<Full>) {
    let counts = Arc::clone(running);
    let written = tokio::task::spawn_blocking(move || {
        let mut full = None;
        for decision in &batch {
            match full {
                None => match writer.write(decision) {
                    Ok(()) => {
                        counts.stanzas.fetch_add(1, Relaxed);
                    }
                    Err(why) => {
                        counts.missed.fetch_add(1, Relaxed);
                        full = Some(why);
                    }
                },
                Some(_) => {
                    counts.missed.fetch_add(1, Relaxed);
                }
            }
        }
        (writer, full)
    });
    match written.await {
        Ok(written) => written,
        // Only a panic of the writer comes here: its file is lost.
        Err(error) => {
            tracing::error!(%error, "the capture's writer failed");
            (Writer::lost(), Some(Full::Broken))
        }
    }
}
