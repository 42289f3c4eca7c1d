//! Components that were built against a released version of the contract: loaded and asked for ever.
//! `tests/golden/README.md` tells how they were made; they are never built again.

use std::path::{Path, PathBuf};

use portcullis_policy::journal::Append;
use portcullis_policy::{BuildStep, Chain, Decision, PluginSpec, Ruling};
use portcullis_xmpp::stanza::Direction;
use serde_json::{Value, json};

use crate::support::{Stream, World, domain, plugin, status, told};

fn golden(version: &str, component: &str) -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
    tests.join(version).join(component)
}

/// A plugin of 0.1.0.
fn spec(component: &str, config: Value) -> PluginSpec {
    let mut spec = plugin("a", json!({}));
    spec.component = golden("0.1.0", component);
    spec.config = config;
    spec
}

#[tokio::test]
async fn a_gatekeeper_of_0_1_0_opens_and_shuts_the_door() {
    let world = World::new();
    let config = json!({ "allow": ["*.beta.test"], "deny": ["bad.beta.test"] });
    let generation = world
        .build(vec![spec("partner_allowlist.wasm", config)])
        .await
        .unwrap();
    for (name, admitted) in [
        ("good.beta.test", true),
        ("bad.beta.test", false),
        ("gamma.test", false),
    ] {
        let address = Some("192.0.2.7:40000".parse().unwrap());
        let ruling = generation
            .knock(&domain(name), Direction::Inbound, address)
            .await;
        assert_eq!(
            matches!(ruling, Ruling::Admitted { .. }),
            admitted,
            "{name}"
        );
        let ruling = generation.admit(&Stream::from_partner(name).peer).await;
        assert_eq!(
            matches!(ruling, Ruling::Admitted { .. }),
            admitted,
            "{name}"
        );
    }
    let judged = generation
        .judge(Stream::from_inside("gamma.test").message(""))
        .await;
    assert!(
        told(&judged).starts_with("reject not-allowed"),
        "{}",
        told(&judged)
    );
}

#[tokio::test]
async fn a_filter_of_0_1_0_edits_and_remembers() {
    let mut world = World::new();
    let config = json!({ "outbound": "show" });
    let generation = world
        .build(vec![spec("presence_filter.wasm", config)])
        .await
        .unwrap();
    let presence = "<presence from='a@org.test/x' to='b@alpha.test'><show>away</show><status>at the dentist</status></presence>";
    let judged = generation
        .judge(Stream::from_inside("alpha.test").receive(presence))
        .await;
    assert_eq!(told(&judged), "pass");
    let xml = judged.stanza().to_xml();
    assert!(xml.contains("away") && !xml.contains("dentist"), "{xml}");

    // What was shown is taken back by the next generation that shows nothing.
    let config = json!({ "outbound": "none" });
    let generation = world
        .build_number(2, vec![spec("presence_filter.wasm", config)])
        .await
        .unwrap();
    generation.started().await;
    let emission = world.emitted.try_recv().unwrap();
    assert_eq!(emission.to.as_str(), "b@alpha.test");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_observer_of_0_1_0_writes_the_journal() {
    let world = World::new();
    let config = json!({ "bodies": true });
    let generation = world
        .build(vec![spec("audit_log.wasm", config)])
        .await
        .unwrap();
    let chain = Chain::new(generation);
    let generation = chain.enter();
    let judged = generation
        .judge(Stream::from_partner("alpha.test").message("golden"))
        .await;
    generation.observe(Decision::of_stanza(&judged)).await;
    drop(generation);
    chain.settled().await;
    world.services.journal.flush().unwrap();
    let journal = std::fs::read_to_string(world.dir.path().join("audit/current.jsonl")).unwrap();
    assert!(
        journal.lines().any(|line| line.contains("\"golden\"")),
        "{journal}"
    );
}

#[tokio::test]
async fn a_component_of_0_1_0_that_says_nothing_of_itself_is_as_valid() {
    let world = World::new();
    let generation = world
        .build(vec![spec("bare.wasm", json!({}))])
        .await
        .unwrap();
    let plugin = status(&generation, "a");
    assert_eq!(plugin.version, None);
    let said = plugin
        .exports
        .iter()
        .any(|name| name.contains("description"));
    assert!(!said, "{:?}", plugin.exports);
    let mut stream = Stream::from_partner("alpha.test");
    let passed = generation.judge(stream.message("")).await;
    assert_eq!(told(&passed), "pass");
    let dropped = stream.message_of("<bare xmlns='urn:bare'/>");
    assert_eq!(told(&generation.judge(dropped).await), "drop: as asked");

    // Without a schema its own init is all that judges a configuration.
    let config = json!({ "any": ["thing"] });
    assert!(world.build(vec![spec("bare.wasm", config)]).await.is_ok());
}

#[tokio::test]
async fn every_import_of_0_1_0_answers_as_it_did() {
    let world = World::new();
    let list = world.dir.path().join("list");
    std::fs::write(&list, "content").unwrap();
    let mut every = spec("scripted.wasm", json!({ "tag": "a" }));
    every.files.insert("list".to_owned(), list);
    let generation = world.build(vec![every]).await.unwrap();
    let mut stream = Stream::from_partner("alpha.test");
    for (script, answer) in [
        ("a:pass", "pass"),
        ("a:edit", "pass"),
        ("a:state", "pass"),
        ("a:reject:why", "reject policy-violation: why"),
        ("a:drop:why", "drop: why"),
        ("a:texts", "drop: a:texts"),
        ("a:normal:Ju@ALPHA.test", "drop: ju@alpha.test"),
        ("a:file:list", "drop: content of list"),
        ("a:unavailable:a@org.test,b@alpha.test", "pass"),
    ] {
        let judged = generation.judge(stream.message(script)).await;
        assert_eq!(told(&judged), answer, "{script}");
    }
    assert_eq!(status(&generation, "a").counts.failures, 0);
}

#[tokio::test]
async fn a_component_of_another_version_is_refused_with_the_way_out() {
    let world = World::new();
    let mut other = plugin("a", json!({}));
    other.component = golden("0.2.0", "partner_allowlist.wasm");
    let error = world.build(vec![other]).await.map(drop).unwrap_err();
    assert_eq!(error.step, BuildStep::Verify);
    for told in [
        "portcullis:policy/",
        "@0.2.0",
        "it has 0.1.x",
        "build it against this gateway's plugin-sdk",
    ] {
        assert!(error.reason.contains(told), "{error}");
    }
}
