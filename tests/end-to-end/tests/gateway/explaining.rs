//! Whoever was refused has a reference, and the operator learns from it what happened.

use std::path::Path;

use portcullis::admin::protocol::{Explained, Refusal, Request, Response};
use portcullis::app;
use portcullis::config::Config;
use portcullis_end_to_end::{Plan, World, ask, default_plugins, prepare};
use portcullis_test_support::{Behaviour, Item, Mode, PATIENCE};

const PRESENCE: &str = "
[[plugin]]
name = 'presence'
component = 'presence_filter.wasm'
[plugin.config]
inbound = 'none'
";

async fn explain(data_dir: &Path, id: &str) -> Response {
    let id = id.to_owned();
    ask(data_dir, Request::Explain { id }).await
}

async fn explained(data_dir: &Path, id: &str) -> Explained {
    match explain(data_dir, id).await {
        Response::Explained(explained) => *explained,
        other => panic!("{other:?}"),
    }
}

async fn refusal(world: &World, id: &str) -> Refusal {
    let found = explained(&world.data_dir(), id).await.refusal;
    found.unwrap_or_else(|| panic!("{id} is not known"))
}

/// The reference in an error's element; the same must stand in its text, if it has one.
fn reference(error: &str) -> String {
    let (_, rest) = error
        .split_once("<refusal")
        .unwrap_or_else(|| panic!("no reference in {error}"));
    let (_, rest) = rest.split_once("id=").unwrap();
    let id: String = rest.chars().skip(1).take(11).collect();
    assert!(error.contains("urn:portcullis:refusal:0"), "{error}");
    if error.contains("<text") {
        assert!(error.contains(&format!("(reference {id})")), "{error}");
    }
    id
}

#[tokio::test]
async fn a_stanza_refused_by_a_rule_of_the_gateway_is_explained_even_after_a_restart() {
    let mut world = prepare().start(Plan::default()).await;
    let mut inside = world.inside("gamma.test", Mode::StartTls).await;
    inside
        .send(
            "<message from='juliet@org.test/x' to='eve@gamma.test' id='7' type='chat'><body>secret</body></message>",
        )
        .await;
    let id = reference(&world.org.stanza().await);
    let before = refusal(&world, &id).await;
    assert_eq!(before.by, "gateway:default-deny");
    assert_eq!((&*before.verdict, before.generation), ("reject", 1));
    assert_eq!(before.from.as_deref(), Some("juliet@org.test/x"));
    assert_eq!(before.to.as_deref(), Some("eve@gamma.test"));
    assert_eq!(before.stanza_id.as_deref(), Some("7"));
    assert_eq!(before.partner, "gamma.test");
    let told = before.told.clone().unwrap();
    assert_eq!(told.condition, "not-allowed");
    assert!(told.text.unwrap().ends_with(&format!("(reference {id})")));

    let config = world.dir().join("portcullis.toml");
    let data_dir = world.data_dir();
    let drained = world.gateway.shutdown().await;
    assert!(drained.is_clean(), "{drained:?}");
    let again = app::start(Config::load(&config).unwrap()).await.unwrap();
    let after = explained(&data_dir, &id.to_lowercase()).await;
    assert_eq!(after.refusal, Some(before));
    let kept = std::fs::read_to_string(data_dir.join("refusals/current.jsonl")).unwrap();
    assert!(!kept.contains("secret"), "{kept}");
    assert!(again.shutdown().await.is_clean());
}

#[tokio::test]
async fn what_a_plugin_drops_without_an_answer_is_found_by_the_reference_of_its_record() {
    let prepared = prepare();
    let alpha = prepared.partner("alpha.test", Behaviour::StartTls).await;
    let plan = Plan {
        partners: vec![("alpha.test", alpha.address)],
        more: format!("{PRESENCE}\n[[plugin]]\nname = 'audit'\ncomponent = 'audit_log.wasm'\n"),
        plugins: Some(default_plugins()),
        ..Plan::default()
    };
    let world = prepared.start(plan).await;
    let mut outside = world.outside("alpha.test", Mode::StartTls).await.unwrap();
    outside
        .send("<presence from='b@alpha.test/x' to='a@org.test'/>")
        .await;
    world.at_rest(1).await;
    world
        .until(
            || world.journal().iter().any(|it| it["verdict"] == "drop"),
            || "no record of it".to_owned(),
        )
        .await;
    let journal = world.journal();
    let record = journal.iter().find(|it| it["verdict"] == "drop").unwrap();
    let id = record["refusal"].as_str().unwrap();
    let dropped = refusal(&world, id).await;
    assert_eq!((&*dropped.by, &*dropped.verdict), ("presence", "drop"));
    assert_eq!(dropped.told, None);
    assert!(dropped.untold.unwrap().contains("RFC 6120"));
    let component = dropped.component.unwrap();
    let status = world.gateway.status();
    assert_eq!(component.digest, status.plugins[0].digest);
    assert_eq!(component.version.as_deref(), Some("0.1.0"));
    assert!(
        (component.exports.iter()).any(|it| it.starts_with("portcullis:policy/filter@")),
        "{component:?}"
    );
    for other in journal.iter().filter(|it| it["verdict"] != "drop") {
        assert!(other["refusal"].is_null(), "{other}");
    }
}

#[tokio::test]
async fn a_bounce_is_explained() {
    let plan = Plan {
        partners: vec![("alpha.test", "127.0.0.1:1".parse().unwrap())],
        ..Plan::default()
    };
    let mut world = prepare().start(plan).await;
    let mut inside = world.inside("alpha.test", Mode::StartTls).await;
    inside
        .send("<message from='a@org.test' to='b@alpha.test' id='m'><body>?</body></message>")
        .await;
    let id = reference(&world.org.stanza().await);
    let bounced = refusal(&world, &id).await;
    assert_eq!((&*bounced.event, &*bounced.verdict), ("bounce", "bounce"));
    assert_eq!(bounced.by, "gateway:undeliverable");
    assert!(bounced.reason.unwrap().contains("127.0.0.1:1"));
    assert_eq!(bounced.told.unwrap().condition, "remote-server-timeout");
}

#[tokio::test]
async fn a_stream_that_is_refused_has_a_reference_too() {
    let world = prepare().start(Plan::default()).await;
    let seen = world.outside("gamma.test", Mode::StartTls).await.err();
    let seen = seen.expect("gamma.test was let in");
    let error = seen.iter().find_map(|item| match item {
        Item::Element(element) if element.starts_with("<stream:error") => Some(element.clone()),
        _ => None,
    });
    let id = reference(&error.unwrap());
    // The record is made when the connection is closed.
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let refused = loop {
        if let Some(refused) = explained(&world.data_dir(), &id).await.refusal {
            break refused;
        }
        assert!(tokio::time::Instant::now() < deadline, "{id} is not known");
    };
    assert_eq!((&*refused.event, &*refused.verdict), ("stream", "refuse"));
    assert_eq!(refused.by, "gateway:default-deny");
    assert_eq!(refused.partner, "gamma.test");
    assert_eq!(refused.told.unwrap().condition, "policy-violation");
}

#[tokio::test]
async fn an_unknown_reference_is_said_to_be_unknown_and_since_when_there_is_a_memory() {
    let world = prepare().start(Plan::default()).await;
    let unknown = explained(&world.data_dir(), "ABCDE-23456").await;
    assert_eq!((unknown.refusal, unknown.lost), (None, 0));
    assert!(unknown.since.ends_with('Z'), "{}", unknown.since);
    match explain(&world.data_dir(), "no reference").await {
        Response::Error { message } => assert!(message.contains("ten letters"), "{message}"),
        other => panic!("{other:?}"),
    }
}
