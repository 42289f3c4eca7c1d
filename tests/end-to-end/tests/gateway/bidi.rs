//! One stream, both ways (XEP-0288): with partners and with internal servers, opened by either.

use portcullis_end_to_end::{Plan, World, prepare};
use portcullis_test_support::{Behaviour, Client, Incoming, Item, Mode, Server, attribute};

async fn world(behaviour: Behaviour) -> (World, Server) {
    let prepared = prepare();
    let alpha = prepared.partner("alpha.test", behaviour).await;
    let plan = Plan {
        partners: vec![("alpha.test", alpha.address)],
        ..Plan::default()
    };
    (prepared.start(plan).await, alpha)
}

/// The next stanza on a stream that the client opened.
async fn stanza(client: &mut Client) -> String {
    loop {
        match client.next().await {
            Item::Element(element) if !element.starts_with("<stream:") => return element,
            Item::Open(_) => {}
            other => panic!("no stanza but {other:?}"),
        }
    }
}

#[tokio::test]
async fn bi_04_a_partner_that_came_to_us_is_answered_on_its_own_stream() {
    let (mut world, alpha) = world(Behaviour::StartTls).await;
    let identity = world.pki.partner(&["alpha.test"]);
    let address = world.gateway.addresses().federation[0];
    let mut outside = Client::both_ways(address, &identity, "alpha.test", "org.test")
        .await
        .unwrap_or_else(|seen| panic!("{seen:?}"));
    outside
        .send("<message from='b@alpha.test' to='a@org.test'><body>in</body></message>")
        .await;
    assert!(world.org.stanza().await.contains("<body>in</body>"));
    let mut inside = world.inside("alpha.test", Mode::StartTls).await;
    for n in 0..200 {
        let message =
            format!("<message from='a@org.test' to='b@alpha.test'><body>n{n}n</body></message>");
        inside.send(&message).await;
    }
    for n in 0..200 {
        let message = stanza(&mut outside).await;
        assert!(
            message.contains(&format!("<body>n{n}n</body>")),
            "{n}: {message}"
        );
    }
    world.at_rest(201).await;
    assert_eq!(alpha.connections(), 0);

    // When it ends, the next stanza finds a way of its own.
    outside.close().await;
    let mut alpha = alpha;
    inside
        .send("<message from='a@org.test' to='b@alpha.test'><body>later</body></message>")
        .await;
    assert!(alpha.stanza().await.contains("<body>later</body>"));
    assert_eq!(alpha.connections(), 1);
}

#[tokio::test]
async fn bi_05_a_partner_answers_on_the_stream_that_we_opened() {
    let (mut world, mut alpha) = world(Behaviour::Echo).await;
    let mut inside = world.inside("alpha.test", Mode::StartTls).await;
    inside
        .send("<message from='a@org.test/x' to='b@alpha.test'><body>out</body></message>")
        .await;
    assert!(alpha.stanza().await.contains("<body>out</body>"));
    let echo = world.org.stanza().await;
    assert!(echo.contains("<body>echo</body>"), "{echo}");
    assert_eq!(attribute(&echo, "to"), Some("a@org.test/x"));
    world.at_rest(2).await;
    assert_eq!(
        world.sum(
            "portcullis_stanzas_total",
            r#"direction="inbound",kind="message",outcome="delivered""#
        ),
        1
    );
}

#[tokio::test]
async fn adr_02_on_a_stream_of_ours_too_only_the_peers_own_domain_speaks() {
    let (world, _alpha) = world(Behaviour::StartTls).await;
    let identity = world.pki.partner(&["alpha.test"]);
    let address = world.gateway.addresses().federation[0];
    let mut outside = Client::both_ways(address, &identity, "alpha.test", "org.test")
        .await
        .unwrap();
    outside
        .send("<message from='b@beta.test' to='a@org.test'/>")
        .await;
    let seen = format!("{:?}", outside.rest().await);
    assert!(seen.contains("<invalid-from"), "{seen}");
}

#[tokio::test]
async fn an_internal_server_that_nobody_can_connect_to_is_served_on_its_own_streams() {
    let prepared = prepare();
    let mut alpha = prepared.partner("alpha.test", Behaviour::StartTls).await;
    let identity = prepared.pki.internal_server(&["second.test"]);
    let plan = Plan {
        own: vec!["org.test", "second.test"],
        partners: vec![("alpha.test", alpha.address)],
        more: "[[internal.server]]\ndomains = ['second.test']\n".to_owned(),
        ..Plan::default()
    };
    let world = prepared.start(plan).await;
    let mut outside = Client::open(
        world.gateway.addresses().federation[0],
        &world.pki.partner(&["alpha.test"]),
        "alpha.test",
        "second.test",
        Mode::StartTls,
    )
    .await
    .unwrap_or_else(|seen| panic!("{seen:?}"));
    // Table 4b: nobody is there.
    outside
        .send(
            "<iq from='b@alpha.test' to='a@second.test' id='i' type='get'><q xmlns='urn:q'/></iq>",
        )
        .await;
    let error = alpha.stanza().await;
    assert!(error.contains("<service-unavailable"), "{error}");

    let mut inside = Client::both_ways(
        world.gateway.addresses().internal[0],
        &identity,
        "second.test",
        "alpha.test",
    )
    .await
    .unwrap_or_else(|seen| panic!("{seen:?}"));
    outside
        .send("<message from='b@alpha.test' to='a@second.test'><body>in</body></message>")
        .await;
    let message = stanza(&mut inside).await;
    assert!(message.contains("<body>in</body>"), "{message}");
    inside
        .send("<message from='a@second.test' to='b@alpha.test'><body>out</body></message>")
        .await;
    assert!(alpha.stanza().await.contains("<body>out</body>"));
    world.at_rest(3).await;
}

#[tokio::test]
async fn ord_01_both_sides_connect_at_once_and_one_output_stays_in_use() {
    let (world, mut alpha) = world(Behaviour::StartTls).await;
    let identity = world.pki.partner(&["alpha.test"]);
    let address = world.gateway.addresses().federation[0];
    let mut inside = world.inside("alpha.test", Mode::StartTls).await;
    inside
        .send("<message from='a@org.test' to='b@alpha.test'><body>n0n</body></message>")
        .await;
    let _outside = Client::both_ways(address, &identity, "alpha.test", "org.test")
        .await
        .unwrap_or_else(|seen| panic!("{seen:?}"));
    assert!(matches!(alpha.next().await, Incoming::Opened { .. }));
    for n in 1..100 {
        let message =
            format!("<message from='a@org.test' to='b@alpha.test'><body>n{n}n</body></message>");
        inside.send(&message).await;
    }
    // The stream of our own stood first; all of them come on it, in order.
    for n in 0..100 {
        let message = alpha.stanza().await;
        assert!(
            message.contains(&format!("<body>n{n}n</body>")),
            "{n}: {message}"
        );
    }
    world.at_rest(100).await;
}
