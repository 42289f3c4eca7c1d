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
mod request;
mod rollback;
mod take_over;

use std::sync::Arc;
use std::time::Instant;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::mpsc;

pub(super) use own::expiry;
pub use request::Trigger;
pub(crate) use request::{Action, Request};

use difference::between;
use report::Report;

use super::content::Content;
use super::gateway::Gateway;
use super::history::Mark;
use crate::admin::protocol::{Reload, ReloadResult};
use crate::config::{Config, Rejected};
use crate::tls::Problem;

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
}

pub(super) fn now() -> String {
    OffsetDateTime::now_utc()
        .format(&Rfc3339)
        .unwrap_or_default()
}
