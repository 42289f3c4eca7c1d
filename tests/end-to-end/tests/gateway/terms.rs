//! What a partner's record says about stanzas: kinds, group chat, size and rate, each way.

use std::time::{Duration, Instant};

use portcullis_end_to_end::{Plan, World, default_plugins, prepare};
use portcullis_test_support::{Behaviour, Mode, Server, attribute};

/// A partner whose record has these keys, and the gateway.
async fn start(keys: &str, more: &str) -> (World, Server) {
    let prepared = prepare();
    let alpha = prepared.partner("alpha.test", Behaviour::StartTls).await;
    let record = format!(
        "[[partner]]\ndomain = 'alpha.test'\nproxy = '{}'\n{keys}\n{more}",
        alpha.address
    );
    let plan = Plan {
        more: record,
        plugins: (!more.is_empty()).then(default_plugins),
        ..Plan::default()
    };
    (prepared.start(plan).await, alpha)
}

#[tokio::test]
async fn a_kind_that_the_record_does_not_have_is_answered_and_its_answers_pass() {
    let (mut world, mut alpha) = start(
        "stanzas_in = ['message', 'iq']\nstanzas_out = ['message']",
        "",
    )
    .await;
    let mut inside = world.inside("alpha.test", Mode::StartTls).await;
    inside
        .send(
            "<presence from='a@org.test/x' to='b@alpha.test'/>\
             <iq from='a@org.test/x' to='alpha.test' id='ask' type='get'><q xmlns='urn:q'/></iq>\
             <message from='a@org.test/x' to='b@alpha.test'><body>1</body></message>",
        )
        .await;
    assert!(alpha.stanza().await.contains("<body>1</body>"));
    let error = world.org.stanza().await;
    assert_eq!(attribute(&error, "id"), Some("ask"));
    assert!(error.contains("<not-allowed"), "{error}");

    let mut outside = world.outside("alpha.test", Mode::StartTls).await.unwrap();
    outside
        .send(
            "<presence from='b@alpha.test/x' to='a@org.test'/>\
             <iq from='b@alpha.test/x' to='org.test' id='in' type='get'><q xmlns='urn:q'/></iq>",
        )
        .await;
    assert_eq!(attribute(&world.org.stanza().await, "id"), Some("in"));
    inside
        .send("<iq from='org.test' to='b@alpha.test/x' id='in' type='result'/>")
        .await;
    assert_eq!(attribute(&alpha.stanza().await, "id"), Some("in"));
    world.at_rest(6).await;
    assert_eq!(
        world.sum("portcullis_stanzas_total", r#"outcome="bounced""#),
        1
    );
    assert_eq!(
        world.sum("portcullis_stanzas_total", r#"outcome="dropped""#),
        2
    );
}

#[tokio::test]
async fn msg_01_group_chat_that_is_off_throws_nobody_out_of_a_room() {
    let audit = "[[plugin]]\nname = 'audit'\ncomponent = 'audit_log.wasm'\n";
    let (mut world, alpha) = start("group_chat = false", audit).await;
    let mut inside = world.inside("alpha.test", Mode::StartTls).await;
    inside
        .send(
            "<message from='a@org.test/x' to='room@alpha.test' type='groupchat' id='out'>\
             <body>1</body></message>",
        )
        .await;
    let error = world.org.stanza().await;
    assert_eq!(attribute(&error, "id"), Some("out"));
    assert!(error.contains("<not-allowed"), "{error}");

    let mut outside = world.outside("alpha.test", Mode::StartTls).await.unwrap();
    outside
        .send(
            "<message from='room@alpha.test/b' to='a@org.test/x' type='groupchat' id='in'>\
             <body>1</body></message>\
             <message from='b@alpha.test' to='a@org.test' id='chat'><body>2</body></message>",
        )
        .await;
    assert_eq!(attribute(&world.org.stanza().await, "id"), Some("chat"));
    world.at_rest(3).await;
    assert_eq!(alpha.connections(), 0, "something went back to the room");
    let of_rule = || {
        let journal = world.journal();
        let records = journal
            .iter()
            .filter(|record| record["plugin"] == "gateway:partner-group-chat");
        records
            .map(|record| (record["id"].to_string(), record["verdict"].to_string()))
            .collect::<Vec<_>>()
    };
    world
        .until(|| of_rule().len() == 2, || format!("{:?}", of_rule()))
        .await;
    let expected = [("\"out\"", "\"reject\""), ("\"in\"", "\"drop\"")];
    let expected = expected.map(|(id, verdict)| (id.to_owned(), verdict.to_owned()));
    assert_eq!(of_rule(), expected);
}

#[tokio::test]
async fn a_direction_that_the_record_does_not_have_is_answered() {
    let (mut world, alpha) = start("direction = 'inbound'", "").await;
    let mut inside = world.inside("alpha.test", Mode::StartTls).await;
    inside
        .send("<message from='a@org.test' to='b@alpha.test' id='1'><body>1</body></message>")
        .await;
    let error = world.org.stanza().await;
    assert!(error.contains("<not-allowed"), "{error}");
    world.at_rest(1).await;
    assert_eq!(alpha.connections(), 0);
}

#[tokio::test]
async fn xml_06_a_stanza_beyond_the_record_s_size_is_answered_without_its_payload() {
    let (mut world, mut alpha) = start("stanza_bytes = 10000", "").await;
    let mut inside = world.inside("alpha.test", Mode::StartTls).await;
    let message = |id: &str, size| {
        let body = "x".repeat(size);
        format!(
            "<message from='a@org.test' to='b@alpha.test' id='{id}'><body>{body}</body></message>"
        )
    };
    inside.send(&message("large", 10_000)).await;
    inside.send(&message("small", 9_000)).await;
    assert_eq!(attribute(&alpha.stanza().await, "id"), Some("small"));
    let error = world.org.stanza().await;
    assert_eq!(attribute(&error, "id"), Some("large"));
    assert!(error.contains("<policy-violation"), "{error}");
    assert!(error.contains("<stanza-too-big"), "{error}");
    assert!(!error.contains("xxx"), "the payload goes back");
}

#[tokio::test]
async fn dos_01_a_partner_that_is_too_fast_is_slowed_down_and_loses_nothing() {
    let (mut world, _alpha) = start("rate_in = { stanzas = 10 }", "").await;
    let mut outside = world.outside("alpha.test", Mode::StartTls).await.unwrap();
    let began = Instant::now();
    // Ten seconds' worth may come at once; ten more stanzas take a second.
    let mut text = String::new();
    for id in 0..111 {
        text.push_str(&format!(
            "<message from='b@alpha.test' to='a@org.test' id='{id}'><body>1</body></message>"
        ));
    }
    outside.send(&text).await;
    for id in 0..111 {
        let message = world.org.stanza().await;
        assert_eq!(attribute(&message, "id"), Some(id.to_string().as_str()));
    }
    assert!(began.elapsed() >= Duration::from_millis(900));
    world.at_rest(111).await;
}

#[tokio::test]
async fn dos_01_what_would_wait_too_long_for_its_turn_is_refused_and_told() {
    let (mut world, mut alpha) = start("rate_out = { bytes = 1000 }", "").await;
    let mut inside = world.inside("alpha.test", Mode::StartTls).await;
    let body = "x".repeat(30_000);
    inside
        .send(&format!(
            "<message from='a@org.test' to='b@alpha.test' id='1'><body>{body}</body></message>\
             <message from='a@org.test' to='b@alpha.test' id='2'><body>2</body></message>"
        ))
        .await;
    assert_eq!(attribute(&alpha.stanza().await, "id"), Some("1"));
    let error = world.org.stanza().await;
    assert_eq!(attribute(&error, "id"), Some("2"));
    assert!(error.contains("type='wait'"), "{error}");
    assert!(error.contains("<policy-violation"), "{error}");
    world.at_rest(2).await;
}
