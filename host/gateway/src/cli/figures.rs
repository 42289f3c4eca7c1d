//! The plugins in `portcullis status`: what each did, what it uses, and what is wrong with it.
//!
//! In: the gateway's answer. Out: a table with one row a plugin, and below it a mark for each plugin
//! that failed or was held back. Texts of plugins are shown with escapes.

use std::time::Duration;

use super::{
    ask::moment,
    terminal::{Level, Terminal},
};
use crate::admin::protocol::Plugin;

pub(super) fn show(terminal: Terminal, plugins: &[Plugin]) {
    if plugins.is_empty() {
        return;
    }
    let headings = [
        "plugin",
        "capabilities",
        "calls",
        "p50",
        "p99",
        "memory",
        "state",
        "digest",
        "state of health",
    ];
    let rows: Vec<_> = plugins
        .iter()
        .map(|plugin| {
            [
                plugin.name.clone(),
                plugin.capabilities.join(", "),
                plugin.calls.to_string(),
                time(plugin.call_p50_ns),
                time(plugin.call_p99_ns),
                size(plugin.memory_bytes),
                format!("{} keys, {}", plugin.state_keys, size(plugin.state_bytes)),
                plugin.digest.chars().take(12).collect(),
                health(plugin),
            ]
        })
        .collect();
    terminal.table(headings, &rows);
    for plugin in plugins {
        if let Some(text) = quarantine(plugin) {
            terminal.mark(Level::Problem, &text, None);
        }
        for text in resting(plugin) {
            terminal.mark(Level::Warning, &text, None);
        }
        if let Some(text) = troubles(plugin) {
            terminal.mark(Level::Warning, &text, None);
        }
    }
}

fn health(plugin: &Plugin) -> String {
    if plugin.quarantined.is_some() {
        return String::from("quarantined");
    }
    let mut health = String::from("works");
    if plugin.mode == "shadow" {
        health.push_str(", as a shadow");
    }
    if plugin.failures > 0 {
        health.push_str(&format!(", failed {} times", plugin.failures));
    }
    health
}

fn quarantine(plugin: &Plugin) -> Option<String> {
    let reason = plugin.quarantined.as_ref()?;
    let since = plugin.quarantined_since.as_deref().map(moment);
    let next = match plugin.quarantined_until.as_deref().map(moment) {
        Some(until) => format!("tried again at {until}"),
        None => String::from("tried again every few seconds"),
    };
    Some(format!(
        "{} is quarantined since {}, {next}: {reason}",
        plugin.name,
        since.unwrap_or_default()
    ))
}

/// One line for each sender that it is not asked about, and one for those that are not named.
fn resting(plugin: &Plugin) -> Vec<String> {
    let mut lines: Vec<_> = (plugin.resting.iter())
        .map(|resting| {
            let until = resting.until.as_deref().map(moment).unwrap_or_default();
            format!(
                "{} is not asked about {} since {}, tried again at {until}: it failed again and again on what that sends",
                plugin.name,
                resting.sender,
                moment(&resting.since),
            )
        })
        .collect();
    let more = (plugin.senders_resting).saturating_sub(lines.len() as u64);
    if more > 0 {
        lines.push(format!(
            "{} is not asked about {more} more senders",
            plugin.name
        ));
    }
    lines
}

/// What went wrong in this generation and what was refused; none if nothing did.
fn troubles(plugin: &Plugin) -> Option<String> {
    let mut told = Vec::new();
    if !plugin.failures_by_cause.is_empty() {
        let causes: Vec<_> = (plugin.failures_by_cause.iter())
            .map(|(cause, count)| format!("{count} {cause}"))
            .collect();
        told.push(format!("failures: {}", causes.join(", ")));
    }
    for (count, what) in [
        (plugin.quarantines, "quarantines"),
        (plugin.sender_rests, "quarantines of a single sender"),
        (plugin.skipped, "questions that on_failure answered"),
        (plugin.decisions_lost, "decisions not observed"),
        (plugin.log_lines_dropped, "log lines dropped"),
        (plugin.edits_refused, "edits refused"),
        (plugin.state_refused, "changes of state refused"),
    ] {
        if count > 0 {
            told.push(format!("{count} {what}"));
        }
    }
    if let Some(failure) = plugin
        .last_failure
        .as_ref()
        .filter(|_| plugin.quarantined.is_none())
    {
        told.push(format!("last failure: {failure}"));
    }
    (!told.is_empty()).then(|| format!("{}: {}", plugin.name, told.join("; ")))
}

/// A time with three digits and its unit.
fn time(nanoseconds: Option<u64>) -> String {
    nanoseconds.map_or_else(String::new, |nanoseconds| {
        format!("{:.2?}", Duration::from_nanos(nanoseconds))
    })
}

/// Bytes in the largest unit that leaves a whole number of at least one.
fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{} KiB", bytes / 1024),
        _ => format!("{} MiB", bytes / 1_048_576),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugin(more: serde_json::Value) -> Plugin {
        let mut all = serde_json::json!({
            "name": "limiter", "digest": "", "mode": "active", "capabilities": [], "calls": 7, "failures": 0,
            "last_failure": null, "quarantined": null, "quarantined_since": null,
            "quarantined_until": null, "failures_by_cause": {}, "call_p50_ns": null,
            "call_p99_ns": null, "skipped": 0, "quarantines": 0, "decisions_lost": 0,
            "memory_bytes": 0, "state_bytes": 0, "state_bytes_limit": 0, "state_keys": 0,
            "state_keys_limit": 0, "state_refused": 0, "log_lines_dropped": 0, "edits": 0,
            "edits_refused": 0,
        });
        for (key, value) in more.as_object().unwrap() {
            all[key] = value.clone();
        }
        serde_json::from_value(all).unwrap()
    }

    #[test]
    fn a_plugin_that_works_makes_no_line_of_its_own() {
        let works = plugin(serde_json::json!({}));
        assert_eq!((quarantine(&works), troubles(&works)), (None, None));
    }

    #[test]
    fn what_is_wrong_with_a_plugin_is_told_with_its_cause_and_its_times() {
        let resting = plugin(serde_json::json!({
            "quarantined": "it panicked", "quarantined_since": "2026-11-22T10:00:00.123Z",
            "quarantined_until": "2026-11-22T10:00:02Z", "quarantines": 1, "skipped": 3,
            "failures_by_cause": { "panic": 4, "budget": 1 }, "last_failure": "it panicked",
        }));
        assert_eq!(
            quarantine(&resting).unwrap(),
            "limiter is quarantined since 2026-11-22T10:00:00Z, tried again at \
             2026-11-22T10:00:02Z: it panicked"
        );
        assert_eq!(
            troubles(&resting).unwrap(),
            "limiter: failures: 1 budget, 4 panic; 1 quarantines; 3 questions that on_failure answered"
        );
    }

    #[test]
    fn who_it_is_not_asked_about_is_named() {
        let wary = plugin(serde_json::json!({
            "senders_resting": 3,
            "resting": [{ "sender": "evil.test", "since": "2026-11-22T10:00:00Z", "until": "2026-11-22T10:00:04Z" }],
        }));
        assert_eq!(
            resting(&wary),
            [
                "limiter is not asked about evil.test since 2026-11-22T10:00:00Z, tried again at \
                 2026-11-22T10:00:04Z: it failed again and again on what that sends",
                "limiter is not asked about 2 more senders",
            ]
        );
    }

    #[test]
    fn times_and_sizes_have_their_units() {
        assert_eq!(time(Some(1280)), "1.28µs");
        assert_eq!(time(None), "");
        assert_eq!(
            [size(7), size(2048), size(5 << 20)],
            ["7 B", "2 KiB", "5 MiB"]
        );
    }
}
