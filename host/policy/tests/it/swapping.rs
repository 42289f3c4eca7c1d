//! Generations come and go while stanzas flow.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use portcullis_policy::state::State;
use portcullis_policy::{Chain, Decision, OnFailure};
use serde_json::json;

use crate::support::{Stream, World, plugin, status, told};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_swaps_under_traffic_leave_one_generation() {
    let world = World::new();
    let chain = Arc::new(Chain::new(
        world.build(vec![plugin("a", json!({}))]).await.unwrap(),
    ));
    let over = Arc::new(AtomicBool::new(false));
    let traffic = {
        let (chain, over) = (Arc::clone(&chain), Arc::clone(&over));
        tokio::spawn(async move {
            let mut stream = Stream::from_partner("alpha.test");
            let mut sent = 0_usize;
            while !over.load(Ordering::Relaxed) {
                let generation = chain.enter();
                let judged = generation.judge(stream.message("a:pass")).await;
                assert_eq!(told(&judged), "pass");
                assert_eq!(judged.generation(), generation.number());
                generation.observe(Decision::of_stanza(&judged)).await;
                sent += 1;
                tokio::task::yield_now().await;
            }
            sent
        })
    };
    for number in 2..=201 {
        let next = world
            .build_number(number, vec![plugin("a", json!({}))])
            .await
            .unwrap();
        drop(chain.swap(next));
        chain.enter().started().await;
    }
    over.store(true, Ordering::Relaxed);
    let sent = traffic.await.unwrap();
    chain.settled().await;
    assert_eq!((chain.alive(), chain.enter().number()), (1, 201));
    assert_eq!(world.journal().len(), sent, "none lost, none doubled");
    let started = world
        .services
        .state
        .namespace("plugin-a")
        .get("started")
        .unwrap()
        .unwrap();
    assert_eq!(started, 200_u64.to_be_bytes());
}

#[tokio::test]
async fn a_generation_lives_while_a_stanza_is_in_it() {
    let world = World::new();
    let chain = Chain::new(
        world
            .build_number(1, vec![plugin("a", json!({}))])
            .await
            .unwrap(),
    );
    let pinned = chain.enter();
    drop(
        chain.swap(
            world
                .build_number(2, vec![plugin("a", json!({}))])
                .await
                .unwrap(),
        ),
    );
    assert_eq!(chain.alive(), 2);
    let judged = pinned
        .judge(Stream::from_partner("alpha.test").message("a:pass"))
        .await;
    assert_eq!(judged.generation(), 1);
    drop(pinned);
    chain.settled().await;
    assert_eq!(chain.alive(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counters_stay_exact_over_a_thousand_swaps_with_failures_between() {
    let world = World::new();
    let spec = || {
        let mut spec = plugin("a", json!({}));
        spec.on_failure = OnFailure::Open;
        spec
    };
    let chain = Arc::new(Chain::new(world.build(vec![spec()]).await.unwrap()));
    let over = Arc::new(AtomicBool::new(false));
    let traffic: Vec<_> = ["alpha.test", "beta.test", "gamma.test"]
        .into_iter()
        .map(|partner| {
            let (chain, over) = (Arc::clone(&chain), Arc::clone(&over));
            tokio::spawn(async move {
                let mut stream = Stream::from_partner(partner);
                let mut counted = 0_u64;
                while !over.load(Ordering::Relaxed) {
                    // Now and then an instance dies; two in a row at most are no quarantine.
                    let script = if counted % 50 == 49 {
                        "a:panic"
                    } else {
                        "a:pass"
                    };
                    let _ = chain.enter().judge(stream.message(script)).await;
                    let judged = chain.enter().judge(stream.message("a:state")).await;
                    assert_eq!(told(&judged), "pass");
                    counted += 1;
                    tokio::task::yield_now().await;
                }
                counted
            })
        })
        .collect();
    let mut skipped = 0;
    for number in 2..=1001 {
        let next = world.build_number(number, vec![spec()]).await.unwrap();
        let before = chain.swap(next);
        skipped += status(&before, "a").counts.skipped;
        drop(before);
    }
    over.store(true, Ordering::Relaxed);
    let mut counted = 0;
    for one in traffic {
        counted += one.await.unwrap();
    }
    chain.settled().await;
    assert_eq!((chain.alive(), chain.enter().number()), (1, 1001));
    assert_eq!(skipped, 0, "never quarantined, so every increment was made");
    let calls = world
        .services
        .state
        .namespace("plugin-a")
        .get("calls")
        .unwrap()
        .unwrap();
    assert_eq!(calls, counted.to_be_bytes());
}
