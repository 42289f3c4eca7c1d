//! The observer's own thread: batch after batch to the plugin, however often that fails.

use std::sync::Arc;
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::source::Source;
use super::{FEW, FIRST_PAUSE, GATHER, GATHER_FEW, HANDOVER, LAST_TRIES, LONGEST_PAUSE};
use crate::decision::Heard;
use crate::instance::{Failure, Instance};
use crate::journal::Ended;
use crate::plugin::Plugin;
use crate::spec::OnFailure;

pub(super) struct Worker {
    pub(super) plugin: Arc<Plugin>,
    pub(super) instance: Option<Instance>,
    pub(super) source: Source,
    pub(super) failing: watch::Sender<Option<OffsetDateTime>>,
    pub(super) taken: watch::Sender<u64>,
    /// How long to wait after the next failure.
    pub(super) pause: Duration,
    /// How long the next decision waits for others.
    pub(super) patience: Duration,
}

impl Worker {
    pub(super) async fn run(mut self, before: Option<watch::Receiver<()>>) {
        if let Some(mut before) = before {
            // Nobody ever sends: it ends when the generation before is gone.
            if timeout(HANDOVER, before.changed()).await.is_err() {
                tracing::warn!(plugin = %self.plugin.name(), "the generation before still observes; decisions may be out of order");
            }
        }
        if !self.plugin.is_filter() && !self.plugin.is_gatekeeper() {
            self.started().await;
        }
        while let Some(batch) = self.source.next(self.patience).await {
            self.patience = patience(batch.len());
            self.deliver(&batch).await;
            let taken = count(&batch);
            self.taken
                .send_modify(|total| *total = total.saturating_add(taken));
            self.source.give_back(batch);
        }
        let failing = *self.failing.borrow();
        if let Some(since) = failing {
            tracing::warn!(plugin = %self.plugin.name(), "the failing observer is gone with its generation");
            self.plugin.record_end(None, Ended::Gone, since);
        }
    }

    async fn started(&mut self) {
        let Some(mut instance) = self.instance.take() else {
            return;
        };
        let since = Instant::now();
        let outcome = instance.started().await;
        self.plugin.context.figures.called(since.elapsed());
        match outcome {
            Ok(()) => self.instance = Some(instance),
            // The next batch has a new instance.
            Err(failure) => self.plugin.health.note(self.plugin.tell(&failure)),
        }
    }

    /// Offers a batch until it is taken, or until `on_failure` or the end of the generation says to
    /// give it up.
    async fn deliver(&mut self, batch: &Heard) {
        let mut retired = None;
        let mut tries = 0_u32;
        loop {
            let Err(failure) = self.offer(batch).await else {
                self.works();
                return;
            };
            tries = tries.saturating_add(1);
            let text = self.plugin.tell(&failure);
            self.plugin.health.note(text.clone());
            let give_up = match self.plugin.on_failure {
                OnFailure::Open => tries > 1,
                OnFailure::Closed if self.source.is_ended() => {
                    retired.get_or_insert_with(Instant::now).elapsed() > LAST_TRIES
                }
                OnFailure::Closed => false,
            };
            // One lost try of an open observer is no quarantine yet: the batch is not lost.
            if give_up || self.plugin.on_failure == OnFailure::Closed {
                self.fails(&text);
            }
            if give_up {
                let lost = count(batch);
                self.plugin.context.figures.lost.add(lost);
                if self.plugin.on_failure == OnFailure::Closed {
                    tracing::error!(plugin = %self.plugin.name(), failure = %text, lost,
                        "decisions were not observed and are lost with their generation");
                }
                return;
            }
            sleep(self.pause).await;
            self.pause = self.pause.saturating_mul(2).min(LONGEST_PAUSE);
        }
    }

    /// Tells once that the quarantine begins.
    fn fails(&self, failure: &str) {
        if self.failing.borrow().is_some() {
            return;
        }
        self.failing.send_replace(Some(OffsetDateTime::now_utc()));
        self.plugin.context.figures.quarantines.add(1);
        self.plugin.record_rest(None, failure, self.pause);
        let means = match self.plugin.on_failure {
            OnFailure::Closed => "no stream is read until it works again",
            OnFailure::Open => "decisions are lost and counted until it works again",
        };
        tracing::error!(plugin = %self.plugin.name(), failure, "the observer fails; {means}");
    }

    /// Tells once that the quarantine is over.
    fn works(&mut self) {
        self.pause = FIRST_PAUSE;
        if let Some(since) = self.failing.send_replace(None) {
            tracing::warn!(plugin = %self.plugin.name(), "the observer works again");
            self.plugin.record_end(None, Ended::Answers, since);
        }
    }

    async fn offer(&mut self, batch: &Heard) -> Result<(), Failure> {
        let mut instance = match self.instance.take() {
            Some(instance) => instance,
            None => self.plugin.rebuild().await?,
        };
        let since = Instant::now();
        let outcome = instance.observe(batch).await;
        self.plugin.context.figures.called(since.elapsed());
        let word = outcome?;
        self.instance = Some(instance);
        word.map_err(Failure::Reported)
    }
}

fn count(batch: &Heard) -> u64 {
    u64::try_from(batch.len()).unwrap_or(u64::MAX)
}

/// How long the next decision waits for others, after a batch of so many.
fn patience(batch: usize) -> Duration {
    match batch < FEW {
        true => GATHER_FEW,
        false => GATHER,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{BATCH, QUEUE};
    use super::*;

    #[test]
    fn who_sends_much_after_a_quiet_time_does_not_find_the_queue_full() {
        assert_eq!(patience(1), GATHER_FEW);
        assert_eq!(patience(BATCH), GATHER);
        // Ten times as fast as the fastest that still counts as few, for the whole of one pause.
        const { assert!(10 * (FEW - 1) < QUEUE) };
    }
}
