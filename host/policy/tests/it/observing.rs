//! Observers hear everything, in order.

use std::time::Duration;

use portcullis_policy::state::State;
use portcullis_policy::{Chain, Decision, Generation, OnFailure, PluginSpec};
use serde_json::{Value, json};

use crate::support::{Stream, World, plugin, status};

/// Judges a message and tells the observers what stood.
async fn pass(generation: &Generation, stream: &mut Stream, body: &str) {
    let judged = generation.judge(stream.message(body)).await;
    generation.observe(Decision::of_stanza(&judged)).await;
}

fn bodies(world: &World) -> Vec<String> {
    let body = |line: &Value| line["body"].as_str().unwrap().to_owned();
    world.journal().iter().map(body).collect()
}

fn open(mut spec: PluginSpec) -> PluginSpec {
    spec.on_failure = OnFailure::Open;
    spec
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
    let world = World::new();
    // The first generation's observer is slow to start: it must be heard out all the same.
    let first = world
        .build_number(1, vec![plugin("a", json!({ "refuse_batches": 2 }))])
        .await
        .unwrap();
    let chain = Chain::new(first);
    let mut stream = Stream::from_partner("alpha.test");
    let mut expected = Vec::new();
    for number in 0..600 {
        if number == 300 {
            let second = world
                .build_number(2, vec![plugin("a", json!({}))])
                .await
                .unwrap();
            drop(chain.swap(second));
        }
        let body = format!("number {number}");
        pass(&chain.enter(), &mut stream, &body).await;
        expected.push(body);
    }
    chain.settled().await;
    assert_eq!(bodies(&world), expected);
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_closed_observer_fails_nobody_goes_on() {
    let world = World::new();
    let chain = Chain::new(
        world
            .build(vec![plugin("a", json!({ "breakable": true }))])
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
    assert_eq!(bodies(&world).len(), 3000);
    assert_eq!(status(&chain.enter(), "a").counts.lost, 0);
    drop(chain);
    let told = world.quarantines();
    let actions: Vec<_> = told
        .iter()
        .map(|it| it["action"].as_str().unwrap())
        .collect();
    assert_eq!(actions, ["quarantined", "released"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_open_observer_misses_is_counted() {
    let world = World::new();
    let spec = open(plugin("a", json!({ "breakable": true })));
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
    assert_eq!(bodies(&world), ["heard", "heard again"]);
    assert_eq!(status(&chain.enter(), "a").counts.lost, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_batch_is_offered_again_whole() {
    let world = World::new();
    let chain = Chain::new(
        world
            .build(vec![plugin("a", json!({ "refuse_batches": 3 }))])
            .await
            .unwrap(),
    );
    let mut stream = Stream::from_partner("alpha.test");
    for body in ["one", "two", "three"] {
        pass(&chain.enter(), &mut stream, body).await;
    }
    chain.settled().await;
    assert_eq!(bodies(&world), ["one", "two", "three"]);
}
