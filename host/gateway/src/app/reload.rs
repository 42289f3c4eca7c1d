//! Another policy without a restart.
//!
//! In: requests, from a signal, the admin socket, a watched directory or a caller; served one after
//! the other. Out: a new generation that judges from one stanza to the next, or everything as it was
//! and the reason in the log, the status and the metrics. The same content is no reload; a change
//! that needs a restart refuses the whole change. The gateway's own certificates go their own way:
//! they are shown from the next handshake on, whatever becomes of the rest.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use portcullis_policy::{Generation, files};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use super::directory::Directory;
use super::gateway::{EXPIRES_SOON, Gateway};
use super::start::generation_spec;
use crate::admin::protocol::{Reload, ReloadResult};
use crate::config::Config;
use crate::tls::{self, Problem, Tls, Trust};

/// How often certificates are looked at for their end: somebody who reads the log once a day sees it.
const EXPIRY_CHECK: Duration = Duration::from_secs(12 * 3600);

/// Who asks for a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// SIGHUP.
    Signal,
    /// `portcullis reload`.
    Admin,
    /// A file in a watched directory changed, perhaps.
    Watch,
    /// Code that runs the gateway in its own process.
    Call,
}

impl Trigger {
    fn as_str(self) -> &'static str {
        match self {
            Self::Signal => "signal",
            Self::Admin => "admin",
            Self::Watch => "watch",
            Self::Call => "call",
        }
    }
}

/// One request; who waits for the result is told.
#[derive(Debug)]
pub(crate) struct Request {
    pub(super) trigger: Trigger,
    pub(super) reply: Option<oneshot::Sender<Reload>>,
}

/// The content of the files that a generation is made from, beside the configuration: components, and what
/// plugins may read.
/// A file that cannot be read has no digest.
pub(super) type Digests = BTreeMap<PathBuf, Option<[u8; 32]>>;

/// The digests of a configuration's components and of its plugins' files. Reads whole files: some hundred
/// kilobytes each as a rule, never more than a generation would take.
pub(super) fn digests(config: &Config) -> Digests {
    let digest = |path: &Path| {
        std::fs::read(path)
            .ok()
            .map(|bytes| Sha256::digest(bytes).into())
    };
    let granted = |path: &Path| {
        files::read(path)
            .ok()
            .map(|bytes| Sha256::digest(bytes).into())
    };
    let components =
        (config.plugins.iter()).map(|plugin| (plugin.component.clone(), digest(&plugin.component)));
    let files = (config.plugins.iter())
        .flat_map(|plugin| plugin.files.values())
        .map(|path| (path.clone(), granted(path)));
    components.chain(files).collect()
}

/// The one task that reloads.
pub(super) struct Reloader {
    gateway: Arc<Gateway>,
    /// What the generation in force was built from.
    built: Digests,
    /// What was tried last in vain: a watched directory that moves should not try it again.
    failed: Option<(Config, Digests)>,
}

/// Why there is no new generation.
struct Failure {
    result: ReloadResult,
    messages: Vec<String>,
}

impl Failure {
    fn faulty(messages: Vec<String>) -> Self {
        Self {
            result: ReloadResult::Failed,
            messages,
        }
    }

    fn tls(problems: &[Problem]) -> Self {
        Self::faulty(problems.iter().map(ToString::to_string).collect())
    }
}

impl Reloader {
    pub(super) fn new(gateway: Arc<Gateway>, built: Digests) -> Self {
        Self {
            gateway,
            built,
            failed: None,
        }
    }

    /// Serves requests until the gateway ends.
    pub(super) async fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        let stop = self.gateway.phases.listening.clone();
        loop {
            let request = tokio::select! {
                () = stop.cancelled() => return,
                request = requests.recv() => request,
            };
            let Some(Request { trigger, reply }) = request else {
                return;
            };
            let reload = self.reload(trigger).await;
            if let Some(reply) = reply {
                // Who asked may be gone.
                let _ = reply.send(reload);
            }
        }
    }

    async fn reload(&mut self, trigger: Trigger) -> Reload {
        let mut messages = self.certificates();
        messages.extend(self.revocations());
        let result = match self.generation(trigger).await {
            Ok(changes) => {
                let result = if changes.is_empty() {
                    ReloadResult::Unchanged
                } else {
                    ReloadResult::Ok
                };
                messages.extend(changes);
                result
            }
            Err(failure) => {
                messages.extend(failure.messages);
                failure.result
            }
        };
        let generation = self.gateway.chain.enter().number();
        let time = OffsetDateTime::now_utc()
            .format(&Rfc3339)
            .unwrap_or_default();
        let reload = Reload {
            result,
            generation,
            time,
            messages,
        };
        self.tell(trigger, &reload);
        reload
    }

    fn tell(&self, trigger: Trigger, reload: &Reload) {
        let text = reload.messages.join("; ");
        let (result, trigger) = (reload.result.as_str(), trigger);
        match reload.result {
            // A file was touched; nobody needs to know.
            ReloadResult::Unchanged if trigger == Trigger::Watch && text.is_empty() => return,
            ReloadResult::Ok | ReloadResult::Unchanged => tracing::info!(
                result,
                trigger = trigger.as_str(),
                generation = reload.generation,
                "reload: {text}"
            ),
            ReloadResult::Refused | ReloadResult::Failed => tracing::error!(
                result,
                trigger = trigger.as_str(),
                generation = reload.generation,
                "reload refused, nothing has changed: {text}"
            ),
        }
        self.gateway.metrics.reloaded(reload.result);
        *self
            .gateway
            .last_reload
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(reload.clone());
    }

    /// Our own certificates, if their files have changed.
    fn certificates(&self) -> Vec<String> {
        let changed = self.gateway.tls.changed_files();
        if changed.is_empty() {
            return Vec::new();
        }
        let files = changed
            .iter()
            .map(|file| file.display().to_string())
            .collect::<Vec<_>>()
            .join(", ");
        match self.gateway.tls.reload() {
            Ok(warnings) => {
                self.gateway.metrics.certificates_reloaded(ReloadResult::Ok);
                let warnings = warnings.iter().map(ToString::to_string);
                std::iter::once(format!("certificates read again: {files}"))
                    .chain(warnings)
                    .collect()
            }
            Err(problems) => {
                self.gateway
                    .metrics
                    .certificates_reloaded(ReloadResult::Failed);
                let problems = problems
                    .iter()
                    .map(|problem| format!("certificates stay as they were: {problem}"));
                for problem in problems.clone() {
                    tracing::error!("{problem}");
                }
                problems.collect()
            }
        }
    }

    /// The revocation lists, if their files have changed. Whom they revoke is closed at once.
    fn revocations(&self) -> Vec<String> {
        let lists = self.gateway.tls.revocations();
        let changed = lists.changed_files();
        if changed.is_empty() {
            return Vec::new();
        }
        match lists.again() {
            Ok(lists) => {
                let expired = lists.expired(OffsetDateTime::now_utc());
                self.gateway.tls.set_revocations(lists);
                self.gateway.doubt();
                let read = (changed.iter()).map(|file| format!("{} read again", file.display()));
                read.chain(expired.iter().map(ToString::to_string))
                    .collect()
            }
            Err(problems) => problems
                .iter()
                .map(|problem| {
                    tracing::error!("{problem}");
                    format!("revocation lists stay as they were: {problem}")
                })
                .collect(),
        }
    }

    /// Builds and swaps; what changed, or nothing.
    async fn generation(&mut self, trigger: Trigger) -> Result<Vec<String>, Failure> {
        let file = self.gateway.file.clone();
        let read = tokio::task::spawn_blocking(move || {
            Config::load(&file).map(|config| {
                let digests = digests(&config);
                (config, digests)
            })
        });
        let (config, digests) = match read.await {
            Ok(Ok(read)) => read,
            Ok(Err(rejected)) => {
                let problems = rejected
                    .errors()
                    .map(|problem| format!("{}: {problem}", rejected.file.display()));
                return Err(Failure::faulty(problems.collect()));
            }
            Err(error) => return Err(Failure::faulty(vec![error.to_string()])),
        };
        let old = self.gateway.config();
        let trust_changed = self.gateway.tls.trust().changed_files();
        let changes = changes(&old, &config, &self.built, &digests, &trust_changed);
        if changes.is_empty() {
            self.failed = None;
            return Ok(changes);
        }
        let attempt = (config.clone(), digests.clone());
        if trigger == Trigger::Watch
            && trust_changed.is_empty()
            && self.failed.as_ref() == Some(&attempt)
        {
            return Ok(Vec::new());
        }
        match self.swap(config, &old).await {
            Ok(()) => {
                self.built = digests;
                self.failed = None;
                Ok(changes)
            }
            Err(failure) => {
                self.failed = Some(attempt);
                Err(failure)
            }
        }
    }

    async fn swap(&self, config: Config, old: &Config) -> Result<(), Failure> {
        let gateway = &self.gateway;
        let keys = Config::restart_needed(old, &config);
        if !keys.is_empty() {
            let messages = vec![format!("a restart is needed to change {}", keys.join(", "))];
            return Err(Failure {
                result: ReloadResult::Refused,
                messages,
            });
        }
        let settings = tls::Settings::from(&config);
        let trust: Trust =
            Tls::load_trust(&settings).map_err(|problems| Failure::tls(&problems))?;
        let revocations =
            Tls::load_revocations(&settings).map_err(|problems| Failure::tls(&problems))?;
        let number = gateway.chain.enter().number() + 1;
        let generation = Generation::build(
            &gateway.engine,
            &gateway.services,
            generation_spec(&config, number),
        )
        .await
        .map_err(|error| Failure::faulty(vec![error.to_string()]))?;

        gateway.tls.set_trust(trust);
        gateway.tls.set_revocations(revocations);
        gateway.directory.store(Arc::new(Directory::new(config)));
        let before = gateway.chain.swap(generation);
        gateway.retire_totals(&before);
        drop(before);
        gateway.chain.enter().started().await;
        // What the plugins have just said to partners is on its way before streams end.
        let (routed, done) = oneshot::channel();
        if gateway.emitted.send(routed).await.is_ok() {
            let _ = done.await;
        }
        gateway.dialer.forget_failures();
        gateway.posh.forget();
        gateway.generations.send_replace(number);
        gateway.doubt();
        Ok(())
    }
}

/// What differs, in words.
fn changes(
    old: &Config,
    new: &Config,
    built: &Digests,
    found: &Digests,
    trust: &[PathBuf],
) -> Vec<String> {
    let mut changes = Vec::new();
    if old != new {
        changes.push("the configuration has changed".to_owned());
    }
    for (path, digest) in found {
        if built.get(path).is_some_and(|before| before != digest) {
            changes.push(format!("{} has changed", path.display()));
        }
    }
    changes.extend(
        trust
            .iter()
            .map(|file| format!("{} has changed", file.display())),
    );
    changes
}

/// Warns of our own certificates that end soon, and of revocation lists that have expired.
pub(super) async fn expiry(gateway: Arc<Gateway>) {
    loop {
        for certificate in gateway
            .tls
            .expiring(OffsetDateTime::now_utc(), EXPIRES_SOON)
        {
            tracing::warn!(
                file = %certificate.file.display(),
                not_after = certificate.not_after.format(&Rfc3339).unwrap_or_default(),
                "one of the gateway's certificates expires soon"
            );
        }
        for problem in (gateway.tls.revocations()).expired(OffsetDateTime::now_utc()) {
            tracing::warn!("{problem}");
        }
        tokio::select! {
            () = gateway.phases.listening.cancelled() => return,
            () = sleep(EXPIRY_CHECK) => {}
        }
    }
}
