//! What a plugin uses is bounded, counted, and told in its status.

use portcullis_policy::{Chain, Decision, OnFailure, PluginLimits, PluginSpec, Verdict};
use serde_json::json;

use crate::support::{Stream, World, domain, plugin, status, told};

/// The scripted plugin with other limits.
fn limited(change: impl FnOnce(&mut PluginLimits)) -> PluginSpec {
    let mut spec = plugin("a", json!({}));
    spec.budget = std::time::Duration::from_secs(1);
    change(&mut spec.limits);
    spec
}

#[tokio::test]
async fn edits_beyond_their_number_are_refused_and_counted() {
    let world = World::new();
    let spec = limited(|limits| limits.edits = 3);
    let generation = world.build(vec![spec]).await.unwrap();
    let mut stream = Stream::from_partner("alpha.test");
    let judged = generation.judge(stream.message("a:edits:3")).await;
    assert_eq!(told(&judged), "pass");
    let judged = generation.judge(stream.message("a:edits:4")).await;
    assert_eq!(told(&judged), "drop: edit 3: EditError::TooLarge");
    let counts = status(&generation, "a").counts;
    assert_eq!((counts.edits, counts.edits_refused), (6, 1));
}

#[tokio::test]
async fn no_hostile_xml_gets_into_a_stanza() {
    let world = World::new();
    let generation = world.build(vec![plugin("a", json!({}))]).await.unwrap();
    let mut stream = Stream::from_partner("alpha.test");
    for place in 0.. {
        let script = format!("a:hostile:{place}");
        let told = told(&generation.judge(stream.message(&script)).await);
        if told == "drop: no more" {
            assert!(place > 10);
            break;
        }
        assert!(told.starts_with("drop: EditError::"), "{place}: {told}");
    }
}

#[tokio::test]
async fn no_edit_changes_an_address_or_forges_a_stanza() {
    let world = World::new();
    let generation = world.build(vec![plugin("a", json!({}))]).await.unwrap();
    let mut stream = Stream::from_partner("alpha.test");
    let judged = generation.judge(stream.message("a:forge")).await;
    assert_eq!(told(&judged), "pass");
    let forged = judged.stanza();
    let (from, to) = ("romeo@alpha.test/orchard", "juliet@org.test");
    assert_eq!((forged.from().as_str(), forged.to().as_str()), (from, to));
    // What goes out is one stanza, and whoever reads it sees the same addresses.
    let (read, _) = stream.receive(&forged.to_xml()).into_parts();
    assert_eq!((read.from().as_str(), read.to().as_str()), (from, to));
    assert_eq!(read.subtype(), forged.subtype());
}

#[tokio::test]
async fn what_a_plugin_tells_a_sender_is_short_and_legal_xml() {
    let world = World::new();
    for memo in [json!({}), json!({ "memo_ms": 60_000 })] {
        let mut spec = plugin("a", memo);
        spec.budget = std::time::Duration::from_secs(1);
        let generation = world.build(vec![spec]).await.unwrap();
        let mut stream = Stream::from_partner("alpha.test");
        // The second time it may be the memo that answers.
        for _ in 0..2 {
            let judged = generation.judge(stream.message("a:lie")).await;
            let Verdict::Reject { error, reason } = judged.verdict() else {
                panic!("{}", told(&judged))
            };
            let text = error.text.as_ref().unwrap();
            assert!(text.len() <= 512 && reason.len() <= 512);
            assert!(!text.contains(char::is_control), "{text:?}");
            let reply = judged.stanza().error_reply(error).unwrap().to_xml();
            let (read, _) = Stream::from_inside("alpha.test")
                .receive(&reply)
                .into_parts();
            assert_eq!(read.to().as_str(), "romeo@alpha.test/orchard");
        }
    }
}

#[tokio::test]
async fn what_is_too_large_for_a_stanza_or_a_call_does_not_get_in() {
    let world = World::new();
    let generation = world.build(vec![limited(|_| ())]).await.unwrap();
    let mut stream = Stream::from_partner("alpha.test");
    let judged = generation
        .judge(stream.message("a:huge-text:1000000"))
        .await;
    assert_eq!(told(&judged), "drop: EditError::TooLarge");
    for script in ["a:huge-text:3000000", "a:huge-list"] {
        let judged = generation.judge(stream.message(script)).await;
        assert!(
            told(&judged).starts_with("reject internal-server-error"),
            "{}",
            told(&judged)
        );
    }
    assert_eq!(status(&generation, "a").counts.by_cause.host, 2);
}

#[tokio::test]
async fn a_share_of_state_ends_at_its_keys_and_at_its_bytes() {
    let world = World::new();
    for (limits, fit) in [
        (
            PluginLimits {
                state_keys: 10,
                ..PluginLimits::default()
            },
            10,
        ),
        (
            PluginLimits {
                state_bytes: 5010,
                ..PluginLimits::default()
            },
            15,
        ),
    ] {
        let spec = limited(|all| *all = limits);
        let generation = world.build(vec![spec]).await.unwrap();
        let judged = generation
            .judge(Stream::from_partner("alpha.test").message("a:hoard"))
            .await;
        let status = status(&generation, "a");
        assert_eq!(status.counts.state_refused, 1, "{}", told(&judged));
        if fit == 10 {
            assert_eq!(told(&judged), "drop: 10: TooLarge");
            assert_eq!((status.state.keys, status.state_limit.keys), (10, 10));
        } else {
            // Ten keys are there already, and may be written again; no more fit.
            assert_eq!(told(&judged), "drop: 10: TooLarge");
            assert_eq!(status.state_limit.bytes, 5010);
        }
    }
}

#[tokio::test]
async fn lines_beyond_the_logs_share_are_counted_whether_logged_or_printed() {
    let world = World::new();
    for script in ["a:chatter", "a:print-chatter"] {
        let mut spec = limited(|limits| limits.log_lines = 0);
        spec.budget = std::time::Duration::from_secs(10);
        let generation = world.build(vec![spec]).await.unwrap();
        let judged = generation
            .judge(Stream::from_partner("alpha.test").message(script))
            .await;
        assert_eq!(told(&judged), "pass");
        let dropped = status(&generation, "a").counts.log_dropped;
        assert!(dropped >= 40_000, "{script}: {dropped}");
    }
}

#[tokio::test]
async fn a_subscription_lists_a_bounded_number_of_payloads() {
    let world = World::new();
    world
        .build(vec![plugin("a", json!({ "payloads": 256 }))])
        .await
        .map(drop)
        .unwrap();
    let refused = world
        .build(vec![plugin("a", json!({ "payloads": 257 }))])
        .await
        .map(drop)
        .unwrap_err();
    assert!(refused.reason.contains("256"), "{refused}");
}

#[tokio::test]
async fn a_config_that_fits_into_no_instance_is_refused() {
    let world = World::new();
    let names: Vec<_> = (0..500_000)
        .map(|n| format!("partner-number-{n}.example.test"))
        .collect();
    let refused = world
        .build(vec![plugin("a", json!({ "allow": names }))])
        .await
        .map(drop)
        .unwrap_err();
    assert!(refused.reason.contains("bytes of memory"), "{refused}");
}

#[tokio::test]
async fn a_component_beyond_its_size_is_refused_with_the_key_that_raises_it() {
    let world = World::new();
    let spec = limited(|limits| limits.component_bytes = 64 * 1024);
    let refused = world.build(vec![spec]).await.map(drop).unwrap_err();
    assert!(refused.reason.contains("component_size"), "{refused}");
}

#[tokio::test]
async fn a_stanza_that_a_plugin_kept_is_nothing_in_the_next_call() {
    let world = World::new();
    let generation = world.build(vec![plugin("a", json!({}))]).await.unwrap();
    let judged = generation
        .judge(Stream::from_partner("alpha.test").message("a:keep"))
        .await;
    assert_eq!(told(&judged), "pass");
    let ruling = generation
        .knock(
            &domain("alpha.test"),
            portcullis_xmpp::stanza::Direction::Inbound,
            None,
        )
        .await;
    assert!(!ruling.is_admitted(), "fail closed");
    let status = status(&generation, "a");
    assert_eq!(status.counts.by_cause.host, 1, "{:?}", status.last_failure);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_observer_that_never_returns_holds_up_nobody_if_it_is_open() {
    let world = World::new();
    let mut deaf = plugin("a", json!({ "deaf": true }));
    deaf.on_failure = OnFailure::Open;
    deaf.budget = std::time::Duration::from_millis(5);
    // The rehearsal asks an observer too.
    let refused = world.build(vec![deaf.clone()]).await.map(drop).unwrap_err();
    assert!(refused.reason.contains("CPU time"), "{refused}");

    deaf.config["deaf"] = json!(false);
    deaf.config["deafened"] = json!(true);
    let chain = Chain::new(
        world
            .build(vec![deaf, plugin("b", json!({}))])
            .await
            .unwrap(),
    );
    let mut stream = Stream::from_partner("alpha.test");
    for number in 0..100 {
        let judged = chain
            .enter()
            .judge(stream.message(&format!("b:drop:{number}")))
            .await;
        assert_eq!(told(&judged), format!("drop: {number}"));
        chain.enter().observe(Decision::of_stanza(&judged)).await;
    }
    chain.settled().await;
    let generation = chain.enter();
    let (deaf, good) = (status(&generation, "a"), status(&generation, "b"));
    assert_eq!(deaf.counts.lost, 100);
    assert!(deaf.counts.by_cause.budget > 0 && deaf.quarantine.is_some());
    assert_eq!(deaf.counts.quarantines, 1);
    assert_eq!((good.counts.lost, good.counts.failures), (0, 0));
    assert_eq!(world.journal().len(), 100, "the other observer heard all");
}

#[tokio::test]
async fn the_status_tells_how_long_calls_take_and_what_instances_use() {
    let world = World::new();
    let generation = world.build(vec![plugin("a", json!({}))]).await.unwrap();
    assert_eq!(status(&generation, "a").counts.latency.quantile(0.5), None);
    let mut stream = Stream::from_partner("alpha.test");
    for script in ["a:pass", "a:pass", "a:pass", "a:spin:20"] {
        assert_eq!(
            told(&generation.judge(stream.message(script)).await),
            "pass"
        );
    }
    let status = status(&generation, "a");
    let quantile = |share| status.counts.latency.quantile(share).unwrap();
    assert_eq!(status.counts.calls, 4);
    assert!(quantile(0.5) < quantile(0.99));
    assert!(quantile(0.99) >= std::time::Duration::from_millis(20));
    // Two filters and one observer, each with a page or more and at most its limit.
    assert!((3 * 65_536..3 * 16 * 1024 * 1024).contains(&status.memory));
}
