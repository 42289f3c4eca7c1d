//! Whole stanzas on the operator's word, and what another configuration would make of them.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use portcullis::admin::protocol::{Capturing, Request, Response};
use portcullis::config::Config;
use portcullis::replay;
use portcullis_end_to_end::{Plan, World, ask, default_chain, default_plugins, prepare};
use portcullis_test_support::{Behaviour, Mode};
use serde_json::Value;

/// The default plugins, of which the presence filter looks at what comes in.
fn chain(denied: &str, level: &str) -> String {
    default_chain(denied, &format!("inbound = '{level}'"))
}

fn to(output: &Path, bytes: u64) -> Request {
    Request::Capture {
        output: output.to_owned(),
        seconds: 600,
        bytes,
        partner: None,
    }
}

async fn begun(world: &World, request: Request) -> Capturing {
    match ask(&world.data_dir(), request).await {
        Response::Capture(capturing) => capturing,
        other => panic!("{other:?}"),
    }
}

async fn refused(world: &World, request: Request) -> String {
    match ask(&world.data_dir(), request).await {
        Response::Error { message } => message,
        other => panic!("{other:?}"),
    }
}

fn lines(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Two partners' worth of traffic: presence with a status text, and a message.
async fn traffic(world: &mut World) {
    let mut outside = world.outside("alpha.test", Mode::StartTls).await.unwrap();
    outside
        .send("<presence from='b@alpha.test/x' to='a@org.test' id='p1'><status>at the dentist</status></presence>")
        .await;
    assert!(world.org.stanza().await.contains("p1"));
    outside
        .send("<message from='b@alpha.test/x' to='a@org.test' id='m1' type='chat'><body>secret</body></message>")
        .await;
    assert!(world.org.stanza().await.contains("m1"));
    world.at_rest(2).await;
}

async fn start(level: &str) -> World {
    let prepared = prepare();
    let alpha = prepared.partner("alpha.test", Behaviour::StartTls).await;
    let plan = Plan {
        partners: vec![("alpha.test", alpha.address)],
        more: chain("", level),
        plugins: Some(default_plugins()),
        ..Plan::default()
    };
    prepared.start(plan).await
}

/// What the command line would show, and whether all is known to end as it did.
async fn replay(file: &Path, config: &Path) -> (bool, Value) {
    let (file, config) = (file.to_owned(), config.to_owned());
    let judged = tokio::task::spawn_blocking(move || {
        let config = Config::load(&config).unwrap_or_else(|rejected| panic!("{rejected}"));
        replay::judge(&file, &config).unwrap_or_else(|error| panic!("{error}"))
    });
    let tally = judged.await.unwrap();
    (tally.is_same(), serde_json::to_value(&tally).unwrap())
}

/// The world's configuration with another chain, in a file of its own.
fn another(world: &World, chain_now: &str, chain_then: &str) -> PathBuf {
    let text = std::fs::read_to_string(world.dir().join("portcullis.toml")).unwrap();
    assert!(text.contains(chain_now));
    let file = world.dir().join("new.toml");
    std::fs::write(&file, text.replace(chain_now, chain_then)).unwrap();
    file
}

#[tokio::test]
async fn what_was_captured_is_judged_by_another_configuration() {
    let mut world = start("full").await;
    let output = world.dir().join("capture.jsonl");
    let capturing = begun(&world, to(&output, 1 << 20)).await;
    assert_eq!(world.gateway.status().capture, Some(capturing));
    let another_one = refused(&world, to(&world.dir().join("other"), 1 << 20)).await;
    assert!(another_one.contains("runs already"), "{another_one}");
    traffic(&mut world).await;
    let ended = begun(&world, Request::StopCapture).await;
    assert_eq!((ended.stanzas, ended.missed), (2, 0));
    assert_eq!(world.gateway.status().capture, None);

    let mode = std::fs::metadata(&output).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let captured = lines(&output);
    let keys = |line: &Value| line.as_object().unwrap().keys().next().unwrap().clone();
    let kinds: Vec<_> = captured.iter().map(keys).collect();
    assert_eq!(kinds, ["capture", "peer", "stanza", "stanza", "end"]);
    assert_eq!(captured[1]["peer"]["remote"], "alpha.test");
    let whole = captured[3]["stanza"]["xml"].as_str().unwrap();
    assert!(whole.contains("<body>secret</body>"), "{whole}");
    assert_eq!(captured[4]["end"]["because"], "stopped");

    let same = world.dir().join("portcullis.toml");
    let (same_still, outcome) = replay(&output, &same).await;
    assert_eq!(outcome["same"], 2, "{outcome}");
    assert!(same_still);

    let strict = another(&world, &chain("", "full"), &chain("", "show"));
    let (same_still, outcome) = replay(&output, &strict).await;
    assert!(!same_still);
    assert_eq!(outcome["different"]["pass -> other edits"], 1, "{outcome}");
    let changes = outcome["samples"][0]["changes"].to_string();
    assert!(changes.contains("- <status>at the dentist"), "{changes}");

    let closed = another(&world, &chain("", "full"), &chain("'alpha.test'", "full"));
    let (_, outcome) = replay(&output, &closed).await;
    assert_eq!(outcome["different"]["pass -> drop"], 2, "{outcome}");
    assert_eq!(outcome["samples"][0]["would"]["by"], "allowlist");
}

#[tokio::test]
async fn an_audit_journal_is_judged_as_far_as_it_tells() {
    let mut world = start("full").await;
    traffic(&mut world).await;
    let journal = world.data_dir().join("audit/current.jsonl");
    let records = || {
        lines(&journal)
            .iter()
            .filter(|it| it["event"] == "stanza")
            .count()
    };
    world
        .until(|| records() == 2, || records().to_string())
        .await;
    let closed = another(&world, &chain("", "full"), &chain("'alpha.test'", "full"));
    let (_, outcome) = replay(&journal, &closed).await;
    assert_eq!(outcome["different"]["pass -> drop"], 2, "{outcome}");

    // The presence filter edits what the journal does not have; messages are nothing to it.
    let strict = another(&world, &chain("", "full"), &chain("", "show"));
    let (same_still, outcome) = replay(&journal, &strict).await;
    assert_eq!(outcome["not_decidable"]["presence"], 1, "{outcome}");
    assert_eq!(outcome["same"], 1, "{outcome}");
    assert!(!same_still, "not known to be the same");
}

#[tokio::test]
async fn a_capture_overwrites_nothing_and_follows_no_link() {
    let world = start("full").await;
    let precious = world.dir().join("precious");
    std::fs::write(&precious, "kept").unwrap();
    let link = world.dir().join("link");
    symlink(world.dir().join("elsewhere"), &link).unwrap();
    for output in [precious.clone(), link, PathBuf::from("relative")] {
        refused(&world, to(&output, 1 << 20)).await;
        assert_eq!(world.gateway.status().capture, None);
    }
    assert_eq!(std::fs::read_to_string(&precious).unwrap(), "kept");
    assert!(!world.dir().join("elsewhere").exists());
    assert!(refused(&world, to(&precious, 1)).await.contains("64KiB"));
    assert!(
        refused(&world, Request::StopCapture)
            .await
            .contains("no capture")
    );
}

#[tokio::test]
async fn a_capture_ends_at_its_size_and_says_what_is_missing() {
    let mut world = start("full").await;
    let output = world.dir().join("capture.jsonl");
    begun(&world, to(&output, 64 << 10)).await;
    let mut outside = world.outside("alpha.test", Mode::StartTls).await.unwrap();
    let body = "x".repeat(20_000);
    for number in 0..6 {
        outside
            .send(&format!("<message from='b@alpha.test/x' to='a@org.test' id='{number}'><body>{body}</body></message>"))
            .await;
        world.org.stanza().await;
    }
    world
        .until(
            || world.gateway.status().capture.is_none(),
            || "it goes on".to_owned(),
        )
        .await;
    let is_ended = || {
        lines(&output)
            .last()
            .is_some_and(|it| it["end"].is_object())
    };
    world.until(is_ended, || "it has no end".to_owned()).await;
    assert!(std::fs::metadata(&output).unwrap().len() <= 64 << 10);
    let end = lines(&output).pop().unwrap();
    assert_eq!(end["end"]["because"], "size");
    assert_eq!(end["end"]["stanzas"], 3);
    assert!(end["end"]["missed"].as_u64().unwrap() >= 1);
}

#[tokio::test]
async fn a_capture_ends_with_the_gateway() {
    let mut world = start("full").await;
    let output = world.dir().join("capture.jsonl");
    begun(&world, to(&output, 1 << 20)).await;
    traffic(&mut world).await;
    assert!(world.gateway.shutdown().await.is_clean());
    let end = lines(&output).pop().unwrap();
    assert_eq!(end["end"]["because"], "shutdown");
    assert_eq!(end["end"]["stanzas"], 2);
}
