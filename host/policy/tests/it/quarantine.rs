//! A plugin that fails again and again is left alone, and comes back by itself.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use portcullis_policy::state::State as _;
use portcullis_policy::{Clock, Engine, EngineSettings, Generation, OnFailure};
use serde_json::{Value, json};

use crate::support::{Stream, World, plugin, status, told};

/// What is logged while it lives, on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Log {
    fn listen(&self) -> tracing::subscriber::DefaultGuard {
        let subscriber = tracing_subscriber::fmt()
            .with_writer(self.clone())
            .with_ansi(false)
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn count(&self, text: &str) -> usize {
        self.0.lock().unwrap().matches(text).count()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0
            .lock()
            .unwrap()
            .push_str(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> tracing_subscriber::fmt::MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// A world with a clock of its own.
fn timed() -> (World, Clock) {
    let (mut world, clock) = (World::new(), Clock::movable());
    let settings = EngineSettings {
        cache_dir: Some(std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("policy-cache")),
        clock: clock.clone(),
        ..EngineSettings::default()
    };
    world.engine = Arc::new(Engine::new(settings).unwrap());
    (world, clock)
}

/// Streams of three partners: what fails on all of them is the plugin's own fault.
fn partners() -> [Stream; 3] {
    ["alpha.test", "beta.test", "gamma.test"].map(Stream::from_partner)
}

/// Has each partner send this in turn, so many times in all.
async fn send(generation: &Generation, partners: &mut [Stream], script: &str, times: usize) {
    for n in 0..times {
        let place = n % partners.len();
        let _ = generation.judge(partners[place].message(script)).await;
    }
}

#[tokio::test]
async fn it_begins_and_ends_with_one_event_and_on_failure_answers_meanwhile() {
    for (on_failure, meanwhile) in [
        (
            OnFailure::Closed,
            "reject internal-server-error: the plugin is quarantined",
        ),
        (OnFailure::Open, "pass"),
    ] {
        let (world, clock) = timed();
        let mut spec = plugin("a", json!({}));
        spec.on_failure = on_failure;
        let generation = world
            .build(vec![spec, plugin("b", json!({}))])
            .await
            .unwrap();
        let mut partners = partners();
        let log = Log::default();
        let guard = log.listen();
        send(&generation, &mut partners, "a:panic", 20).await;
        let stream = &mut partners[0];
        assert_eq!(
            told(&generation.judge(stream.message("a:drop:asked")).await),
            meanwhile
        );
        let resting = status(&generation, "a");
        let quarantine = resting.quarantine.unwrap();
        let pause = quarantine.until.unwrap() - quarantine.since;
        assert!(pause > time::Duration::ZERO && pause <= time::Duration::seconds(2));
        assert_eq!(
            (resting.counts.failures, resting.counts.quarantines),
            (5, 1)
        );
        assert_eq!(resting.counts.skipped, 16);
        assert!(
            resting.last_failure.as_ref().unwrap().contains("told to"),
            "{:?}",
            resting.last_failure
        );

        // Nobody tells it that the pause is over: the next one that asks is the trial.
        clock.advance(Duration::from_secs(1));
        let judged = generation.judge(stream.message("a:drop:asked")).await;
        assert_eq!(told(&judged), "drop: asked");
        drop(guard);
        assert!(status(&generation, "a").quarantine.is_none());
        assert_eq!(log.count("and is quarantined"), 1);
        assert_eq!(log.count("is out of quarantine"), 1);
        assert_eq!(log.count("the plugin failed"), 5);
        assert_eq!(status(&generation, "b").counts.failures, 0);

        let digest = status(&generation, "a").digest;
        drop(generation);
        let records = world.quarantines();
        let [begin, end] = &records[..] else {
            panic!("one at the beginning and one at the end: {records:?}")
        };
        for (key, value) in [
            ("action", json!("quarantined")),
            ("plugin", json!("plugin-a")),
            ("digest", json!(digest)),
            ("generation", json!(1)),
            ("sender", Value::Null),
            ("on_failure", json!(on_failure)),
            ("pause_ms", json!(1000)),
        ] {
            assert_eq!(begin[key], value, "{key}: {begin}");
        }
        assert!(
            begin["reason"].as_str().unwrap().contains("told to"),
            "{begin}"
        );
        assert_eq!(end["action"], "released");
        assert_eq!(end["because"], "answers");
        assert_eq!(
            (&end["plugin"], &end["digest"]),
            (&begin["plugin"], &begin["digest"])
        );
        assert!(end["since"].is_string());
    }
}

#[tokio::test]
async fn a_plugin_that_leaves_in_quarantine_ends_it() {
    let world = World::new();
    let generation = world.build(vec![plugin("a", json!({}))]).await.unwrap();
    send(&generation, &mut partners(), "a:abort", 5).await;
    assert_eq!(status(&generation, "a").counts.by_cause.trap, 5);
    let log = Log::default();
    let guard = log.listen();
    drop(generation);
    drop(guard);
    assert_eq!(log.count("gone with its generation"), 1);
    let told = world.quarantines();
    let told: Vec<_> = told
        .iter()
        .map(|it| (&it["action"], &it["because"]))
        .collect();
    assert_eq!(
        told,
        [
            (&json!("quarantined"), &Value::Null),
            (&json!("released"), &json!("gone"))
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_pause_a_crowd_makes_one_trial() {
    let (world, clock) = timed();
    let generation = Arc::new(world.build(vec![plugin("a", json!({}))]).await.unwrap());
    let mut partners = partners();
    send(&generation, &mut partners, "a:panic", 5).await;
    clock.advance(Duration::from_secs(1));
    let crowd: Vec<_> = (0..50)
        .map(|n| {
            let stanza = partners[n % 3].message("a:panic");
            let generation = Arc::clone(&generation);
            tokio::spawn(async move { generation.judge(stanza).await.verdict().as_str() })
        })
        .collect();
    for one in crowd {
        assert_eq!(one.await.unwrap(), "reject");
    }
    let counts = status(&generation, "a").counts;
    assert_eq!((counts.failures, counts.skipped), (6, 49));
}

#[tokio::test]
async fn a_partner_on_whom_a_plugin_fails_at_will_takes_it_from_nobody_else() {
    let (world, clock) = timed();
    let generation = world.build(vec![plugin("a", json!({}))]).await.unwrap();
    let mut evil = Stream::from_partner("evil.test");
    let mut good = Stream::from_partner("good.test");
    let mut inside = Stream::from_inside("evil.test");
    let log = Log::default();
    let guard = log.listen();
    for _ in 0..50 {
        let _ = generation.judge(evil.message("a:panic")).await;
    }
    let judged = generation.judge(evil.message("a:drop:asked")).await;
    assert_eq!(
        told(&judged),
        "reject internal-server-error: the plugin is quarantined for what this sender sends"
    );
    // Everybody else, those who write to that partner included, is answered by the plugin.
    for stream in [&mut good, &mut inside] {
        let judged = generation.judge(stream.message("a:drop:asked")).await;
        assert_eq!(told(&judged), "drop: asked");
    }
    let resting = status(&generation, "a");
    assert!(resting.quarantine.is_none());
    let senders: Vec<_> = resting.resting.iter().map(|it| &it.sender[..]).collect();
    assert_eq!(senders, ["evil.test"]);
    assert_eq!((resting.counts.failures, resting.counts.rests), (5, 1));

    clock.advance(Duration::from_secs(1));
    let judged = generation.judge(evil.message("a:drop:asked")).await;
    assert_eq!(told(&judged), "drop: asked");
    drop(guard);
    assert!(status(&generation, "a").resting.is_empty());
    assert_eq!(log.count("is not asked about it"), 1);
    assert_eq!(log.count("is asked about this sender again"), 1);
    drop(generation);
    let told = world.quarantines();
    let told: Vec<_> = told
        .iter()
        .map(|it| (&it["action"], &it["sender"]))
        .collect();
    let evil = json!("evil.test");
    assert_eq!(
        told,
        [(&json!("quarantined"), &evil), (&json!("released"), &evil)]
    );
}

#[tokio::test]
async fn one_of_the_organisations_users_takes_it_from_no_colleague() {
    let world = World::new();
    let generation = world.build(vec![plugin("a", json!({}))]).await.unwrap();
    let mut inside = Stream::from_inside("alpha.test");
    let message = |user: &str, script: &str| {
        format!(
            "<message from='{user}@org.test/x' to='b@alpha.test' id='1'><body>{script}</body></message>"
        )
    };
    for _ in 0..20 {
        let _ = generation
            .judge(inside.receive(&message("mallory", "a:panic")))
            .await;
    }
    let judged = generation
        .judge(inside.receive(&message("juliet", "a:drop:asked")))
        .await;
    assert_eq!(told(&judged), "drop: asked");
    assert_eq!(
        status(&generation, "a").resting[0].sender,
        "mallory@org.test"
    );
}

#[tokio::test]
async fn a_user_who_spells_the_own_address_in_many_ways_is_one_sender() {
    let world = World::new();
    let generation = world.build(vec![plugin("a", json!({}))]).await.unwrap();
    let mut inside = Stream::from_inside("alpha.test");
    let message = |from: &str, script: &str| {
        format!("<message from='{from}' to='b@alpha.test' id='1'><body>{script}</body></message>")
    };
    let spellings = ["mallory@org.test", "Mallory@org.test/x", "MALLORY@ORG.test"];
    for from in spellings.iter().cycle().take(30) {
        let _ = generation
            .judge(inside.receive(&message(from, "a:panic")))
            .await;
    }
    let resting = status(&generation, "a");
    assert!(resting.quarantine.is_none(), "one user is not many");
    let senders: Vec<_> = resting.resting.iter().map(|it| &it.sender[..]).collect();
    assert_eq!(senders, ["mallory@org.test"]);
    assert_eq!(resting.counts.failures, 5);
    let judged = generation
        .judge(inside.receive(&message("juliet@org.test", "a:drop:asked")))
        .await;
    assert_eq!(told(&judged), "drop: asked");
}

#[tokio::test]
async fn an_instance_that_does_not_start_is_the_plugins_own_fault_whoever_asks() {
    let (world, clock) = timed();
    let generation = world
        .build(vec![plugin("a", json!({ "init": "broken" }))])
        .await
        .unwrap();
    let mut stream = Stream::from_partner("alpha.test");
    let state = world.services.state.namespace("plugin-a");
    state.set("broken", b"1", None).unwrap();
    for _ in 0..20 {
        let _ = generation.judge(stream.message("a:panic")).await;
    }
    let resting = status(&generation, "a");
    assert!(resting.quarantine.is_some() && resting.counts.by_cause.init > 0);
    state.delete("broken").unwrap();
    clock.advance(Duration::from_secs(1));
    let judged = generation.judge(stream.message("a:drop:asked")).await;
    assert_eq!(told(&judged), "drop: asked");
    assert!(status(&generation, "a").quarantine.is_none());
}
