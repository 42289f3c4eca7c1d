//! The bench does not rot: every target works for a moment with nothing lost, wherever it is installed.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const LOAD: &str = env!("CARGO_BIN_EXE_portcullis-load");
/// The generator's word for a target that is not installed.
const NOT_INSTALLED: i32 = 3;

/// What the generator reports; none, with a word about it, if the target is not here.
fn report(command: &str, target: &str, more: &[&str]) -> Option<Value> {
    let mut load = Command::new(LOAD);
    load.args([command, "--target", target, "--json"])
        .args(more);
    if target == "gateway" {
        let Some(gateway) = gateway() else {
            println!("skipped: no gateway was built beside {LOAD}");
            return None;
        };
        load.arg("--gateway").arg(gateway);
    }
    let done = load.output().unwrap();
    if done.status.code() == Some(NOT_INSTALLED) {
        println!("skipped: {}", String::from_utf8_lossy(&done.stderr));
        return None;
    }
    assert!(
        done.status.success(),
        "{command} {target}: {}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
    Some(serde_json::from_slice(&done.stdout).unwrap())
}

/// The program itself, or the copy that a test of the whole workspace builds.
fn gateway() -> Option<PathBuf> {
    ["portcullis", "portcullis_under_test"]
        .map(|name| Path::new(LOAD).with_file_name(name))
        .into_iter()
        .find(|program| program.is_file())
}

fn nothing_is_lost(target: &str, more: &[&str]) {
    let moment = ["--seconds", "0.2", "--streams", "2", "--window", "16"];
    let arguments = [&moment, more].concat();
    let Some(report) = report("run", target, &arguments) else {
        return;
    };
    assert!(report["measured"].as_u64() > Some(0), "{report}");
    for wrong in ["lost", "doubled", "reordered"] {
        assert_eq!(report[wrong], 0, "{report}");
    }
    let times = ["p50_us", "p99_us", "p999_us", "most_us"].map(|time| report[time].as_u64());
    assert!(times.is_sorted() && times[0] > Some(0), "{report}");
    assert!(report["target_cpu_us"].as_f64() > Some(0.0), "{report}");
}

#[test]
fn relays_pass_everything_on() {
    for target in ["relay-copy", "relay-frame-each", "haproxy"] {
        nothing_is_lost(target, &["--rate", "500"]);
        nothing_is_lost(target, &["--stanzas", "mix"]);
    }
}

#[test]
fn the_gateway_passes_everything_on_both_ways() {
    let more = ["--ways", "both", "--stanzas", "mix", "--idle", "3"];
    nothing_is_lost("gateway", &more);
}

#[test]
fn prosody_passes_everything_on() {
    nothing_is_lost("prosody", &[]);
}

#[test]
fn ejabberd_passes_everything_on() {
    nothing_is_lost("ejabberd", &[]);
}

#[test]
fn a_policy_keeps_the_forbidden_word_out_and_nothing_else() {
    for target in ["prosody-policy", "ejabberd-policy"] {
        if let Some(report) = report("check", target, &[]) {
            assert_eq!(report["forbidden"], serde_json::json!([20, 0]), "{target}");
            assert_eq!(report["allowed"], serde_json::json!([21, 21]), "{target}");
        }
    }
}

#[test]
fn who_has_no_policy_is_told_apart() {
    let done = Command::new(LOAD)
        .args(["check", "--target", "relay-copy", "--json"])
        .status();
    assert_eq!(done.unwrap().code(), Some(1));
}

#[test]
fn streams_that_come_and_go_or_stay_idle_are_measured() {
    for target in ["relay-accept", "gateway"] {
        let seconds = ["--seconds", "0.2", "--streams", "4"];
        if let Some(report) = report("handshakes", target, &seconds) {
            assert!(report["per_cpu_second"].as_f64() > Some(0.0), "{report}");
        }
        let few = ["--streams", "20", "--rest", "1"];
        if let Some(report) = report("idle", target, &few) {
            assert!(report["resident_settled"].as_u64() > Some(0), "{report}");
        }
    }
}

#[test]
fn a_second_start_is_measured_apart_from_the_first() {
    if let Some(report) = report("start", "gateway", &["--times", "2", "--rest", "0.1"]) {
        assert_eq!(report["ready_ms"].as_array().map(Vec::len), Some(2));
        assert!(report["resident"].as_u64() > Some(0), "{report}");
    }
}

#[test]
fn an_idle_stream_costs_the_gateway_twenty_four_kibibytes_at_most() {
    // What the process itself grows by at first is shared among these.
    if let Some(report) = report("idle", "gateway", &["--streams", "500", "--rest", "10"]) {
        let each = report["each"].as_u64().unwrap();
        assert!((1..=24 * 1024).contains(&each), "{report}");
    }
}
