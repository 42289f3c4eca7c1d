//! Plugins at their worst: each costs its own instance and nothing else.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;
use std::time::Duration;

use portcullis_policy::{Failures, OnFailure};
use serde_json::json;

use crate::support::{Stream, World, plugin, status, told};

/// Polls a future once and drops it: a task that is cancelled. Whether it was done.
async fn poll_once<F: Future>(future: F) -> bool {
    let mut future = std::pin::pin!(future);
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await
}

/// The stanza gets what `on_failure` says; a stanza of another stream, judged at the same time, gets
/// what the other plugin says.
async fn fails_with(script: &str, failure: &str, cause: fn(&Failures) -> u64) {
    for on_failure in [OnFailure::Closed, OnFailure::Open] {
        let world = World::new();
        let mut bad = plugin("a", json!({}));
        bad.on_failure = on_failure;
        bad.budget = Duration::from_millis(30);
        let generation = world
            .build(vec![bad, plugin("b", json!({}))])
            .await
            .unwrap();
        let (mut stream, mut other) = (
            Stream::from_partner("alpha.test"),
            Stream::from_partner("beta.test"),
        );
        let (judged, neighbour) = tokio::join!(
            generation.judge(stream.message(script)),
            generation.judge(other.message("b:drop:fine"))
        );
        match on_failure {
            OnFailure::Closed => {
                let told = told(&judged);
                assert!(told.starts_with("reject internal-server-error"), "{told}");
            }
            OnFailure::Open => {
                assert_eq!(told(&judged), "pass");
                assert_eq!(judged.stanza().body().unwrap(), script, "as it arrived");
            }
        }
        assert_eq!(told(&neighbour), "drop: fine");
        let (bad, good) = (status(&generation, "a"), status(&generation, "b"));
        let told_failure = bad.last_failure.unwrap();
        assert!(told_failure.contains(failure), "{told_failure}");
        assert_eq!(
            (bad.counts.failures, cause(&bad.counts.by_cause)),
            (1, 1),
            "{:?}",
            bad.counts.by_cause
        );
        assert_eq!(good.counts.failures, 0);
        assert!(bad.memory <= 3 * 16 * 1024 * 1024, "{}", bad.memory);
        // More often than there are instances.
        for _ in 0..3 {
            let judged = generation.judge(stream.message("a:pass b:drop:fine")).await;
            assert_eq!(told(&judged), "drop: fine");
        }
    }
}

#[tokio::test]
async fn an_endless_loop_ends_at_its_cpu_budget() {
    fails_with("a:loop", "CPU time", |causes| causes.budget).await;
}

#[tokio::test]
async fn a_memory_bomb_ends_at_its_limit() {
    fails_with("a:memory", "bytes of memory", |causes| causes.memory).await;
}

#[tokio::test]
async fn a_panic_is_told_with_its_place_and_message() {
    fails_with("a:panic", "src/lib.rs:", |causes| causes.panic).await;
    fails_with("a:edit-and-panic", ": after an edit", |causes| causes.panic).await;
}

#[tokio::test]
async fn an_abort_is_a_trap() {
    fails_with("a:abort", "unreachable", |causes| causes.trap).await;
}

#[tokio::test]
async fn endless_recursion_is_a_trap() {
    fails_with("a:recurse", "call stack exhausted", |causes| causes.trap).await;
}

#[tokio::test]
async fn exit_is_a_failure() {
    fails_with("a:exit", "exit", |causes| causes.exit).await;
}

#[tokio::test]
async fn handles_cannot_be_hoarded() {
    fails_with("a:leak", "resource table", |causes| causes.host).await;
}

#[tokio::test]
async fn a_list_without_end_is_not_taken() {
    fails_with("a:huge-list", "misused the host", |causes| causes.host).await;
}

#[tokio::test]
async fn a_plugin_that_never_returns_ends_at_the_wall_clock_cap() {
    fails_with("a:sleep", "did not return within", |causes| causes.deadline).await;
}

#[tokio::test]
async fn waiting_is_not_charged_to_the_budget() {
    let world = World::new();
    let mut spec = plugin("a", json!({}));
    spec.budget = Duration::from_millis(20);
    let generation = world.build(vec![spec]).await.unwrap();
    let judged = generation
        .judge(Stream::from_partner("alpha.test").message("a:sleep:200"))
        .await;
    assert_eq!(told(&judged), "pass");
}

#[tokio::test]
async fn logging_without_end_is_cut_not_queued() {
    let world = World::new();
    let mut spec = plugin("a", json!({}));
    spec.budget = Duration::from_secs(10);
    let generation = world.build(vec![spec]).await.unwrap();
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(lines.clone())
        .with_ansi(false)
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let judged = generation
        .judge(Stream::from_partner("alpha.test").message("a:chatter"))
        .await;
    assert_eq!(told(&judged), "pass");
    drop(guard);
    // 100 a second; the call takes well below ten.
    assert!(
        lines.0.load(Ordering::Relaxed) <= 1100,
        "{} lines",
        lines.0.load(Ordering::Relaxed)
    );
}

/// Counts lines.
#[derive(Clone, Default)]
struct Lines(Arc<AtomicU32>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> tracing_subscriber::fmt::MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn what_a_plugin_prints_is_harmless() {
    let world = World::new();
    let generation = world.build(vec![plugin("a", json!({}))]).await.unwrap();
    let judged = generation
        .judge(Stream::from_partner("alpha.test").message("a:print"))
        .await;
    assert_eq!(told(&judged), "pass");
}

#[tokio::test]
async fn a_plugin_sees_no_environment_no_arguments_no_files_no_input() {
    let world = World::new();
    let generation = world.build(vec![plugin("a", json!({}))]).await.unwrap();
    let judged = generation
        .judge(Stream::from_partner("alpha.test").message("a:world"))
        .await;
    assert_eq!(told(&judged), "drop: env=0 args=0 root=false stdin=0");
}

#[tokio::test]
async fn a_loop_holds_up_no_neighbour_on_the_same_thread() {
    let world = World::new();
    let mut looping = plugin("a", json!({}));
    looping.budget = Duration::from_millis(500);
    let generation = world
        .build(vec![looping, plugin("b", json!({}))])
        .await
        .unwrap();
    let mut good = Stream::from_partner("beta.test");
    let done = AtomicU32::new(0);
    let bad = async {
        let judged = generation
            .judge(Stream::from_partner("alpha.test").message("a:loop"))
            .await;
        assert!(told(&judged).starts_with("reject internal-server-error"));
        assert_eq!(
            done.load(Ordering::Relaxed),
            50,
            "the neighbour was done before the loop ended"
        );
    };
    let neighbour = async {
        for _ in 0..50 {
            assert_eq!(
                told(&generation.judge(good.message("b:drop:fine")).await),
                "drop: fine"
            );
            done.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(bad, neighbour);
}

#[tokio::test]
async fn a_trap_discards_one_store_only() {
    let world = World::new();
    // On this one thread the pool has two instances; the last one back is the first one out.
    let generation = world.build(vec![plugin("a", json!({}))]).await.unwrap();
    let mut stream = Stream::from_partner("alpha.test");
    let mut said = Vec::new();
    for script in [
        "a:count", "a:count", "a:panic", "a:count", "a:count", "a:panic", "a:count",
    ] {
        said.push(told(&generation.judge(stream.message(script)).await));
    }
    said.retain(|word| word.starts_with("drop"));
    assert_eq!(
        said,
        ["drop: 1", "drop: 2", "drop: 1", "drop: 2", "drop: 1"]
    );
    assert_eq!(status(&generation, "a").counts.rebuilt, 1);
}

#[tokio::test]
async fn an_instance_whose_task_was_cancelled_is_replaced() {
    let world = World::new();
    let generation = world.build(vec![plugin("a", json!({}))]).await.unwrap();
    let mut stream = Stream::from_partner("alpha.test");
    for _ in 0..10 {
        assert!(
            !poll_once(generation.judge(stream.message("a:sleep"))).await,
            "it sleeps"
        );
    }
    assert_eq!(
        told(&generation.judge(stream.message("a:count")).await),
        "drop: 1"
    );
    let status = status(&generation, "a");
    assert_eq!(
        status.counts.failures, 0,
        "a cancelled task is no fault of the plugin"
    );
    assert!(status.quarantine.is_none());
}
