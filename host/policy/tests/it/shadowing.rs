//! A shadow plugin: it sees what the chain sees, and has no effect.

use portcullis_policy::shadow::{Difference, Report};
use portcullis_policy::{Chain, Engine, EngineSettings, Generation, Mode, PluginSpec};
use serde_json::json;
use std::sync::Arc;

use crate::support::{Stream, World, domain, plugin, status, told};

fn shadow(tag: &str, config: serde_json::Value) -> PluginSpec {
    PluginSpec {
        mode: Mode::Shadow,
        ..plugin(tag, config)
    }
}

/// A world with accounts of its own: other tests' shadows count elsewhere.
fn world() -> World {
    let engine = Arc::new(Engine::new(EngineSettings::default()).unwrap());
    World {
        engine,
        ..World::new()
    }
}

fn report(world: &World, tag: &str) -> Report {
    let reports = world.engine.shadows().reports();
    let name = format!("plugin-{tag}");
    let found = reports.into_iter().find(|report| report.plugin == name);
    found.unwrap_or_else(|| panic!("{name} was no shadow"))
}

fn count(report: &Report, difference: Difference) -> u64 {
    report.differences[&difference]
}

async fn live(world: &World, plugins: Vec<PluginSpec>) -> Chain {
    Chain::new(world.build(plugins).await.unwrap())
}

/// What became of each of these messages: the verdict, and the stanza as it went on.
async fn outcomes(generation: &Generation, scripts: &[&str]) -> Vec<(String, String, bool)> {
    let mut stream = Stream::from_partner("alpha.test");
    let mut outcomes = Vec::new();
    for script in scripts {
        let judged = generation.judge(stream.message(script)).await;
        let by_shadow = judged.by().is_some_and(|by| &**by == "plugin-s");
        outcomes.push((told(&judged), judged.stanza().to_xml(), by_shadow));
    }
    outcomes
}

/// The traffic for the shadow `s` beside `a` and `b`: everything that a plugin can do wrong.
const TRAFFIC: [&str; 14] = [
    "plain",
    "s:reject:no",
    "s:drop:no",
    "s:edit",
    "a:edit s:edit b:edit",
    "a:reject:first s:drop:second",
    "b:drop:later s:pass",
    "b:edit",
    "s:panic",
    "s:loop",
    "s:memory",
    "s:exit",
    "s:edit-and-panic",
    "s:unavailable:juliet@org.test,romeo@alpha.test",
];

#[tokio::test]
async fn whatever_a_shadow_does_everything_ends_as_without_it() {
    let mut world = world();
    let without = live(&world, vec![plugin("a", json!({})), plugin("b", json!({}))]).await;
    let expected = outcomes(&without.enter(), &TRAFFIC).await;
    let beside = vec![
        plugin("a", json!({})),
        shadow("s", json!({})),
        plugin("b", json!({})),
    ];
    let with = live(&world, beside).await;
    assert_eq!(outcomes(&with.enter(), &TRAFFIC).await, expected);
    with.enter().compared().await;
    assert!(world.emitted.try_recv().is_err(), "it emits nothing");
    assert_eq!(world.journal(), Vec::<serde_json::Value>::new());
    let generation = with.enter();
    assert_eq!(generation.plugins().len(), 3);
    assert_eq!(generation.plugins()[1].mode, Mode::Shadow);
    let report = report(&world, "s");
    // Five failures in a row quarantine it; nobody else noticed.
    assert!(report.failed >= 5, "{report:?}");
    assert_eq!(status(&generation, "a").counts.failures, 0);
    assert!(status(&generation, "a").quarantine.is_none());
}

#[tokio::test]
async fn each_kind_of_difference_is_counted_and_sampled_without_bodies() {
    let world = world();
    let plugins = vec![
        plugin("a", json!({})),
        shadow("s", json!({})),
        plugin("b", json!({})),
    ];
    let chain = live(&world, plugins).await;
    let scripts = [
        "plain",
        "s:reject:why",
        "s:drop:why",
        "s:edit",
        "b:reject:because",
        "b:edit",
        "a:reject:before",
        "s:reject:same b:reject:same",
        "s:drop:x b:reject:x",
    ];
    outcomes(&chain.enter(), &scripts).await;
    chain.enter().compared().await;
    let report = report(&world, "s");
    for (difference, expected) in [
        // The one that both reject alike is no difference, and what `a` rejected it never saw.
        (Difference::None, 2),
        (Difference::WouldReject, 1),
        (Difference::WouldDrop, 2),
        (Difference::WouldEdit, 1),
        (Difference::WouldPass, 1),
        (Difference::WouldNotEdit, 1),
    ] {
        assert_eq!(
            count(&report, difference),
            expected,
            "{difference:?}: {report:?}"
        );
    }
    assert_eq!((report.failed, report.not_compared), (0, 0));
    assert_eq!(report.samples.len(), 6);
    let sample = &report.samples[0];
    assert_eq!(sample.difference, Difference::WouldReject);
    assert_eq!(sample.would.reason.as_deref(), Some("why"));
    assert_eq!(sample.would.condition.as_deref(), Some("policy-violation"));
    assert_eq!(sample.stood.verdict, "pass");
    assert_eq!(sample.id.as_deref(), Some("m1"));
    assert_eq!(sample.from.as_deref(), Some("romeo@alpha.test/orchard"));
    assert_eq!(sample.digest.len(), 64);
    let all = serde_json::to_string(&report).unwrap();
    assert!(!all.contains("s:reject"), "no bodies: {all}");
}

#[tokio::test]
async fn a_shadow_gatekeeper_refuses_and_admits_nobody() {
    let world = world();
    let plugins = vec![
        shadow(
            "s",
            json!({"refuse": ["alpha.test"], "allow": ["beta.test"]}),
        ),
        plugin("a", json!({})),
    ];
    let chain = live(&world, plugins).await;
    let peer = Stream::from_partner("alpha.test").peer;
    let generation = chain.enter();
    assert!(generation.admit(&peer).await.is_admitted());
    let direction = portcullis_xmpp::stanza::Direction::Outbound;
    let beta = domain("beta.test");
    let knock = generation.knock(&beta, direction, None).await;
    assert!(!knock.is_admitted());
    generation.compared().await;
    let report = report(&world, "s");
    assert_eq!(count(&report, Difference::WouldRefuse), 1);
    assert_eq!(count(&report, Difference::WouldAdmit), 1);
    let sample = &report.samples[1];
    assert_eq!((&*sample.about, &*sample.remote), ("knock", "beta.test"));
    assert_eq!(sample.stood.by.as_deref(), Some("gateway:default-deny"));
}

#[tokio::test]
async fn its_state_is_its_own_and_stays_when_it_becomes_active() {
    let world = world();
    let chain = live(&world, vec![plugin("a", json!({})), shadow("s", json!({}))]).await;
    outcomes(&chain.enter(), &["*:state", "*:state"]).await;
    chain.enter().compared().await;
    use portcullis_policy::state::State;
    let calls = |tag: &str| {
        let space = world.services.state.namespace(&format!("plugin-{tag}"));
        space.get("calls").unwrap().map(|bytes| bytes[7])
    };
    assert_eq!((calls("a"), calls("s")), (Some(2), Some(2)));
    let promoted = world.build_number(2, vec![plugin("s", json!({}))]).await;
    chain.swap(promoted.unwrap());
    outcomes(&chain.enter(), &["*:state"]).await;
    assert_eq!(calls("s"), Some(3));
}

#[tokio::test]
async fn what_a_slow_shadow_has_no_room_for_is_counted_and_nobody_waits() {
    let world = world();
    let chain = live(&world, vec![shadow("s", json!({}))]).await;
    let generation = chain.enter();
    let mut stream = Stream::from_partner("alpha.test");
    // The first keeps it busy for its whole budget; the queue fills meanwhile.
    let total = 5000;
    for number in 0..total {
        let script = if number < 3 { "s:loop" } else { "s:reject:x" };
        let judged = generation.judge(stream.message(script)).await;
        assert_eq!(told(&judged), "pass");
    }
    generation.compared().await;
    let report = report(&world, "s");
    let compared: u64 = report.differences.values().sum();
    assert!(report.not_compared > 0, "{report:?}");
    assert_eq!(compared + report.failed + report.not_compared, total);
}

#[tokio::test]
async fn a_retired_generation_does_not_wait_for_its_shadow() {
    let world = world();
    let chain = live(&world, vec![shadow("s", json!({}))]).await;
    let mut stream = Stream::from_partner("alpha.test");
    for _ in 0..50 {
        let _ = chain.enter().judge(stream.message("s:loop")).await;
    }
    drop(chain.swap(world.build_number(2, Vec::new()).await.unwrap()));
    let retired = tokio::time::timeout(std::time::Duration::from_secs(5), chain.settled());
    retired.await.expect("the old generation is gone at once");
}
