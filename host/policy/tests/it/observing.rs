//! Observers hear everything, in order.

use std::time::Duration;

use portcullis_policy::state::State;
use portcullis_policy::{Chain, Decision, Generation, OnFailure, PluginSpec};
use serde_json::{Value, json};

use crate::support::{Stream, World, plugin, status};

/// Judges a message and tells the observers what stood.
async fn pass(generation: &Generation, stream: &mut Stream, id: &str) {
    let message = stream.receive(&format!(
        "<message from='romeo@alpha.test/orchard' to='juliet@org.test' type='chat' id='{id}'><body>{id}</body></message>"
    ));
    let judged = generation.judge(message).await;
    generation.observe(Decision::of_stanza(&judged)).await;
}

/// What was heard, in order.
fn heard(world: &World) -> Vec<String> {
    let id = |line: &Value| line["decision"]["id"].as_str().unwrap().to_owned();
    world.journal().iter().map(id).collect()
}

/// What observers may hear: whole decisions, or records alone. What they are promised is the same.
const BOTH: [bool; 2] = [false, true];

/// An observer that hears this.
fn observer(records_only: bool, mut config: Value) -> PluginSpec {
    config["records_only"] = json!(records_only);
    plugin("a", config)
}

fn open(mut spec: PluginSpec) -> PluginSpec {
    spec.on_failure = OnFailure::Open;
    spec
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_hears_records_only_hears_the_same_without_stanzas() {
    let world = World::new();
    let whole = plugin("a", json!({}));
    let records = plugin("b", json!({ "records_only": true }));
    let chain = Chain::new(world.build(vec![whole, records]).await.unwrap());
    let mut streams = [
        Stream::from_partner("alpha.test"),
        Stream::from_partner("alpha.test"),
    ];
    for number in 0..600 {
        // Sometimes of one stream, sometimes of the other.
        let stream = &mut streams[number / 7 % 2];
        pass(&chain.enter(), stream, &format!("number {number}")).await;
    }
    chain.settled().await;
    let (mut whole, records): (Vec<_>, Vec<_>) =
        (world.journal().into_iter()).partition(|line| line["tag"] == "a");
    let but_for_stanza = |line: &Value| [line["partner"].clone(), line["decision"].clone()];
    let all = |lines: &[Value]| lines.iter().map(but_for_stanza).collect::<Vec<_>>();
    assert_eq!((all(&whole).len(), all(&whole)), (600, all(&records)));
    assert!(records.iter().all(|line| line["body"].is_null()));
    assert_eq!(whole.swap_remove(599)["body"], "number 599");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_heard_is_said_in_init_and_only_there() {
    let world = World::new();
    let spec = plugin("a", json!({ "late": true }));
    let refused = world.build(vec![spec]).await.err().unwrap();
    let told = refused.to_string();
    assert!(
        told.contains("what is heard is said in init, and only there"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_gateway_writes_for_an_observer_is_what_it_would_have_read() {
    let world = World::new();
    let read = plugin("a", json!({}));
    let unread = plugin("b", json!({ "unread": true }));
    let chain = Chain::new(world.build(vec![read, unread]).await.unwrap());
    let mut stream = Stream::from_partner("alpha.test");
    for number in 0..300 {
        pass(&chain.enter(), &mut stream, &format!("number {number}")).await;
    }
    chain.settled().await;
    let (read, mut unread): (Vec<_>, Vec<_>) =
        (world.records().into_iter()).partition(|line| line.get("tag").is_some());
    let read: Vec<_> = read.iter().map(|line| line["decision"].clone()).collect();
    for line in unread.iter_mut().filter_map(Value::as_object_mut) {
        line.retain(|key, _| !matches!(key.as_str(), "seq" | "prev" | "hash"));
    }
    assert_eq!(read.len(), 300);
    assert_eq!(unread, read);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decisions_are_observed_in_order_over_a_swap() {
    for records_only in BOTH {
        let world = World::new();
        // The first generation's observer is slow to start: it must be heard out all the same.
        let first = world
            .build_number(
                1,
                vec![observer(records_only, json!({ "refuse_batches": 2 }))],
            )
            .await
            .unwrap();
        let chain = Chain::new(first);
        let mut stream = Stream::from_partner("alpha.test");
        let mut expected = Vec::new();
        for number in 0..600 {
            if number == 300 {
                let second = world
                    .build_number(2, vec![observer(records_only, json!({}))])
                    .await
                    .unwrap();
                drop(chain.swap(second));
            }
            let id = format!("number {number}");
            pass(&chain.enter(), &mut stream, &id).await;
            expected.push(id);
        }
        chain.settled().await;
        assert_eq!(heard(&world), expected);
        let generations: Vec<_> = world
            .journal()
            .iter()
            .map(|line| line["decision"]["generation"].clone())
            .collect();
        assert_eq!(
            generations
                .iter()
                .filter(|number| **number == json!(1))
                .count(),
            300
        );
        assert_eq!(chain.alive(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_closed_observer_fails_nobody_goes_on() {
    for records_only in BOTH {
        let world = World::new();
        let chain = Chain::new(
            world
                .build(vec![observer(records_only, json!({ "breakable": true }))])
                .await
                .unwrap(),
        );
        let mut stream = Stream::from_partner("alpha.test");
        let state = world.services.state.namespace("plugin-a");
        state.set("broken", b"1", None).unwrap();

        // How many get through before the failure shows does not matter; the queue's bound does.
        let flood = async {
            for number in 0..3000 {
                pass(&chain.enter(), &mut stream, &format!("number {number}")).await;
            }
        };
        let mut flood = Box::pin(flood);
        assert!(
            tokio::time::timeout(Duration::from_secs(2), &mut flood)
                .await
                .is_err(),
            "held up"
        );
        assert!(status(&chain.enter(), "a").quarantine.is_some());

        state.delete("broken").unwrap();
        flood.await;
        chain.settled().await;
        assert_eq!(heard(&world).len(), 3000);
        assert_eq!(status(&chain.enter(), "a").counts.lost, 0);
        drop(chain);
        let told = world.quarantines();
        let actions: Vec<_> = told
            .iter()
            .map(|it| it["action"].as_str().unwrap())
            .collect();
        assert_eq!(actions, ["quarantined", "released"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_open_observer_misses_is_counted() {
    for records_only in BOTH {
        let world = World::new();
        let spec = open(observer(records_only, json!({ "breakable": true })));
        let chain = Chain::new(world.build(vec![spec]).await.unwrap());
        let mut stream = Stream::from_partner("alpha.test");
        let state = world.services.state.namespace("plugin-a");
        pass(&chain.enter(), &mut stream, "heard").await;
        chain.settled().await;
        state.set("broken", b"1", None).unwrap();
        for number in 0..10 {
            pass(&chain.enter(), &mut stream, &format!("lost {number}")).await;
        }
        chain.settled().await;
        state.delete("broken").unwrap();
        pass(&chain.enter(), &mut stream, "heard again").await;
        chain.settled().await;
        assert_eq!(heard(&world), ["heard", "heard again"]);
        assert_eq!(status(&chain.enter(), "a").counts.lost, 10);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_batch_is_offered_again_whole() {
    for records_only in BOTH {
        let world = World::new();
        let chain = Chain::new(
            world
                .build(vec![observer(records_only, json!({ "refuse_batches": 3 }))])
                .await
                .unwrap(),
        );
        let mut stream = Stream::from_partner("alpha.test");
        for id in ["one", "two", "three"] {
            pass(&chain.enter(), &mut stream, id).await;
        }
        chain.settled().await;
        assert_eq!(heard(&world), ["one", "two", "three"]);
    }
}
