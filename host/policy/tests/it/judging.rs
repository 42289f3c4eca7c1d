//! Stanzas before the chain.

use portcullis_policy::{Decision, OnFailure};
use serde_json::json;

use crate::support::{Stream, World, plugin, status, told};

#[tokio::test]
async fn plugins_are_asked_in_chain_order_and_see_the_edits_before_them() {
    let world = World::new();
    let generation = world
        .build(vec![plugin("a", json!({})), plugin("b", json!({}))])
        .await
        .unwrap();
    let mut stream = Stream::from_partner("alpha.test");
    let judged = generation.judge(stream.message("a:edit b:edit")).await;
    assert_eq!(told(&judged), "pass");
    assert_eq!(judged.by(), None);
    assert_eq!(
        judged.stanza().body().unwrap(),
        "a:edit b:edit a:was-here b:was-here"
    );
}

#[tokio::test]
async fn the_first_plugin_that_does_not_pass_decides() {
    let world = World::new();
    let generation = world
        .build(vec![plugin("a", json!({})), plugin("b", json!({}))])
        .await
        .unwrap();
    let mut stream = Stream::from_partner("alpha.test");

    let judged = generation
        .judge(stream.message("a:edit b:reject:why"))
        .await;
    assert_eq!(told(&judged), "reject policy-violation: why");
    assert_eq!(judged.by().unwrap().as_ref(), "plugin-b");
    assert_eq!(
        judged.stanza().body().unwrap(),
        "a:edit b:reject:why",
        "as it arrived"
    );

    let judged = generation
        .judge(stream.message("a:drop:enough b:reject:why"))
        .await;
    assert_eq!(told(&judged), "drop: enough");
    assert_eq!(status(&generation, "b").counts.calls, 1);
}

#[tokio::test]
async fn the_header_holds_what_a_policy_needs() {
    let world = World::new();
    let generation = world.build(vec![plugin("a", json!({}))]).await.unwrap();
    let judged = generation
        .judge(Stream::from_inside("alpha.test").message("a:header"))
        .await;
    assert_eq!(
        told(&judged),
        "drop: Kind::Message Subtype::Chat Direction::Outbound romeo@org.test/orchard juliet@alpha.test m1 en \
         [(\"body\", \"jabber:server\")]"
    );
}

#[tokio::test]
async fn an_iq_request_that_is_dropped_gets_an_answer() {
    let world = World::new();
    let generation = world
        .build(vec![plugin("a", json!({ "drop_iq": true }))])
        .await
        .unwrap();
    let mut stream = Stream::from_partner("alpha.test");
    let mut iq = |subtype: &str| {
        stream.receive(&format!(
            "<iq from='a@alpha.test' to='org.test' type='{subtype}' id='1'><query xmlns='urn:x'/></iq>"
        ))
    };
    assert_eq!(
        told(&generation.judge(iq("get")).await),
        "reject service-unavailable: no iq"
    );
    assert_eq!(
        told(&generation.judge(iq("set")).await),
        "reject service-unavailable: no iq"
    );
    assert_eq!(told(&generation.judge(iq("result")).await), "drop: no iq");
}

#[tokio::test]
async fn what_must_not_be_answered_is_dropped_instead_of_rejected() {
    let world = World::new();
    let generation = world.build(vec![plugin("a", json!({}))]).await.unwrap();
    let mut stream = Stream::from_partner("alpha.test");
    let error = "<message from='a@alpha.test' to='b@org.test' type='error'><body>a:reject:no</body></message>";
    assert_eq!(
        told(&generation.judge(stream.receive(error)).await),
        "drop: no"
    );
}

#[tokio::test]
async fn a_stanza_outside_the_subscription_costs_no_call() {
    let world = World::new();
    let generation = world
        .build(vec![plugin("a", json!({ "messages": true }))])
        .await
        .unwrap();
    let mut stream = Stream::from_partner("alpha.test");
    let presence = stream.receive("<presence from='a@alpha.test' to='b@org.test'/>");
    assert_eq!(told(&generation.judge(presence).await), "pass");
    assert_eq!(status(&generation, "a").counts.calls, 0);
    let _ = generation.judge(stream.message("a:pass")).await;
    assert_eq!(status(&generation, "a").counts.calls, 1);
}

#[tokio::test]
async fn a_verdict_is_remembered_for_its_domains_kind_and_direction() {
    let world = World::new();
    let generation = world
        .build(vec![plugin("a", json!({ "memo_ms": 3_600_000 }))])
        .await
        .unwrap();
    let (mut alpha, mut beta) = (
        Stream::from_partner("alpha.test"),
        Stream::from_partner("beta.test"),
    );
    assert_eq!(
        told(&generation.judge(alpha.message("a:reject:never")).await),
        "reject policy-violation: never"
    );
    assert_eq!(
        told(&generation.judge(alpha.message("a:pass")).await),
        "reject policy-violation: never"
    );
    assert_eq!(
        told(&generation.judge(beta.message("a:pass")).await),
        "pass"
    );
    let presence = alpha.receive("<presence from='a@alpha.test' to='b@org.test'/>");
    assert_eq!(told(&generation.judge(presence).await), "pass");
    assert_eq!(
        told(
            &generation
                .judge(Stream::from_inside("alpha.test").message("a:pass"))
                .await
        ),
        "pass"
    );
    let counts = status(&generation, "a").counts;
    assert_eq!((counts.calls, counts.remembered), (4, 1));
}

#[tokio::test]
async fn a_verdict_with_edits_is_never_remembered() {
    let world = World::new();
    let generation = world
        .build(vec![plugin("a", json!({ "memo_ms": 3_600_000 }))])
        .await
        .unwrap();
    let mut stream = Stream::from_partner("alpha.test");
    for _ in 0..2 {
        let judged = generation.judge(stream.message("a:edit")).await;
        assert_eq!(judged.stanza().body().unwrap(), "a:edit a:was-here");
    }
    let counts = status(&generation, "a").counts;
    assert_eq!((counts.calls, counts.remembered), (2, 0));
}

#[tokio::test]
async fn a_plugin_that_declares_a_memo_and_reads_state_fails() {
    let world = World::new();
    let generation = world
        .build(vec![plugin("a", json!({ "memo_ms": 1000 }))])
        .await
        .unwrap();
    let judged = generation
        .judge(Stream::from_partner("alpha.test").message("a:state"))
        .await;
    assert!(
        told(&judged).starts_with("reject internal-server-error"),
        "{}",
        told(&judged)
    );
    assert!(
        status(&generation, "a")
            .last_failure
            .unwrap()
            .contains("memo-ms")
    );
}

#[tokio::test]
async fn state_outlives_the_instance() {
    use portcullis_policy::state::State;
    let world = World::new();
    let generation = world.build(vec![plugin("a", json!({}))]).await.unwrap();
    let mut stream = Stream::from_partner("alpha.test");
    for script in [
        "a:state", "a:panic", "a:state", "a:panic", "a:panic", "a:state",
    ] {
        let _ = generation.judge(stream.message(script)).await;
    }
    let calls = world
        .services
        .state
        .namespace("plugin-a")
        .get("calls")
        .unwrap()
        .unwrap();
    assert_eq!(calls, 3_u64.to_be_bytes());
}

#[tokio::test]
async fn on_failure_answers_for_a_plugin_that_fails() {
    let world = World::new();
    let mut open = plugin("a", json!({}));
    open.on_failure = OnFailure::Open;
    let generation = world
        .build(vec![open, plugin("b", json!({}))])
        .await
        .unwrap();
    let mut stream = Stream::from_partner("alpha.test");

    let judged = generation
        .judge(stream.message("a:edit-and-panic b:pass"))
        .await;
    assert_eq!(told(&judged), "pass");
    assert_eq!(
        judged.stanza().body().unwrap(),
        "a:edit-and-panic b:pass",
        "the failed plugin's edits are gone"
    );

    let judged = generation.judge(stream.message("b:panic")).await;
    assert!(
        told(&judged).starts_with("reject internal-server-error: the plugin failed"),
        "{}",
        told(&judged)
    );
    assert_eq!(judged.by().unwrap().as_ref(), "plugin-b");
}

#[tokio::test]
async fn a_plugin_that_fails_again_and_again_is_quarantined() {
    let world = World::new();
    let generation = world.build(vec![plugin("a", json!({}))]).await.unwrap();
    for partner in [
        "alpha.test",
        "beta.test",
        "gamma.test",
        "alpha.test",
        "beta.test",
    ] {
        let mut stream = Stream::from_partner(partner);
        let _ = generation.judge(stream.message("a:panic")).await;
    }
    let mut stream = Stream::from_partner("alpha.test");
    let judged = generation.judge(stream.message("a:pass")).await;
    assert_eq!(
        told(&judged),
        "reject internal-server-error: the plugin is quarantined"
    );
    let status = status(&generation, "a");
    assert!(status.quarantine.is_some());
    assert_eq!(
        (
            status.counts.calls,
            status.counts.failures,
            status.counts.skipped
        ),
        (5, 5, 1)
    );
}

#[tokio::test]
async fn a_decision_is_one_json_object_without_content() {
    let world = World::new();
    let generation = world.build(vec![plugin("a", json!({}))]).await.unwrap();
    let judged = generation
        .judge(Stream::from_inside("alpha.test").message("a:reject:no-secrets"))
        .await;
    let decision = Decision::of_stanza(&judged);
    let mut record: serde_json::Value = serde_json::from_str(&decision.json()).unwrap();
    let object = record.as_object_mut().unwrap();
    let time = object.remove("time").unwrap();
    assert!(
        time.as_str().unwrap().ends_with('Z')
            && time.as_str().unwrap().len() == "2026-01-01T00:00:00.000000Z".len()
    );
    assert!(object.remove("elapsed_us").unwrap().is_u64());
    assert_eq!(object.remove("lang").unwrap(), "en");
    assert_eq!(
        object.remove("payloads").unwrap(),
        json!(["jabber:server body"])
    );
    assert_eq!(object.remove("edited").unwrap(), false);
    let reference = judged.reference().unwrap().to_string();
    assert_eq!(object.remove("refusal").unwrap(), reference);
    assert!(object.remove("bytes").unwrap().as_u64().unwrap() > 100);
    assert_eq!(
        record,
        json!({
            "event": "stanza", "stream": "stream-1", "partner": "alpha.test", "local": "org.test",
            "direction": "outbound", "address": "192.0.2.7:40000", "tls": "TLSv1.3",
            "cipher": "TLS13_AES_256_GCM_SHA384", "method": "external", "proof": "pkix", "certificate": null, "kind": "message", "type": "chat",
            "from": "romeo@org.test/orchard", "to": "juliet@alpha.test", "id": "m1", "verdict": "reject",
            "plugin": "plugin-a", "reason": "no-secrets", "condition": "policy-violation", "generation": 1,
        })
    );
}

#[tokio::test]
async fn a_record_has_an_end_whatever_a_peer_calls_its_stanza() {
    let world = World::new();
    let generation = world.build(vec![plugin("a", json!({}))]).await.unwrap();
    // As JSON it is twice as long, more than the journal takes for a line.
    let id = "\\".repeat(500 * 1024);
    let xml = format!("<message from='juliet@alpha.test' to='romeo@org.test' id='{id}'/>");
    let judged = generation
        .judge(Stream::from_partner("alpha.test").receive(&xml))
        .await;
    let record = Decision::of_stanza(&judged).json();
    assert!(record.len() < 8 * 1024, "{}", record.len());
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    assert_eq!(record["id"], id[..1024]);
}

#[tokio::test]
async fn emitted_presence_goes_between_inside_and_outside_only() {
    use portcullis_xmpp::stanza::Subtype;
    let mut world = World::new();
    let generation = world.build(vec![plugin("a", json!({}))]).await.unwrap();
    let mut stream = Stream::from_partner("alpha.test");
    assert_eq!(
        told(
            &generation
                .judge(stream.message("a:unavailable:b@org.test,a@alpha.test/x"))
                .await
        ),
        "pass"
    );
    let emission = world.emitted.recv().await.unwrap();
    assert_eq!(emission.subtype, Subtype::Unavailable);
    assert_eq!(
        (emission.from.as_str(), emission.to.as_str()),
        ("b@org.test", "a@alpha.test/x")
    );
    for addresses in [
        "a@alpha.test,b@beta.test",
        "a@org.test,b@org.test",
        "a@org.test,@",
    ] {
        let judged = generation
            .judge(stream.message(&format!("a:unavailable:{addresses}")))
            .await;
        assert!(told(&judged).starts_with("drop: "), "{addresses}");
    }
    assert!(world.emitted.try_recv().is_err());
}

#[tokio::test]
async fn a_plugin_reads_every_text_and_every_attribute_and_compares_addresses() {
    let world = World::new();
    let generation = world.build(vec![plugin("a", json!({}))]).await.unwrap();
    let mut stream = Stream::from_partner("alpha.test");
    let more = "<body xml:lang='fr'>se<b xmlns='urn:b'>co</b>nd</body>\
                <x xmlns='urn:x'><y at='1'/><y/><y at='2'/></x>";
    for (script, answer) in [
        ("a:texts", "drop: a:texts|second"),
        ("a:attribute:at", "drop: 1|2"),
        ("a:normal:Ju@ALPHA.test", "drop: ju@alpha.test"),
    ] {
        let xml = format!("<body>{script}</body>{more}");
        let judged = generation.judge(stream.message_of(&xml)).await;
        assert_eq!(told(&judged), answer);
    }
}
