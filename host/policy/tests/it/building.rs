//! Generations that cannot be built: the error names plugin, step, reason and way out.

use portcullis_policy::{BuildError, BuildStep, Chain, PluginSpec};
use serde_json::json;

use crate::support::{Stream, World, guest, plugin, told};

async fn refused(world: &World, spec: PluginSpec) -> BuildError {
    world
        .build(vec![plugin("good", json!({})), spec])
        .await
        .map(drop)
        .unwrap_err()
}

async fn refused_component(bytes: &[u8]) -> BuildError {
    let world = World::new();
    let mut spec = plugin("a", json!({}));
    spec.component = world.file(bytes);
    let error = refused(&world, spec).await;
    assert_eq!(error.plugin, "plugin-a");
    error
}

/// An empty component: the preamble alone.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
/// An empty core module.
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// `(component (import NAME (instance)))`
fn importing(name: &str) -> Vec<u8> {
    // Type section: one instance type without members. Import section: one, of that type.
    [COMPONENT, &[7, 3, 1, 0x42, 0], &section(10, name, &[5, 0])].concat()
}

/// `(component (instance $i) (export NAME (instance $i)))`
fn exporting_nothing_as(name: &str) -> Vec<u8> {
    // Instance section: one, made of no exports. Export section: that one, without an ascribed type.
    [COMPONENT, &[5, 3, 1, 1, 0], &section(11, name, &[5, 0, 0])].concat()
}

fn section(id: u8, name: &str, rest: &[u8]) -> Vec<u8> {
    let length = u8::try_from(name.len()).unwrap();
    let content = [&[1, 0, length], name.as_bytes(), rest].concat();
    [
        &[id, u8::try_from(content.len()).unwrap()],
        content.as_slice(),
    ]
    .concat()
}

async fn refused_at_verifying(component: &[u8]) -> String {
    let error = refused_component(component).await;
    assert_eq!(error.step, BuildStep::Verify, "{error}");
    error.reason
}

#[tokio::test]
async fn an_import_beyond_the_list_is_refused_by_name() {
    let reason = refused_at_verifying(&importing("wasi:sockets/tcp@0.2.0")).await;
    assert!(reason.contains("wasi:sockets/tcp@0.2.0"), "{reason}");
    let reason = refused_at_verifying(&importing("wasi:http/outgoing-handler@0.2.0")).await;
    assert!(reason.contains("wasi:http/outgoing-handler"), "{reason}");
    let reason = refused_at_verifying(&importing("portcullis:policy/secrets@0.1.0")).await;
    assert!(
        reason.contains("portcullis:policy/secrets@0.1.0"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_real_component_that_wants_the_network_and_a_store_is_refused_by_both_names() {
    let component = std::fs::read(guest("policy-guest-reaching")).unwrap();
    let reason = refused_at_verifying(&component).await;
    for wanted in ["`wasi:sockets/", "`wasi:keyvalue/store@0.2.0`"] {
        assert!(reason.contains(wanted), "{wanted}: {reason}");
    }
    // What std links anyway is bound to nothing, and no reason to refuse.
    for harmless in ["wasi:filesystem/", "wasi:cli/environment"] {
        assert!(!reason.contains(harmless), "{reason}");
    }
    assert!(reason.contains("`grants` cannot give"), "{reason}");
}

#[tokio::test]
async fn a_component_of_another_world_is_refused() {
    let reason = refused_at_verifying(COMPONENT).await;
    assert!(reason.contains("portcullis:policy/lifecycle"), "{reason}");
}

#[tokio::test]
async fn a_mistyped_export_is_not_an_absent_one() {
    let reason =
        refused_at_verifying(&exporting_nothing_as("portcullis:policy/lifecycle@0.1.0")).await;
    assert!(
        reason.contains("lifecycle@0.1.0` with other types"),
        "{reason}"
    );
}

#[tokio::test]
async fn what_is_no_component_is_refused() {
    let error = refused_component(MODULE).await;
    assert!(error.reason.contains("core module"), "{error}");
    let error = refused_component(b"#!/bin/sh").await;
    assert!(error.reason.contains("no WebAssembly component"), "{error}");
    let error = refused_component(b"\0asm\x0d\0\x01\0garbage").await;
    assert_eq!(error.step, BuildStep::Verify);
    let error = refused_component(&vec![0; 8 * 1024 * 1024 + 1]).await;
    assert_eq!(error.step, BuildStep::Read);
}

#[tokio::test]
async fn a_missing_file_is_named() {
    let world = World::new();
    let mut spec = plugin("a", json!({}));
    spec.component = world.dir.path().join("nothing.wasm");
    let error = refused(&world, spec).await;
    assert_eq!(error.step, BuildStep::Read);
    assert!(error.to_string().contains("nothing.wasm"), "{error}");
}

#[tokio::test]
async fn an_init_error_is_told_in_the_plugins_words() {
    let world = World::new();
    let error = refused(&world, plugin("a", json!({ "init": "error" }))).await;
    assert_eq!(
        (error.step, error.reason.as_str()),
        (BuildStep::Init, "`init = error`: leave it out")
    );
}

/// What stands in `reason` when the scripted plugin is given this configuration.
async fn misfit(config: serde_json::Value) -> String {
    let world = World::new();
    let error = refused(&world, plugin("a", config)).await;
    assert_eq!(error.step, BuildStep::Config, "{error}");
    assert!(!error.misfits.is_empty(), "{error}");
    error.reason
}

#[tokio::test]
async fn a_configuration_that_does_not_fit_the_components_schema_is_refused_before_init() {
    assert_eq!(
        misfit(json!({ "alow": [], "init": "panic" })).await,
        "unknown key `alow` (did you mean `allow`?)"
    );
    assert_eq!(
        misfit(json!({ "memo_ms": "3", "allow": [1] })).await,
        "`allow[0]` must be a string in quotes, not 1; \
         `memo_ms` must be a whole number, not the string \"3\""
    );
    assert_eq!(
        misfit(json!({ "pace": "fst" })).await,
        "`pace` must be one of \"fast\", \"slow\", not the string \"fst\" (did you mean \"fast\"?)"
    );
    assert_eq!(
        misfit(json!({ "answer": {} })).await,
        "`answer` needs the key `text` (`text`: What the sender reads.)"
    );
}

#[tokio::test]
async fn a_component_says_its_version() {
    let world = World::new();
    let generation = world.build(vec![plugin("a", json!({}))]).await.unwrap();
    // The guest's own, not the SDK's.
    assert_eq!(generation.plugins()[0].version.as_deref(), Some("7.3.1"));
}

#[tokio::test]
async fn a_mistyped_description_is_not_an_absent_one() {
    let name = "portcullis:policy/description@0.1.0";
    let reason = refused_at_verifying(&exporting_nothing_as(name)).await;
    assert!(
        reason.contains("description@0.1.0` with other types"),
        "{reason}"
    );
}

#[tokio::test]
async fn an_init_that_traps_or_loops_is_refused() {
    let world = World::new();
    for init in ["panic", "loop"] {
        let mut spec = plugin("a", json!({ "init": init }));
        spec.budget = std::time::Duration::from_millis(10);
        assert_eq!(refused(&world, spec).await.plugin, "plugin-a", "{init}");
    }
}

#[tokio::test]
async fn init_writes_nothing_that_others_could_see() {
    let world = World::new();
    for init in ["state", "emit"] {
        let error = refused(&world, plugin("a", json!({ "init": init }))).await;
        assert!(error.reason.contains("do it in started"), "{error}");
    }
}

#[tokio::test]
async fn a_plugin_that_would_fail_at_the_first_stanza_is_refused() {
    let world = World::new();
    let error = refused(&world, plugin("a", json!({ "stumble": true }))).await;
    assert_eq!(error.step, BuildStep::Probe);
}

#[tokio::test]
async fn the_rehearsal_leaves_no_trace() {
    let world = World::new();
    let _generation = world.build(vec![plugin("a", json!({}))]).await.unwrap();
    assert!(world.journal().is_empty());
}

#[tokio::test]
async fn settings_that_mean_nothing_are_refused() {
    let world = World::new();
    let error = refused(&world, plugin("good", json!({}))).await;
    assert!(error.reason.contains("unique"), "{error}");
    let mut spec = plugin("a", json!({}));
    spec.grants = vec!["wasi:sockets".to_owned()];
    let error = refused(&world, spec).await;
    assert!(error.reason.contains("wasi:sockets"), "{error}");
    let mut spec = plugin("a", json!({}));
    spec.budget = std::time::Duration::ZERO;
    assert_eq!(refused(&world, spec).await.step, BuildStep::Settings);
}

#[tokio::test]
async fn a_generation_that_fails_to_build_changes_nothing() {
    let world = World::new();
    let chain = Chain::new(
        world
            .build_number(7, vec![plugin("a", json!({}))])
            .await
            .unwrap(),
    );
    let mut stream = Stream::from_partner("alpha.test");
    assert_eq!(
        told(&chain.enter().judge(stream.message("a:count")).await),
        "drop: 1"
    );
    refused(&world, plugin("a", json!({ "init": "error" }))).await;
    assert_eq!((chain.enter().number(), chain.alive()), (7, 1));
    assert_eq!(
        told(&chain.enter().judge(stream.message("a:count")).await),
        "drop: 2",
        "the same instance goes on"
    );
}

#[tokio::test]
async fn a_file_that_is_granted_is_read_once_per_generation() {
    let world = World::new();
    let path = world.dir.path().join("blocked.txt");
    let mut spec = plugin("a", json!({}));
    spec.files.insert("blocked".to_owned(), path.clone());

    let error = refused(&world, spec.clone()).await;
    assert_eq!(error.step, BuildStep::Files);
    assert!(error.reason.contains("blocked.txt"), "{error}");

    std::fs::write(&path, "spam.test").unwrap();
    let mut stream = Stream::from_partner("alpha.test");
    let first = world.build(vec![spec.clone()]).await.unwrap();
    std::fs::write(&path, "scam.test").unwrap();
    let second = world.build(vec![spec.clone()]).await.unwrap();
    for (generation, content) in [(&first, "spam.test"), (&second, "scam.test")] {
        let judged = generation.judge(stream.message("a:file:blocked")).await;
        assert_eq!(told(&judged), format!("drop: {content} of blocked"));
    }
    let judged = second.judge(stream.message("a:file:passwd")).await;
    assert_eq!(
        told(&judged),
        "drop: there is no file `passwd`: [plugin.files] names blocked"
    );

    spec.files = (0..33).map(|n| (n.to_string(), path.clone())).collect();
    let error = refused(&world, spec).await;
    assert_eq!(error.step, BuildStep::Settings);
}
