//! What may not pass does not, and everybody is told what the RFC says they should be told.

use portcullis_end_to_end::{Plan, World, prepare};
use portcullis_test_support::{Behaviour, Client, Item, Mode, Server, attribute};
use time::Duration;

fn last_error(seen: &[Item]) -> String {
    let mut errors = seen.iter().filter_map(|item| match item {
        Item::Element(element) if element.starts_with("<stream:error") => Some(element.clone()),
        _ => None,
    });
    errors
        .next_back()
        .unwrap_or_else(|| panic!("no stream error in {seen:?}"))
}

#[tokio::test]
async fn an_unlisted_partner_is_refused_by_name_before_anything_else() {
    let world = prepare().start(Plan::default()).await;
    let mut gamma = Client::connect(world.gateway.addresses().federation[0]).await;
    gamma.header("gamma.test", "org.test").await;
    let error = last_error(&gamma.rest().await);
    assert!(error.contains("<policy-violation"), "{error}");
    assert!(error.contains("gamma.test"), "{error}");

    let seen = world
        .outside("gamma.test", Mode::Direct)
        .await
        .err()
        .expect("gamma.test was let in");
    assert!(last_error(&seen).contains("<policy-violation"));
    assert_eq!(
        world.sum(
            "portcullis_streams_refused_total",
            r#"condition="policy-violation""#
        ),
        2
    );
}

#[tokio::test]
async fn a_message_to_an_unlisted_partner_comes_back_as_not_allowed() {
    let mut world = prepare().start(Plan::default()).await;
    let mut inside = world.inside("gamma.test", Mode::StartTls).await;
    inside
        .send(
            "<message from='juliet@org.test/x' to='eve@gamma.test' id='7'><body>?</body></message>",
        )
        .await;
    let error = world.org.stanza().await;
    assert!(
        error.contains("<not-allowed") && error.contains("cancel"),
        "{error}"
    );
    assert_eq!(attribute(&error, "from"), Some("eve@gamma.test"));
    assert_eq!(attribute(&error, "to"), Some("juliet@org.test/x"));
    assert_eq!(attribute(&error, "id"), Some("7"));

    inside
        .send("<presence from='juliet@org.test/x' to='eve@gamma.test'/>")
        .await;
    world.at_rest(2).await;
    assert_eq!(
        world.sum(
            "portcullis_stanzas_total",
            r#"kind="message",outcome="bounced""#
        ),
        1
    );
    assert_eq!(
        world.sum(
            "portcullis_stanzas_total",
            r#"kind="presence",outcome="dropped""#
        ),
        1
    );
}

#[tokio::test]
async fn adr_04_nobody_outside_is_one_of_us() {
    let world = prepare().start(Plan::default()).await;
    let mut liar = Client::connect(world.gateway.addresses().federation[0]).await;
    liar.header("org.test", "org.test").await;
    let error = last_error(&liar.rest().await);
    assert!(error.contains("<invalid-from"), "{error}");
}

#[tokio::test]
async fn adr_03_nothing_goes_from_partner_to_partner() {
    let world = prepare().start(Plan::default()).await;
    let mut client = Client::connect(world.gateway.addresses().federation[0]).await;
    client.header("alpha.test", "beta.test").await;
    let error = last_error(&client.rest().await);
    assert!(error.contains("<host-unknown"), "{error}");
}

#[tokio::test]
async fn id_12_inside_only_internal_servers_with_their_own_certificate_speak() {
    let world = prepare().start(Plan::default()).await;
    let address = world.gateway.addresses().internal[0];
    let mut other = Client::connect(address).await;
    other.header("other.test", "alpha.test").await;
    assert!(last_error(&other.rest().await).contains("<invalid-from"));

    let wrong = world.pki.internal_server(&["elsewhere.test"]);
    let seen = Client::open(address, &wrong, "org.test", "alpha.test", Mode::StartTls)
        .await
        .err()
        .unwrap();
    let error = last_error(&seen);
    assert!(error.contains("not valid for org.test"), "{error}");

    // A server of ours for whom it is not.
    let mut server = world.inside("alpha.test", Mode::StartTls).await;
    server
        .send("<message from='a@elsewhere.test' to='b@alpha.test'><body/></message>")
        .await;
    assert!(last_error(&server.rest().await).contains("<invalid-from"));
}

#[tokio::test]
async fn a_partner_with_a_bad_certificate_is_told_what_is_wrong_with_it() {
    let prepared = prepare();
    let expired = prepared.pki.issue(
        &prepared.pki.public,
        &["alpha.test"],
        &[&prepared.pki.public],
        Duration::days(-1),
    );
    let foreign = prepared.pki.issue(
        &prepared.pki.internal,
        &["alpha.test"],
        &[&prepared.pki.public],
        Duration::days(9),
    );
    let wrong = prepared.pki.partner(&["beta.test"]);
    let world = prepared
        .start(Plan {
            partners: vec![("alpha.test", "127.0.0.1:9".parse().unwrap())],
            ..Plan::default()
        })
        .await;
    let address = world.gateway.addresses().federation[0];
    for (identity, told) in [
        (expired, "expired"),
        (foreign, "unknown"),
        (wrong, "not valid for alpha.test"),
    ] {
        let seen = Client::open(address, &identity, "alpha.test", "org.test", Mode::StartTls)
            .await
            .err()
            .unwrap();
        let error = last_error(&seen);
        assert!(error.contains(told), "{told}: {error}");
    }
}

#[tokio::test]
async fn a_stranger_who_says_nothing_is_closed_in_time() {
    let world = prepare()
        .start(Plan {
            timeouts: "establish = 1",
            ..Plan::default()
        })
        .await;
    for address in [
        world.gateway.addresses().federation[0],
        world.gateway.addresses().internal[0],
    ] {
        let mut silent = Client::connect(address).await;
        assert_eq!(silent.rest().await, [Item::End]);
        let mut slow = Client::connect(address).await;
        slow.send("<?xml version='1.0'?>").await;
        assert_eq!(slow.rest().await.last(), Some(&Item::End));
    }
}

/// Sends one message, one iq, one presence to `alpha.test` and returns what comes back.
async fn bounces(world: &mut World, expected: usize) -> Vec<String> {
    let mut inside = world.inside("alpha.test", Mode::StartTls).await;
    inside
        .send("<message from='a@org.test' to='b@alpha.test' id='m'><body>?</body></message>")
        .await;
    inside.send("<iq from='a@org.test' to='b@alpha.test' id='i' type='get'><ping xmlns='urn:xmpp:ping'/></iq>").await;
    inside
        .send("<presence from='a@org.test' to='b@alpha.test'/>")
        .await;
    inside
        .send("<message from='a@org.test' to='b@alpha.test' id='e' type='error'/>")
        .await;
    let mut errors = Vec::new();
    for _ in 0..expected {
        errors.push(world.org.stanza().await);
    }
    world.at_rest(4).await;
    assert_eq!(
        world.sum("portcullis_stanzas_total", r#"outcome="bounced""#),
        2
    );
    assert_eq!(
        world.sum("portcullis_stanzas_total", r#"outcome="dropped""#),
        2
    );
    errors
}

async fn assert_bounced(world: &mut World, condition: &str, kind: &str) {
    for error in bounces(world, 2).await {
        assert!(
            error.contains(&format!("<{condition}")),
            "{condition}: {error}"
        );
        assert!(
            error.contains(&format!("type='{kind}'"))
                || error.contains(&format!("type=\"{kind}\"")),
            "{kind}: {error}"
        );
    }
}

async fn world_with(server: &Server, prepared: portcullis_end_to_end::Prepared) -> World {
    prepared
        .start(Plan {
            partners: vec![("alpha.test", server.address)],
            ..Plan::default()
        })
        .await
}

#[tokio::test]
async fn table_4b_nobody_listens() {
    let plan = Plan {
        partners: vec![("alpha.test", "127.0.0.1:1".parse().unwrap())],
        ..Plan::default()
    };
    let mut world = prepare().start(plan).await;
    assert_bounced(&mut world, "remote-server-timeout", "wait").await;
}

#[tokio::test]
async fn table_4b_no_starttls() {
    let prepared = prepare();
    let alpha = prepared.partner("alpha.test", Behaviour::NoTls).await;
    let mut world = world_with(&alpha, prepared).await;
    assert_bounced(&mut world, "remote-server-timeout", "cancel").await;
}

#[tokio::test]
async fn table_4b_certificate_of_somebody_else() {
    let prepared = prepare();
    let alpha = prepared.partner("beta.test", Behaviour::StartTls).await;
    let mut world = world_with(&alpha, prepared).await;
    assert_bounced(&mut world, "remote-server-timeout", "cancel").await;
}

#[tokio::test]
async fn table_4b_authentication_refused() {
    let prepared = prepare();
    let alpha = prepared
        .partner("alpha.test", Behaviour::NotAuthorized)
        .await;
    let mut world = world_with(&alpha, prepared).await;
    assert_bounced(&mut world, "remote-server-timeout", "cancel").await;
    // V16: one attempt for all that waited.
    assert!(alpha.connections() <= 2, "{}", alpha.connections());
}

#[tokio::test]
async fn table_4b_host_unknown() {
    let prepared = prepare();
    let alpha = prepared.partner("alpha.test", Behaviour::HostUnknown).await;
    let mut world = world_with(&alpha, prepared).await;
    assert_bounced(&mut world, "remote-server-not-found", "cancel").await;
}

#[tokio::test]
async fn table_4b_silence() {
    let prepared = prepare();
    let alpha = prepared.partner("alpha.test", Behaviour::Mute).await;
    let plan = Plan {
        partners: vec![("alpha.test", alpha.address)],
        timeouts: "establish = 2",
        ..Plan::default()
    };
    let mut world = prepared.start(plan).await;
    assert_bounced(&mut world, "remote-server-timeout", "wait").await;
}

#[tokio::test]
async fn table_4b_the_internal_server_is_away() {
    let prepared = prepare();
    let mut alpha = prepared.partner("alpha.test", Behaviour::StartTls).await;
    let plan = Plan {
        org: Behaviour::NotAuthorized,
        partners: vec![("alpha.test", alpha.address)],
        ..Plan::default()
    };
    let world = prepared.start(plan).await;
    let mut outside = world.outside("alpha.test", Mode::StartTls).await.unwrap();
    outside
        .send("<message from='b@alpha.test' to='a@org.test' id='m'><body>?</body></message>")
        .await;
    let error = alpha.stanza().await;
    assert!(
        error.contains("<resource-constraint") && error.contains("wait"),
        "{error}"
    );
    outside
        .send("<iq from='b@alpha.test' to='a@org.test' id='i' type='get'><q xmlns='urn:q'/></iq>")
        .await;
    let error = alpha.stanza().await;
    assert!(
        error.contains("<service-unavailable") && error.contains("cancel"),
        "{error}"
    );
    outside
        .send("<presence from='b@alpha.test' to='a@org.test'/>")
        .await;
    world.at_rest(3).await;
    assert_eq!(
        world.sum(
            "portcullis_stanzas_total",
            r#"kind="presence",outcome="dropped""#
        ),
        1
    );
}

#[tokio::test]
async fn a_full_queue_bounces_and_stalls_nobody_else() {
    let prepared = prepare();
    let deaf = prepared.partner("alpha.test", Behaviour::Deaf).await;
    let mut beta = prepared.partner("beta.test", Behaviour::StartTls).await;
    let plan = Plan {
        partners: vec![("alpha.test", deaf.address), ("beta.test", beta.address)],
        ..Plan::default()
    };
    let mut world = prepared.start(plan).await;
    let mut to_alpha = world.inside("alpha.test", Mode::StartTls).await;
    let body = "x".repeat(60_000);
    // Sockets take some megabytes, the queue eight.
    let flood = tokio::spawn(async move {
        for n in 0..400 {
            let message = format!(
                "<message from='a@org.test' to='b@alpha.test' id='{n}'><body>{body}</body></message>"
            );
            to_alpha.send(&message).await;
        }
        to_alpha
    });
    let error = world.org.stanza().await;
    assert!(
        error.contains("<resource-constraint") && error.contains("wait"),
        "{error}"
    );

    let mut to_beta = world.inside("beta.test", Mode::StartTls).await;
    to_beta
        .send("<message from='a@org.test' to='b@beta.test'><body>hello</body></message>")
        .await;
    assert!(beta.stanza().await.contains("<body>hello</body>"));
    flood.abort();
}

#[tokio::test]
async fn dns_07_a_server_that_sends_us_elsewhere_is_followed_after_tls_alone() {
    for (hop, followed) in [
        (Behaviour::Elsewhere as fn(_) -> _, true),
        (Behaviour::ElsewhereInTheClear, false),
    ] {
        let prepared = prepare();
        let mut alpha = prepared.partner("alpha.test", Behaviour::StartTls).await;
        let first = prepared.partner("alpha.test", hop(alpha.address)).await;
        let mut world = world_with(&first, prepared).await;
        let mut inside = world.inside("alpha.test", Mode::StartTls).await;
        inside
            .send("<message from='a@org.test' to='b@alpha.test'><body>out</body></message>")
            .await;
        if followed {
            assert!(alpha.stanza().await.contains("<body>out</body>"));
        } else {
            let error = world.org.stanza().await;
            assert!(error.contains("<remote-server-timeout"), "{error}");
            // ADR-08: it is the gateway's own error.
            assert!(
                error.contains("by='org.test'") || error.contains("by=\"org.test\""),
                "{error}"
            );
            assert_eq!(alpha.connections(), 0);
        }
    }
}

#[tokio::test]
async fn dns_07_a_server_that_sends_us_round_in_circles_is_left() {
    let prepared = prepare();
    let place = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = place.local_addr().unwrap();
    drop(place);
    let identity = prepared.pki.partner(&["alpha.test"]);
    let alpha = Server::at(address, &identity, Behaviour::Elsewhere(address)).await;
    let mut world = world_with(&alpha, prepared).await;
    assert_bounced(&mut world, "remote-server-timeout", "wait").await;
    assert!(alpha.connections() <= 8, "{}", alpha.connections());
}
