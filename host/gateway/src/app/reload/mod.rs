//! Another policy without a restart.
//!
//! In: requests, from a signal, the admin socket, a watched directory or a caller; served one after
//! the other. Out: a new generation that judges from one stanza to the next, or everything as it was
//! and the reason in the log, the status and the metrics. The same content is no reload; a change
//! that needs a restart refuses the whole change. The gateway's own certificates go their own way:
//! they are shown from the next handshake on, whatever becomes of the rest ([`own`]).
//!
//! A rollback makes a new generation from one that was [kept](super::history). From then on files
//! that change by themselves change nothing: only a reload that an operator asks for reads them.

mod difference;
mod own;
mod report;

use std::sync::{Arc, PoisonError};
use std::time::Instant;

use portcullis_policy::Generation;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::{mpsc, oneshot};

use difference::{between, words};
pub(super) use own::expiry;
use report::Report;

use super::content::{Bytes, Content, hex};
use super::directory::Directory;
use super::gateway::Gateway;
use super::history::{Mark, Record};
use crate::admin::protocol::{Reload, ReloadResult, RolledBack};
use crate::config::{Config, Rejected, told};
use crate::tls::{Problem, Tls, Trust};

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

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Judge by what the files say.
    Reload,
    /// Find out what that would be.
    DryRun,
    /// Judge by a generation of the past; none: the last that said something else.
    Rollback(Option<u64>),
}

/// One request; who waits for the result is told.
#[derive(Debug)]
pub(crate) struct Request {
    pub(super) trigger: Trigger,
    pub(super) action: Action,
    pub(super) reply: Option<oneshot::Sender<Reload>>,
}

/// The one task that reloads.
pub(super) struct Reloader {
    gateway: Arc<Gateway>,
    /// What the generation in force was built from.
    built: Content,
    /// The rollback in force, if there is one.
    mark: Option<Mark>,
    /// What was tried last in vain: a watched directory that moves should not try it again.
    failed: Option<Content>,
    /// The configuration that the process started with: what only a restart changes.
    started: Config,
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

    fn rejected(rejected: &Rejected) -> Self {
        let problems = rejected.errors();
        let file = rejected.file.display();
        Self::faulty(
            problems
                .map(|problem| format!("{file}: {problem}"))
                .collect(),
        )
    }
}

impl From<tokio::task::JoinError> for Failure {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::faulty(vec![error.to_string()])
    }
}

impl Reloader {
    pub(super) fn new(
        gateway: Arc<Gateway>,
        built: Content,
        mark: Option<Mark>,
        started: Config,
    ) -> Self {
        Self {
            gateway,
            built,
            mark,
            failed: None,
            started,
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
            let Some(request) = request else {
                return;
            };
            let reload = self.serve(request.trigger, request.action).await;
            if let Some(reply) = request.reply {
                // Who asked may be gone.
                let _ = reply.send(reload);
            }
        }
    }

    async fn serve(&mut self, trigger: Trigger, action: Action) -> Reload {
        let mut report = Report::new(trigger, action);
        let outcome = match action {
            Action::Reload => {
                report.messages.extend(self.certificates());
                report.messages.extend(self.revocations());
                self.reload(trigger, &mut report).await
            }
            Action::DryRun => {
                let changed = self.gateway.tls.changed_files();
                let files = changed.iter().map(|file| file.display());
                let told = files.map(|file| format!("certificates would be read again: {file}"));
                report.messages.extend(told);
                self.reload(trigger, &mut report).await
            }
            Action::Rollback(number) => self.roll_back(number, &mut report).await,
        };
        let result = match outcome {
            Ok(result) => result,
            Err(failure) => {
                report.messages.extend(failure.messages);
                failure.result
            }
        };
        report.finish(&self.gateway, result)
    }

    /// Judges by what the files say, or finds out whether it could.
    async fn reload(
        &mut self,
        trigger: Trigger,
        report: &mut Report,
    ) -> Result<ReloadResult, Failure> {
        let since = Instant::now();
        let file = self.gateway.file.clone();
        let read = tokio::task::spawn_blocking(move || Content::read(&file)).await?;
        report.step("read", since.elapsed());
        let (content, bytes, warnings) = match read {
            Ok(read) => read,
            Err(rejected) => {
                if self.mark.is_some() && trigger == Trigger::Watch {
                    self.files_differ(true);
                    return Ok(ReloadResult::Unchanged);
                }
                return Err(Failure::rejected(&rejected));
            }
        };
        self.gateway.watched.send_if_modified(|watched| {
            let directories = content.directories();
            let before = watched.len();
            watched.extend(directories);
            watched.len() != before
        });
        report.changes = between(&self.built, &content);
        let keys = Config::restart_needed(&self.started, &content.config);
        let same = report.changes.is_empty() && keys.is_empty();
        if self.mark.is_some() && trigger == Trigger::Watch {
            self.files_differ(!same);
            return Ok(ReloadResult::Unchanged);
        }
        if same {
            self.failed = None;
            if !report.is_dry() {
                self.unmark(report).await;
            }
            return Ok(ReloadResult::Unchanged);
        }
        if trigger == Trigger::Watch && self.failed.as_ref() == Some(&content) {
            return Ok(ReloadResult::Unchanged);
        }
        for warning in &warnings {
            report.messages.push(warning.to_string());
        }
        if !keys.is_empty() {
            self.failed = Some(content);
            return Err(Failure {
                result: ReloadResult::Refused,
                messages: vec![format!("a restart is needed to change {}", keys.join(", "))],
            });
        }
        match self.take_over(&content, &bytes, report).await {
            Ok(()) if report.is_dry() => Ok(ReloadResult::Ok),
            Ok(()) => {
                self.built = content;
                self.failed = None;
                self.unmark(report).await;
                Ok(ReloadResult::Ok)
            }
            Err(failure) => {
                self.failed = Some(content);
                Err(failure)
            }
        }
    }

    /// Judges by a generation that was kept.
    async fn roll_back(
        &mut self,
        number: Option<u64>,
        report: &mut Report,
    ) -> Result<ReloadResult, Failure> {
        let since = Instant::now();
        let history = Arc::clone(&self.gateway.history);
        let current = self.gateway.chain.enter().number();
        let config = self.built.config.clone();
        let file = self.gateway.file.clone();
        let work = move || {
            let number = match number {
                Some(number) => number,
                None => history.before(current).map_err(|error| error.to_string())?,
            };
            let (record, bytes) = history.load(number).map_err(|error| error.to_string())?;
            let places = history.places(&record);
            let content = Content::restored(&config, &record, places)?;
            let on_disk = Content::read(&file).ok();
            let files = on_disk.map(|(on_disk, ..)| hex(&on_disk.identity()));
            Ok::<_, String>((number, content, bytes, files))
        };
        let loaded = tokio::task::spawn_blocking(work).await?;
        report.step("read", since.elapsed());
        let (number, content, bytes, files) =
            loaded.map_err(|error| Failure::faulty(vec![error]))?;
        report.made_from = Some(number);
        report.changes = between(&self.built, &content);
        if report.changes.is_empty() {
            let text = format!("generation {current} judges by the policy of {number} already");
            report.messages.push(text);
            return Ok(ReloadResult::Unchanged);
        }
        self.take_over(&content, &bytes, report).await?;
        let differ = files != Some(hex(&content.identity()));
        let mark = Mark {
            to: number,
            number: self.gateway.chain.enter().number(),
            since: now(),
            files,
        };
        let history = Arc::clone(&self.gateway.history);
        let kept = mark.clone();
        let marked = tokio::task::spawn_blocking(move || history.set_mark(Some(&kept))).await?;
        if let Err(error) = marked {
            let text = format!("a restart would read the files again: {error}");
            report.messages.push(text);
        }
        *self.rolled_back() = Some(RolledBack {
            to: number,
            since: mark.since.clone(),
            files_differ: differ,
        });
        self.built = content;
        self.failed = None;
        self.mark = Some(mark);
        let text = format!(
            "rolled back to generation {number}: its policy judges until `portcullis reload`, whatever the files say"
        );
        report.messages.push(text);
        Ok(ReloadResult::Ok)
    }

    /// Builds the next generation and lets it judge, unless it is only to be tried.
    async fn take_over(
        &self,
        content: &Content,
        bytes: &Bytes,
        report: &mut Report,
    ) -> Result<(), Failure> {
        let gateway = &self.gateway;
        let since = Instant::now();
        let settings = content.tls_settings();
        let trust: Trust =
            Tls::load_trust(&settings).map_err(|problems| Failure::tls(&problems))?;
        let revocations =
            Tls::load_revocations(&settings).map_err(|problems| Failure::tls(&problems))?;
        report.step("trust", since.elapsed());
        let number = gateway.history.next_number();
        let spec = content.spec(bytes, number);
        let generation = Generation::build(&gateway.engine, &gateway.services, spec)
            .await
            .map_err(|error| Failure::faulty(told(&content.config.file, &error)))?;
        report.built(generation.times());
        // Only components are built from the bytes that were read at first.
        let (again, held) = (content.clone(), bytes.clone());
        let moved = move || again.moved(&held).map(|path| path.display().to_string());
        if let Some(moved) = tokio::task::spawn_blocking(moved).await? {
            let text = format!("{moved} changed while the generation was built; try again");
            return Err(Failure::faulty(vec![text]));
        }
        self.name_versions(&generation, report);
        if report.is_dry() {
            return Ok(());
        }

        let since = Instant::now();
        if let Err(text) = self.keep(content, bytes, &generation, report).await {
            tracing::error!("{text}");
            report.messages.push(text);
        }
        report.step("keep", since.elapsed());
        let since = Instant::now();
        gateway.tls.set_trust(trust);
        gateway.tls.set_revocations(revocations);
        let directory = Directory::new(content.config.clone());
        gateway.directory.store(Arc::new(directory));
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
        report.step("swap", since.elapsed());
        Ok(())
    }

    /// Puts the generation on disk before it judges, so that its number is never given twice.
    async fn keep(
        &self,
        content: &Content,
        bytes: &Bytes,
        generation: &Generation,
        report: &Report,
    ) -> Result<(), String> {
        let record = Record::of(content, generation, report.trigger(), report.made_from);
        let (history, bytes) = (Arc::clone(&self.gateway.history), bytes.clone());
        let most = content.config.gateway.generations_kept;
        let number = generation.number();
        let task = tokio::task::spawn_blocking(move || history.keep(record, &bytes, most));
        let kept = task.await.map_err(|error| error.to_string())?;
        kept.map_err(|error| {
            self.gateway.metrics.not_kept();
            format!("generation {number} judges, but could not be kept to go back to: {error}")
        })
    }

    /// Adds the versions that components state to the changes.
    fn name_versions(&self, generation: &Generation, report: &mut Report) {
        let of = |generation: &Generation, name: &str| {
            let plugins = generation.plugins().into_iter();
            plugins
                .filter(|plugin| plugin.name == name)
                .find_map(|plugin| plugin.version)
        };
        let current = self.gateway.chain.enter();
        for change in &mut report.changes.plugins {
            if let Some(before) = &mut change.before {
                before.version = of(&current, &change.name);
            }
            if let Some(after) = &mut change.after {
                after.version = of(generation, &change.name);
            }
        }
    }

    /// A reload by an operator ends a rollback.
    async fn unmark(&mut self, report: &mut Report) {
        let Some(mark) = self.mark.take() else {
            return;
        };
        *self.rolled_back() = None;
        let text = format!("the rollback to generation {} has ended", mark.to);
        report.messages.push(text);
        let history = Arc::clone(&self.gateway.history);
        let forgotten = tokio::task::spawn_blocking(move || history.set_mark(None)).await;
        if let Ok(Err(error)) = forgotten {
            let text = format!("a restart would roll back again: {error}");
            tracing::error!("{text}");
            report.messages.push(text);
        }
    }

    /// Notes, while a rollback is in force, whether the files say something else.
    fn files_differ(&self, differ: bool) {
        if let Some(rolled_back) = &mut *self.rolled_back() {
            if differ && !rolled_back.files_differ {
                let to = rolled_back.to;
                tracing::warn!(
                    to,
                    "files have changed, but the rollback is in force: `portcullis reload` reads them"
                );
            }
            rolled_back.files_differ = differ;
        }
    }

    fn rolled_back(&self) -> std::sync::MutexGuard<'_, Option<RolledBack>> {
        let rolled_back = self.gateway.rolled_back.lock();
        rolled_back.unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn now() -> String {
    OffsetDateTime::now_utc()
        .format(&Rfc3339)
        .unwrap_or_default()
}
