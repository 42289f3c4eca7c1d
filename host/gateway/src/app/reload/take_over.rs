//! From content to a generation that judges.
//!
//! In: what was read, all of it at one moment. Out: the generation judges, is kept on disk, and every
//! stream is asked again on its terms; or, for a dry run, it was built, rehearsed and thrown away. What
//! can fail, fails before anything is changed; a disk that does not keep it is told, and no reason to stop.

use std::sync::Arc;
use std::time::Instant;

use portcullis_policy::Generation;
use tokio::sync::oneshot;

use super::report::Report;
use super::{Failure, Reloader};
use crate::app::content::{Bytes, Content};
use crate::app::directory::Directory;
use crate::app::history::Record;
use crate::config::told;
use crate::tls::{Tls, Trust};

impl Reloader {
    /// Builds the next generation and lets it judge, unless it is only to be tried.
    pub(super) async fn take_over(
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
        drop(gateway.totals.swap(&gateway.chain, generation));
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
}
