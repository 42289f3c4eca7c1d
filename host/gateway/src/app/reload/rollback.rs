//! A generation of the past that judges again, until an operator asks for what the files say.
//!
//! In: its number, or none for the last that said something else; what was [kept](crate::app::history)
//! of it. Out: a new generation with its policy, and a mark on the disk, so that a restart judges by it,
//! too. While the mark stands, files that change by themselves change nothing but what the status says.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Instant;

use super::difference::between;
use super::report::Report;
use super::{Failure, Reloader, now};
use crate::admin::protocol::{ReloadResult, RolledBack};
use crate::app::content::{Content, hex};
use crate::app::history::Mark;

impl Reloader {
    /// Judges by a generation that was kept.
    pub(super) async fn roll_back(
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

    /// A reload by an operator ends a rollback.
    pub(super) async fn unmark(&mut self, report: &mut Report) {
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
    pub(super) fn files_differ(&self, differ: bool) {
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

    fn rolled_back(&self) -> MutexGuard<'_, Option<RolledBack>> {
        let rolled_back = self.gateway.rolled_back.lock();
        rolled_back.unwrap_or_else(PoisonError::into_inner)
    }
}
