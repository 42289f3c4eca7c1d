//! alpha.test wants to be believed: the gateway asks alpha.test's own server.

use super::*;

#[tokio::test]
async fn db_01_every_element_says_between_whom_and_answers_change_places() {
    let mut house = House::new().await;
    let (mut peer, id, _) = house.knock().await;
    peer.send(&result("alpha.test", "org.test", "the key"))
        .await;
    let (mut alpha, verify) = house.asked().await;
    assert_eq!(verify.attribute("from"), Some("org.test"));
    assert_eq!(verify.attribute("to"), Some("alpha.test"));
    assert_eq!(verify.attribute("id"), Some(&id[..]));
    assert_eq!(verify.text, "the key");
    assert!(alpha.heard().contains("<db:verify "), "{}", alpha.heard());
    alpha.send(&verified(&verify, "valid")).await;
    let answer = peer.expect(ns::DIALBACK, "result").await;
    assert_eq!(answer.attribute("from"), Some("org.test"));
    assert_eq!(answer.attribute("to"), Some("alpha.test"));
    assert_eq!(answer.attribute("type"), Some("valid"));
    assert!(peer.heard().contains("<db:result "), "{}", peer.heard());
    peer.send(TO_ORG).await;
    assert_eq!(house.stage.org_gets().await.attribute("id"), Some("1"));
    let status = house.stage.gateway.status().await;
    assert!(
        status["streams"].to_string().contains("tls-dialback"),
        "{status}"
    );
}

#[tokio::test]
async fn db_02_dialback_is_offered_with_errors_where_the_record_allows_it() {
    let house = House::new().await;
    let (_, _, features) = house.knock().await;
    let dialback = features.child(ns::DIALBACK_FEATURE, "dialback").unwrap();
    assert!(dialback.child(ns::DIALBACK_FEATURE, "errors").is_some());
    assert!(features.child(ns::SASL, "mechanisms").is_none());

    let house = House::with("sasl = 'optional'\ndialback = false", Vec::new()).await;
    let show = Show::Certificate(&house.identity);
    let (_, _, features) = house.knock_showing(&show).await;
    assert!(features.child(ns::DIALBACK_FEATURE, "dialback").is_none());
    // Without a certificate nothing is left that could prove the partner.
    let mut peer = house
        .stage
        .outside_as("alpha.test", &Show::Nothing, At::Secured)
        .await;
    peer.open("alpha.test", "org.test").await;
    peer.refused("policy-violation").await;
    assert!(house.alpha.is_left_alone_for(QUIET).await);
}

#[tokio::test]
async fn db_03_an_answer_counts_only_where_it_was_asked_for() {
    let house = House::new().await;
    for said in [
        "<db:result from='org.test' to='alpha.test' type='valid'/>",
        "<db:result from='alpha.test' to='org.test' type='valid'/>",
        "<db:verify from='alpha.test' to='org.test' id='1' type='valid'/>",
        "<db:verify from='org.test' to='alpha.test' id='1' type='valid'/>",
    ] {
        let (mut peer, _, _) = house.knock().await;
        peer.send(said).await;
        // Whatever it is answered with: nobody is proven by it.
        peer.send(TO_ORG).await;
        let rest = peer.rest().await;
        let error = |part: &Part| matches!(part, Part::Element(e) if e.is(ns::STREAM, "error"));
        assert!(rest.iter().any(error), "{said}: {rest:?}");
    }
    assert!(house.alpha.is_left_alone_for(QUIET).await);
    house.stage.gateway.at_rest().await;
    assert_eq!(house.stage.gateway.settled().await, 0.0);
}

#[tokio::test]
async fn v05_answers_for_other_pairs_ids_and_streams_change_nothing() {
    let house = House::new().await;
    for wrong in [
        "<db:verify from='alpha.test' to='org.test' id='another' type='valid'/>",
        "<db:verify from='org.test' to='alpha.test' id='ID' type='valid'/>",
        "<db:verify from='beta.test' to='org.test' id='ID' type='valid'/>",
        "<db:verify from='alpha.test' to='second.test' id='ID' type='valid'/>",
        "<db:result from='alpha.test' to='org.test' type='valid'/>",
    ] {
        let (mut peer, id, _) = house.knock().await;
        peer.send(&result("alpha.test", "org.test", "key")).await;
        let (mut alpha, verify) = house.asked().await;
        alpha.send(&wrong.replace("ID", &id)).await;
        if peer.is_silent_for(QUIET).await {
            // The question still stands.
            alpha.send(&verified(&verify, "invalid")).await;
        }
        let answer = peer.expect(ns::DIALBACK, "result").await;
        assert_ne!(answer.attribute("type"), Some("valid"), "{wrong}");
    }
    house.stage.gateway.at_rest().await;
    let status = house.stage.gateway.status().await;
    assert!(status["streams"].as_array().unwrap().is_empty(), "{status}");
}

#[tokio::test]
async fn db_04_stanzas_wait_for_their_own_pair_and_for_no_other() {
    let house = House::new().await;
    let (mut peer, _, _) = house.knock().await;
    peer.send(&result("alpha.test", "org.test", "key")).await;
    peer.send(TO_ORG).await;
    peer.refused("not-authorized").await;

    // What it asked for may have been looked into meanwhile: another house for the second part.
    let mut house = House::new().await;
    let mut peer = house.proven().await;
    peer.send(&result("muc.alpha.test", "org.test", "key"))
        .await;
    // The proven pair goes on while the other one is verified.
    peer.send(TO_ORG).await;
    house.stage.org_gets().await;
    peer.send("<message from='room@muc.alpha.test' to='a@org.test'><body>x</body></message>")
        .await;
    let error = loop {
        let said = peer.element().await;
        if said.is(ns::STREAM, "error") {
            break said;
        }
    };
    assert_eq!(error.condition(), Some("invalid-from"));
}

#[tokio::test]
async fn db_06_invalid_closes_and_a_domain_that_is_not_ours_does_not() {
    let house = House::new().await;
    let (mut peer, _, _) = house.knock().await;
    peer.send(&result("alpha.test", "nowhere.test", "key"))
        .await;
    let answer = peer.expect(ns::DIALBACK, "result").await;
    assert_eq!(answer.attribute("from"), Some("nowhere.test"));
    assert_eq!(error_of(&answer).0, "item-not-found");
    // The stream goes on.
    peer.send(&result("alpha.test", "org.test", "a forged key"))
        .await;
    let (mut alpha, verify) = house.asked().await;
    alpha.send(&verified(&verify, "invalid")).await;
    let answer = peer.expect(ns::DIALBACK, "result").await;
    assert_eq!(answer.attribute("type"), Some("invalid"));
    // Nobody is proven on it, so it ends.
    let rest = peer.rest().await;
    assert!(rest.contains(&Part::Close), "{rest:?}");
    house.stage.gateway.at_rest().await;
}

#[tokio::test]
async fn db_07_each_cause_has_its_condition_in_an_error_of_the_streams_namespace() {
    let keys = vec![("timeouts", "establish = 3".to_owned())];
    let house = House::with(RECORD, keys).await;
    let (mut peer, _, _) = house.knock().await;
    // Not ours.
    peer.send(&result("alpha.test", "nowhere.test", "key"))
        .await;
    let answer = peer.expect(ns::DIALBACK, "result").await;
    assert_eq!(error_of(&answer), ("item-not-found", "cancel"));
    // alpha.test's server goes away while it is asked.
    peer.send(&result("alpha.test", "org.test", "key")).await;
    drop(house.alpha.accept().await);
    let answer = peer.expect(ns::DIALBACK, "result").await;
    let (condition, _) = error_of(&answer);
    assert!(
        ["remote-connection-failed", "remote-server-timeout"].contains(&condition),
        "{condition}"
    );
    house.stage.gateway.at_rest().await;
}

#[tokio::test]
async fn db_08_one_stream_carries_several_pairs_up_to_a_limit() {
    let keys = vec![("limits", "pairs_per_stream = 2".to_owned())];
    let mut house = House::with(
        "sasl = 'optional'\nalso = ['muc.alpha.test', 'x.alpha.test']\nbidi = false",
        keys,
    )
    .await;
    let mut peer = house.proven().await;
    peer.send(&result("muc.alpha.test", "org.test", "key"))
        .await;
    let (mut alpha, verify) = house.asked().await;
    assert_eq!(verify.attribute("to"), Some("muc.alpha.test"));
    alpha.send(&verified(&verify, "valid")).await;
    let answer = peer.expect(ns::DIALBACK, "result").await;
    assert_eq!(answer.attribute("to"), Some("muc.alpha.test"));
    assert_eq!(answer.attribute("type"), Some("valid"));
    for from in ["b@alpha.test", "room@muc.alpha.test"] {
        peer.send(&format!(
            "<message from='{from}' to='a@org.test'><body>x</body></message>"
        ))
        .await;
        assert_eq!(house.stage.org_gets().await.attribute("from"), Some(from));
    }
    peer.send(&result("x.alpha.test", "org.test", "key")).await;
    let answer = peer.expect(ns::DIALBACK, "result").await;
    assert_eq!(error_of(&answer).0, "resource-constraint");
}

#[tokio::test]
async fn db_11_a_key_is_asked_about_once_and_not_for_ever() {
    let keys = vec![("timeouts", "establish = 2".to_owned())];
    let house = House::with(RECORD, keys).await;
    let (mut peer, _, _) = house.knock().await;
    for _ in 0..3 {
        peer.send(&result("alpha.test", "org.test", "key")).await;
    }
    // It is accepted and never answered.
    let _mute = house.alpha.accept().await;
    assert!(house.alpha.is_left_alone_for(QUIET).await);
    let rest = peer.rest().await;
    let valid =
        |part: &Part| matches!(part, Part::Element(e) if e.attribute("type") == Some("valid"));
    assert!(!rest.iter().any(valid), "{rest:?}");
    house.stage.gateway.at_rest().await;
}

#[tokio::test]
async fn db_12_a_good_certificate_replaces_the_key() {
    let mut house = House::new().await;
    let show = Show::Certificate(&house.identity);
    let (mut peer, _, _) = house.knock_showing(&show).await;
    peer.send(&result("alpha.test", "org.test", "anything"))
        .await;
    let answer = peer.expect(ns::DIALBACK, "result").await;
    assert_eq!(answer.attribute("type"), Some("valid"));
    peer.send(TO_ORG).await;
    house.stage.org_gets().await;
    assert!(house.alpha.is_left_alone_for(QUIET).await);
    // For its own name only: the other pair is asked about.
    peer.send(&result("muc.alpha.test", "org.test", "key"))
        .await;
    let (mut alpha, verify) = house.asked().await;
    alpha.send(&verified(&verify, "invalid")).await;
    let answer = peer.expect(ns::DIALBACK, "result").await;
    assert_eq!(answer.attribute("to"), Some("muc.alpha.test"));
    // DB-06: another pair is proven, so the stream stays.
    assert_eq!(error_of(&answer), ("forbidden", "auth"));
    peer.send(TO_ORG).await;
    house.stage.org_gets().await;
}

#[tokio::test]
async fn v07_a_bad_certificate_replaces_no_key() {
    let house = House::new().await;
    let pki = &house.stage.pki;
    let public = &pki.public;
    let issue =
        |by, name: &str, days| pki.issue(by, &[name], &[public], time::Duration::days(days));
    for (what, identity) in [
        ("another name", issue(public, "beta.test", 9)),
        ("expired", issue(public, "alpha.test", -1)),
        (
            "an unknown authority",
            issue(&pki.internal, "alpha.test", 9),
        ),
    ] {
        let (mut peer, _, features) = house.knock_showing(&Show::Certificate(&identity)).await;
        assert!(features.child(ns::SASL, "mechanisms").is_none(), "{what}");
        peer.send(&result("alpha.test", "org.test", "forged")).await;
        let (mut alpha, verify) = house.asked().await;
        assert_eq!(verify.text, "forged");
        alpha.send(&verified(&verify, "invalid")).await;
        let answer = peer.expect(ns::DIALBACK, "result").await;
        assert_eq!(answer.attribute("type"), Some("invalid"), "{what}");
    }
}

#[tokio::test]
async fn id_11_a_certificate_is_judged_for_each_pair_when_it_is_used() {
    let bare = bare();
    let alpha = Listener::bind().await;
    let both = bare.pki.partner(&["alpha.test", "muc.alpha.test"]);
    let plan = Plan {
        alpha_at: Some(alpha.address),
        record: "sasl = 'optional'\nalso = ['muc.alpha.test']",
        partners: vec![Partner {
            domain: "beta.test",
            address: Some(alpha.address),
            more: "sasl = 'optional'",
        }],
        ..Plan::default()
    };
    let stage = bare.start(plan).await;
    let show = Show::Certificate(&both);
    let mut peer = stage.outside_as("alpha.test", &show, At::Established).await;
    // The same certificate is good for this one ...
    peer.send(&result("muc.alpha.test", "org.test", "any"))
        .await;
    let answer = peer.expect(ns::DIALBACK, "result").await;
    assert_eq!(answer.attribute("type"), Some("valid"));
    assert!(alpha.is_left_alone_for(QUIET).await);
    // ... and not for that one, which has to be asked about.
    peer.send(&result("beta.test", "org.test", "any")).await;
    drop(alpha.accept().await);
    let answer = peer.expect(ns::DIALBACK, "result").await;
    assert_ne!(answer.attribute("type"), Some("valid"));
}
