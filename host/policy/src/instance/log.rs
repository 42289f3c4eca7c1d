//! A plugin's log: its `log` import, its stdout and its stderr, as far as its share goes.
//!
//! In: text from the guest, hostile. Out: tracing events under the target `plugin`, one line each,
//! control characters escaped. What is beyond the share is counted and told once a second.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::figures::Figures;

/// Longer lines are cut (WIT, interface `log`).
pub(crate) const LINE_BYTES: usize = 4096;

/// Words of the host about failed calls in a second: a plugin that fails at every stanza must not fill
/// the disk either.
const FAILURES_A_SECOND: u32 = 20;

/// How loud a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

/// One plugin's log, shared by its instances.
#[derive(Debug)]
pub(crate) struct PluginLog {
    plugin: Arc<str>,
    figures: Arc<Figures>,
    /// More lines in a second are counted only.
    lines_a_second: u32,
    lines: Mutex<Share>,
    /// A share of their own: chatter must not hide why a plugin fails.
    failures: Mutex<Share>,
}

#[derive(Debug)]
struct Share {
    since: Instant,
    lines: u32,
    suppressed: u64,
}

impl PluginLog {
    pub(crate) fn new(plugin: Arc<str>, figures: Arc<Figures>, lines_a_second: u32) -> Self {
        Self {
            plugin,
            figures,
            lines_a_second,
            lines: Mutex::new(Share::new(Instant::now())),
            failures: Mutex::new(Share::new(Instant::now())),
        }
    }

    /// The host's word about a failed call.
    pub(crate) fn failure(&self, failure: &str) {
        let (admitted, suppressed) = take(&self.failures, FAILURES_A_SECOND);
        if suppressed > 0 {
            tracing::warn!(
                plugin = &*self.plugin,
                suppressed,
                "the plugin fails too often to tell each time"
            );
        }
        if admitted {
            tracing::warn!(
                plugin = &*self.plugin,
                failure = line(failure),
                "the plugin failed"
            );
        }
    }

    /// Writes one line, or counts it.
    pub(crate) fn write(&self, level: Level, message: &str) {
        let plugin = &*self.plugin;
        if !self.admit() {
            return;
        }
        let message = line(message);
        match level {
            Level::Trace => tracing::trace!(target: "plugin", plugin, "{message}"),
            Level::Debug => tracing::debug!(target: "plugin", plugin, "{message}"),
            Level::Info => tracing::info!(target: "plugin", plugin, "{message}"),
            Level::Warn => tracing::warn!(target: "plugin", plugin, "{message}"),
            Level::Error => tracing::error!(target: "plugin", plugin, "{message}"),
        }
    }

    fn admit(&self) -> bool {
        let (admitted, suppressed) = take(&self.lines, self.lines_a_second);
        if !admitted {
            self.figures.log_dropped.add(1);
        }
        if suppressed > 0 {
            tracing::warn!(
                plugin = &*self.plugin,
                suppressed,
                "the plugin logs too much"
            );
        }
        admitted
    }
}

fn take(share: &Mutex<Share>, lines_a_second: u32) -> (bool, u64) {
    let mut share = share.lock().unwrap_or_else(PoisonError::into_inner);
    share.take(Instant::now(), lines_a_second)
}

impl Share {
    fn new(since: Instant) -> Self {
        Self {
            since,
            lines: 0,
            suppressed: 0,
        }
    }

    /// Whether a line may be written now, and how many were suppressed in the second that has ended.
    fn take(&mut self, now: Instant, lines_a_second: u32) -> (bool, u64) {
        let mut told = 0;
        if now.saturating_duration_since(self.since) >= Duration::from_secs(1) {
            told = std::mem::take(&mut self.suppressed);
            self.since = now;
            self.lines = 0;
        }
        if self.lines < lines_a_second {
            self.lines += 1;
            return (true, told);
        }
        self.suppressed = self.suppressed.saturating_add(1);
        (false, told)
    }
}

/// At most `limit` bytes of `text`, cut between characters.
pub(crate) fn cut(text: &str, limit: usize) -> &str {
    text.get(..text.floor_char_boundary(limit)).unwrap_or(text)
}

/// One line of bounded length without control characters.
fn line(message: &str) -> String {
    let mut line = String::with_capacity(message.len().min(LINE_BYTES));
    for character in cut(message, LINE_BYTES).chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_lines_in_a_second_than_its_share_are_counted() {
        let start = Instant::now();
        let mut share = Share::new(start);
        let written = (0..150).filter(|_| share.take(start, 100).0).count();
        assert_eq!(written, 100);
        assert_eq!(share.take(start + Duration::from_secs(1), 100), (true, 50));
        assert_eq!(share.take(start + Duration::from_secs(1), 100), (true, 0));
    }

    #[test]
    fn a_line_stays_one_line_of_bounded_length() {
        assert_eq!(line("a\nb\u{1b}[31m"), "a\\nb\\u{1b}[31m");
        assert_eq!(line(&"ä".repeat(LINE_BYTES)).len(), LINE_BYTES);
    }
}
