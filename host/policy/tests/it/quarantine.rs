//! A plugin that fails again and again is left alone, and comes back by itself.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use portcullis_policy::OnFailure;
use serde_json::json;

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

#[tokio::test]
async fn it_begins_and_ends_with_one_event_and_on_failure_answers_meanwhile() {
    for (on_failure, meanwhile) in [
        (
            OnFailure::Closed,
            "reject internal-server-error: the plugin is quarantined",
        ),
        (OnFailure::Open, "pass"),
    ] {
        let world = World::new();
        let mut spec = plugin("a", json!({}));
        spec.on_failure = on_failure;
        let generation = world
            .build(vec![spec, plugin("b", json!({}))])
            .await
            .unwrap();
        let mut stream = Stream::from_partner("alpha.test");
        let log = Log::default();
        let guard = log.listen();
        for _ in 0..20 {
            let _ = generation.judge(stream.message("a:panic")).await;
        }
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
        let back = async {
            loop {
                let judged = generation.judge(stream.message("a:drop:asked")).await;
                if told(&judged) == "drop: asked" {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), back)
            .await
            .unwrap();
        drop(guard);
        assert!(status(&generation, "a").quarantine.is_none());
        assert_eq!(log.count("and is quarantined"), 1);
        assert_eq!(log.count("is out of quarantine"), 1);
        assert_eq!(log.count("the plugin failed"), 5);
        assert_eq!(status(&generation, "b").counts.failures, 0);
    }
}

#[tokio::test]
async fn a_plugin_that_leaves_in_quarantine_ends_it() {
    let world = World::new();
    let generation = world.build(vec![plugin("a", json!({}))]).await.unwrap();
    let mut stream = Stream::from_partner("alpha.test");
    for _ in 0..5 {
        let _ = generation.judge(stream.message("a:abort")).await;
    }
    assert_eq!(status(&generation, "a").counts.by_cause.trap, 5);
    let log = Log::default();
    let guard = log.listen();
    drop(generation);
    drop(guard);
    assert_eq!(log.count("gone with its generation"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_pause_a_crowd_makes_one_trial() {
    let world = World::new();
    let generation = Arc::new(world.build(vec![plugin("a", json!({}))]).await.unwrap());
    let mut stream = Stream::from_partner("alpha.test");
    for _ in 0..5 {
        let _ = generation.judge(stream.message("a:panic")).await;
    }
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let crowd: Vec<_> = (0..50)
        .map(|_| {
            let (generation, stanza) = (Arc::clone(&generation), stream.message("a:panic"));
            tokio::spawn(async move { generation.judge(stanza).await.verdict().as_str() })
        })
        .collect();
    for one in crowd {
        assert_eq!(one.await.unwrap(), "reject");
    }
    let counts = status(&generation, "a").counts;
    assert_eq!((counts.failures, counts.skipped), (6, 49));
}
