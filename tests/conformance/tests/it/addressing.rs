//! Who may send what to whom: addresses, order, errors, presence, JIDs.

use portcullis_conformance::{At, Listener, Node, Partner, Plan, Show, Stage, bare, ns};

use crate::support::{Refusal, playing_alpha, refused, refused_outside, unreachable};

#[tokio::test]
async fn adr_01_a_stanza_without_good_addresses_closes_the_stream() {
    let mut stage = Stage::usual().await;
    let rows: Vec<_> = [
        "<message from='b@alpha.test'><body>x</body></message>",
        "<message to='a@org.test'><body>x</body></message>",
        "<message from='' to='a@org.test'/>",
        "<message from='b@alpha.test' to=''/>",
        "<message from='@alpha.test' to='a@org.test'/>",
        "<presence from='b@alpha.test/' to='a@org.test'/>",
        "<iq from='b@alpha.test' to='a@org.test/' id='1' type='get'><q xmlns='urn:q'/></iq>",
        "<message from='b@alpha.test@org.test' to='a@org.test'/>",
        "<message from='b@al pha.test' to='a@org.test'/>",
    ]
    .into_iter()
    .map(|said| Refusal(At::Established, said, "improper-addressing"))
    .collect();
    refused(&stage, &rows).await;
    assert!(stage.org.try_next().is_none() && stage.alpha.try_next().is_none());
}

#[tokio::test]
async fn adr_02_a_foreign_from_closes_the_stream() {
    let mut stage = Stage::usual().await;
    let rows: Vec<_> = [
        "<message from='b@beta.test' to='a@org.test'><body>x</body></message>",
        "<message from='b@sub.alpha.test' to='a@org.test'><body>x</body></message>",
        "<message from='test' to='a@org.test'><body>x</body></message>",
        "<iq from='b@beta.test' to='a@org.test' type='ask'/>",
    ]
    .into_iter()
    .map(|said| Refusal(At::Established, said, "invalid-from"))
    .collect();
    refused(&stage, &rows).await;
    assert!(stage.org.try_next().is_none() && stage.alpha.try_next().is_none());
}

#[tokio::test]
async fn adr_03_another_recipient_closes_the_stream() {
    let mut stage = Stage::usual().await;
    let rows: Vec<_> = [
        "<message from='b@alpha.test' to='a@victim.test'><body>x</body></message>",
        "<message from='b@alpha.test' to='a@sub.org.test'><body>x</body></message>",
        "<message from='b@alpha.test' to='b@alpha.test'><body>x</body></message>",
    ]
    .into_iter()
    .map(|said| Refusal(At::Established, said, "host-unknown"))
    .collect();
    refused(&stage, &rows).await;
    assert!(stage.org.try_next().is_none() && stage.alpha.try_next().is_none());
}

#[tokio::test]
async fn adr_04_nobody_outside_is_one_of_us() {
    let bare = bare();
    let liar = bare.pki.partner(&["org.test", "second.test", "alpha.test"]);
    let second = "[[internal.server]]\ndomains = ['second.test']\nconnect = ['127.0.0.1:1']\n";
    let plan = Plan {
        domains: vec!["org.test", "second.test"],
        more: second.to_owned(),
        ..Plan::default()
    };
    let stage = bare.start(plan).await;
    let show = Show::Certificate(&liar);
    for at in [At::Connected, At::Secured] {
        // The header in the clear says something better, since nothing of it counts.
        for from in ["org.test", "second.test", "ORG.test."] {
            let mut peer = stage.outside_as("alpha.test", &show, at).await;
            peer.open(from, "org.test").await;
            peer.refused("invalid-from").await;
        }
    }
    let mut peer = stage.outside_as("alpha.test", &show, At::Established).await;
    peer.send("<message from='b@second.test' to='a@org.test'><body>x</body></message>")
        .await;
    peer.refused("invalid-from").await;
    stage.gateway.at_rest().await;
}

#[tokio::test]
async fn v21_nothing_is_relayed_between_foreign_domains() {
    let bare = bare();
    let listener = Listener::bind().await;
    let plan = Plan {
        partners: vec![Partner {
            domain: "beta.test",
            address: Some(listener.address),
            more: "",
        }],
        ..Plan::default()
    };
    let stage = bare.start(plan).await;
    let show = Show::Certificate(&stage.alpha_identity);
    // Inside TLS the domain cannot change any more, whichever it is.
    for (at, condition) in [
        (At::Connected, "host-unknown"),
        (At::Secured, "improper-addressing"),
    ] {
        let mut peer = stage.outside_as("alpha.test", &show, at).await;
        peer.open("alpha.test", "beta.test").await;
        peer.refused(condition).await;
    }
    let mut peer = stage.outside(At::Established).await;
    peer.send("<message from='b@alpha.test' to='x@beta.test'><body>x</body></message>")
        .await;
    peer.refused("host-unknown").await;
    // From inside, in the name of somebody who is not inside.
    let mut peer = stage.inside(At::Connected).await;
    peer.open("alpha.test", "beta.test").await;
    peer.refused("invalid-from").await;
    stage.gateway.at_rest().await;
    assert_eq!(stage.gateway.settled().await, 0.0);
    let quiet = std::time::Duration::from_millis(300);
    assert!(listener.is_left_alone_for(quiet).await);
}

#[tokio::test]
async fn adr_05_addresses_and_ids_stay_as_they_are() {
    let mut stage = Stage::usual().await;
    let mut outside = stage.outside(At::Established).await;
    let mut inside = stage.inside(At::Established).await;
    for (from, to, id) in [
        ("B@alpha.test/Über", "A@org.test/x y", "1"),
        ("b@ALPHA.test", "a@Org.Test", "&lt;&amp;&apos;"),
        ("alpha.test", "org.test", "é"),
    ] {
        outside
            .send(&format!(
                "<message from='{from}' to='{to}' id='{id}'><body>x</body></message>"
            ))
            .await;
        let message = stage.org_gets().await;
        assert_eq!(message.attribute("from"), Some(from));
        assert_eq!(message.attribute("to"), Some(to));
        let id = id
            .replace("&lt;", "<")
            .replace("&amp;", "&")
            .replace("&apos;", "'");
        assert_eq!(message.attribute("id"), Some(&id[..]));
        inside
            .send(&format!(
                "<presence from='{to}' to='{from}' type='subscribe'/>"
            ))
            .await;
        let presence = stage.alpha_gets().await;
        assert_eq!(presence.attribute("from"), Some(to));
        assert_eq!(presence.attribute("to"), Some(from));
    }
}

/// What alpha.test's user hears for this.
async fn answered(stage: &mut Stage, peer: &mut portcullis_conformance::Peer, said: &str) -> Node {
    peer.send(said).await;
    stage.alpha_gets().await
}

/// A message that passes, behind what must not be answered: the next thing that alpha.test hears would
/// be the wrong answer.
const BEHIND: &str = "<iq from='b@alpha.test' to='a@org.test' id='behind' type='odd'/>";

#[tokio::test]
async fn adr_06_an_iq_has_an_id_a_known_type_and_one_child() {
    let mut stage = Stage::usual().await;
    let mut peer = stage.outside(At::Established).await;
    for said in [
        "<iq from='b@alpha.test' to='a@org.test' id='1' type='ask'><q xmlns='urn:q'/></iq>",
        "<iq from='b@alpha.test' to='a@org.test' id='1'><q xmlns='urn:q'/></iq>",
        "<iq from='b@alpha.test' to='a@org.test' id='1' type='get'/>",
        "<iq from='b@alpha.test' to='a@org.test' id='1' type='set'><a xmlns='urn:a'/><b xmlns='urn:b'/></iq>",
        "<iq from='b@alpha.test' to='a@org.test' type='get'><q xmlns='urn:q'/></iq>",
    ] {
        let error = answered(&mut stage, &mut peer, said).await;
        assert_eq!(
            error.stanza_error(),
            Some(("bad-request", "modify")),
            "{said}"
        );
        assert_eq!(error.attribute("type"), Some("error"), "{said}");
    }
    // Results and errors are never answered, however odd.
    for said in [
        "<iq from='b@alpha.test' to='a@org.test' type='result'/>",
        "<iq from='b@alpha.test' to='a@org.test' id='1' type='result'><a xmlns='urn:a'/><b xmlns='urn:b'/></iq>",
        "<iq from='b@alpha.test' to='a@org.test' type='error'/>",
    ] {
        peer.send(said).await;
    }
    let error = answered(&mut stage, &mut peer, BEHIND).await;
    assert_eq!(error.attribute("id"), Some("behind"));
}

/// org.test's server is not there, so that everything from outside has to be answered or dropped.
async fn without_org() -> Stage {
    let plan = Plan {
        org_at: Some("127.0.0.1:1".parse().unwrap()),
        ..Plan::default()
    };
    bare().start(plan).await
}

#[tokio::test]
async fn adr_07_errors_go_back_without_the_payload_and_are_not_answered() {
    let mut stage = without_org().await;
    let mut peer = stage.outside(At::Established).await;
    let said = "<message from='b@alpha.test/r' to='a@org.test' id='7' type='chat'><body>secret</body></message>";
    let error = answered(&mut stage, &mut peer, said).await;
    assert_eq!(error.attribute("from"), Some("a@org.test"));
    assert_eq!(error.attribute("to"), Some("b@alpha.test/r"));
    assert_eq!(error.attribute("id"), Some("7"));
    assert_eq!(error.attribute("type"), Some("error"));
    assert!(error.child(ns::SERVER, "body").is_none(), "{error:?}");
    for said in [
        "<message from='b@alpha.test' to='a@org.test' id='8' type='error'><error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>",
        "<iq from='b@alpha.test' to='a@org.test' id='9' type='result'/>",
        "<iq from='b@alpha.test' to='a@org.test' id='10' type='error'/>",
        "<presence from='b@alpha.test' to='a@org.test' type='error'/>",
    ] {
        peer.send(said).await;
    }
    let error = answered(&mut stage, &mut peer, BEHIND).await;
    assert_eq!(error.attribute("id"), Some("behind"));
    assert_eq!(stage.gateway.settled().await, 6.0);
}

#[tokio::test]
async fn adr_08_an_error_names_the_gateway_by_a_domain_of_ours_or_nobody() {
    let mut stage = without_org().await;
    let mut peer = stage.outside(At::Established).await;
    let said = "<message from='b@alpha.test' to='a@org.test' id='7'><body>x</body></message>";
    let error = answered(&mut stage, &mut peer, said).await;
    let by = error.child(ns::SERVER, "error").unwrap().attribute("by");
    assert!([None, Some("org.test")].contains(&by), "{by:?}");
}

#[tokio::test]
async fn ord_01_stanzas_leave_in_order_over_one_stream() {
    let (stage, listener, identity) = playing_alpha(Plan::default()).await;
    // Two streams of the same pair inside: one output stream all the same.
    let mut streams = [
        stage.inside(At::Established).await,
        stage.inside(At::Established).await,
    ];
    for n in 0..100 {
        for (which, stream) in streams.iter_mut().enumerate() {
            let to = ["c@alpha.test", "c@alpha.test/r"][n % 2];
            stream
                .send(&format!(
                    "<message from='{which}@org.test' to='{to}' id='{n}'><body>x</body></message>"
                ))
                .await;
        }
    }
    let show = Show::Certificate(&identity);
    let mut alpha = listener.accept_established(&show).await;
    let mut next = [0, 0];
    for _ in 0..200 {
        let message = alpha.expect(ns::SERVER, "message").await;
        let which = usize::from(message.attribute("from") == Some("1@org.test"));
        let wanted = next[which].to_string();
        assert_eq!(message.attribute("id"), Some(&wanted[..]));
        next[which] += 1;
    }
    let quiet = std::time::Duration::from_millis(300);
    assert!(listener.is_left_alone_for(quiet).await);
}

#[tokio::test]
async fn msg_01_a_room_gets_no_error() {
    let mut stage = without_org().await;
    let mut peer = stage.outside(At::Established).await;
    peer.send("<message from='room@alpha.test/nick' to='a@org.test/r' id='1' type='groupchat'><body>x</body></message>")
        .await;
    let error = answered(&mut stage, &mut peer, BEHIND).await;
    assert_eq!(error.attribute("id"), Some("behind"));
}

/// What passes unchanged from alpha.test to org.test.
async fn passes(said: &str) {
    let mut stage = Stage::usual().await;
    let mut peer = stage.outside(At::Established).await;
    peer.send(said).await;
    assert_eq!(stage.org_gets().await, Node::parse(said));
}

#[tokio::test]
async fn msg_02_a_peers_delay_stays() {
    passes("<message from='b@alpha.test' to='a@org.test'><body>x</body><delay xmlns='urn:xmpp:delay' stamp='2026-01-01T00:00:00Z' from='alpha.test'>late</delay></message>").await;
}

#[tokio::test]
async fn msg_03_stanza_ids_pass_and_none_is_added() {
    passes("<message from='b@alpha.test' to='a@org.test' id='1'><body>x</body><stanza-id xmlns='urn:xmpp:sid:0' id='s' by='alpha.test'/><origin-id xmlns='urn:xmpp:sid:0' id='o'/></message>").await;
}

#[tokio::test]
async fn msg_04_hints_pass() {
    passes("<message from='b@alpha.test' to='a@org.test'><body>x</body><no-store xmlns='urn:xmpp:hints'/><no-permanent-store xmlns='urn:xmpp:hints'/></message>").await;
}

#[tokio::test]
async fn msg_05_what_is_not_delivered_inside_does_not_tell_who_is_there() {
    let mut stage = without_org().await;
    let mut peer = stage.outside(At::Established).await;
    for to in ["a@org.test", "a@org.test/r", "nobody@org.test"] {
        let iq =
            format!("<iq from='b@alpha.test' to='{to}' id='1' type='get'><q xmlns='urn:q'/></iq>");
        let error = answered(&mut stage, &mut peer, &iq).await;
        assert_eq!(
            error.stanza_error(),
            Some(("service-unavailable", "cancel"))
        );
        peer.send(&format!("<presence from='b@alpha.test' to='{to}'/>"))
            .await;
    }
    let error = answered(&mut stage, &mut peer, BEHIND).await;
    assert_eq!(error.attribute("id"), Some("behind"));
}

#[tokio::test]
async fn msg_06_security_labels_pass_and_no_error_repeats_one() {
    let said = "<message from='b@alpha.test' to='a@org.test' id='1'><body>x</body><securitylabel xmlns='urn:xmpp:sec-label:0'><displaymarking fgcolor='black' bgcolor='red'>SECRET</displaymarking><label><esssecuritylabel xmlns='urn:xmpp:sec-label:ess:0'>MQYCAQIGASk=</esssecuritylabel></label></securitylabel></message>";
    passes(said).await;
    let mut stage = without_org().await;
    let mut peer = stage.outside(At::Established).await;
    peer.send(said).await;
    let error = stage.alpha.stanza().await;
    assert!(
        error.contains("type='error'") || error.contains("type=\"error\""),
        "{error}"
    );
    assert!(
        !error.contains("sec-label") && !error.contains("SECRET"),
        "{error}"
    );
}

#[tokio::test]
async fn msg_07_discovery_reaches_the_domain_that_it_asks() {
    passes("<iq from='b@alpha.test' to='org.test' id='1' type='get'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>").await;
}

#[tokio::test]
async fn msg_08_a_subdomain_is_a_domain_of_its_own() {
    let bare = bare();
    let muc = bare.pki.partner(&["conference.alpha.test"]);
    let stage = bare
        .start(Plan {
            record: "also = ['conference.alpha.test']",
            ..Plan::default()
        })
        .await;
    // It is admitted by its own name and proven by its own name.
    let show = Show::Certificate(&muc);
    stage
        .outside_as("conference.alpha.test", &show, At::Established)
        .await
        .close()
        .await;
    let mut peer = stage
        .outside_as("pubsub.alpha.test", &show, At::Connected)
        .await;
    peer.open("pubsub.alpha.test", "org.test").await;
    peer.refused("policy-violation").await;
    let rows = [Refusal(
        At::Connected,
        crate::support::header!("from='alpha.test' to='conference.org.test' version='1.0'"),
        "host-unknown",
    )];
    refused_outside(&stage, &rows).await;
}

#[tokio::test]
async fn prs_01_an_unknown_type_of_presence_is_a_bad_request() {
    let mut stage = Stage::usual().await;
    let mut peer = stage.outside(At::Established).await;
    let said = "<presence from='b@alpha.test' to='a@org.test' type='lurking' id='p'/>";
    let error = answered(&mut stage, &mut peer, said).await;
    assert_eq!(error.stanza_error(), Some(("bad-request", "modify")));
    assert!(error.is(ns::SERVER, "presence"));
    for kind in [
        "subscribe",
        "subscribed",
        "unsubscribe",
        "unsubscribed",
        "probe",
        "unavailable",
    ] {
        peer.send(&format!(
            "<presence from='b@alpha.test' to='a@org.test' type='{kind}'/>"
        ))
        .await;
        assert_eq!(stage.org_gets().await.attribute("type"), Some(kind));
    }
}

#[tokio::test]
async fn prs_02_subscriptions_keep_their_bare_addresses() {
    for kind in ["subscribe", "subscribed", "unsubscribe", "unsubscribed"] {
        passes(&format!(
            "<presence from='b@alpha.test' to='a@org.test' type='{kind}' id='s'/>"
        ))
        .await;
    }
}

#[tokio::test]
async fn prs_03_availability_is_never_answered() {
    let mut stage = without_org().await;
    let mut peer = stage.outside(At::Established).await;
    for kind in ["", "type='unavailable'", "type='probe'"] {
        peer.send(&format!(
            "<presence from='b@alpha.test' to='a@org.test' {kind}/>"
        ))
        .await;
    }
    let error = answered(&mut stage, &mut peer, BEHIND).await;
    assert_eq!(error.attribute("id"), Some("behind"));
    assert_eq!(stage.gateway.settled().await, 4.0);
}

#[tokio::test]
async fn prs_05_an_error_is_the_same_for_bare_and_full_addresses() {
    let mut stage = without_org().await;
    let mut peer = stage.outside(At::Established).await;
    let mut errors = Vec::new();
    for to in [
        "a@org.test",
        "a@org.test/r",
        "nobody@org.test",
        "nobody@org.test/r",
    ] {
        let said =
            format!("<message from='b@alpha.test' to='{to}' id='1'><body>x</body></message>");
        let error = answered(&mut stage, &mut peer, &said).await;
        assert_eq!(error.attribute("from"), Some(to));
        // The reference is another one for each refusal, and tells nothing.
        let error = format!("{:?}", error.child(ns::SERVER, "error").unwrap());
        let (_, rest) = error.split_once("(reference ").unwrap();
        let (reference, _) = rest.split_once(')').unwrap();
        errors.push(error.replace(reference, ""));
    }
    errors.dedup();
    assert_eq!(errors.len(), 1, "{errors:?}");
}

#[tokio::test]
async fn prs_06_directed_presence_passes() {
    passes("<presence from='b@alpha.test/r' to='room@org.test/nick'><x xmlns='http://jabber.org/protocol/muc'/></presence>").await;
    passes("<presence from='b@alpha.test/r' to='room@org.test/nick' type='unavailable'/>").await;
}

#[tokio::test]
async fn jid_01_the_parts_of_an_address_have_bounds() {
    let mut stage = Stage::usual().await;
    let mut peer = stage.outside(At::Established).await;
    // The resource goes first: it may hold what the rest may not.
    for from in [
        "alpha.test/@/@",
        "b@alpha.test/a@b/c",
        &format!("{}@alpha.test", "x".repeat(1023)),
    ] {
        peer.send(&format!(
            "<message from='{from}' to='a@org.test'><body>x</body></message>"
        ))
        .await;
        assert_eq!(stage.org_gets().await.attribute("from"), Some(from));
    }
    for from in [
        "b@c@alpha.test",
        "@alpha.test",
        "b@",
        "b@alpha.test/",
        &format!("{}@alpha.test", "x".repeat(1024)),
        &format!("b@alpha.test/{}", "x".repeat(1024)),
    ] {
        let mut peer = stage.outside(At::Established).await;
        peer.send(&format!(
            "<message from='{from}' to='a@org.test'><body>x</body></message>"
        ))
        .await;
        peer.refused("improper-addressing").await;
    }
}

#[tokio::test]
async fn jid_02_an_odd_localpart_closes_no_stream() {
    let mut stage = Stage::usual().await;
    let mut peer = stage.outside(At::Established).await;
    // Forbidden by RFC 7622, and heard from servers of the stringprep days.
    peer.send(
        "<message from='b@alpha.test' to='o&apos;hara@org.test' id='odd'><body>x</body></message>",
    )
    .await;
    peer.send("<message from='b@alpha.test' to='a@org.test' id='good'><body>x</body></message>")
        .await;
    loop {
        let message = stage.org_gets().await;
        if message.attribute("id") == Some("good") {
            break;
        }
        assert_eq!(message.attribute("to"), Some("o'hara@org.test"));
    }
    peer.close().await;
}

#[tokio::test]
async fn jid_03_one_name_has_one_spelling() {
    let bare = bare();
    let identity = bare.pki.partner(&["xn--mller-kva.test"]);
    let plan = Plan {
        partners: vec![unreachable("müller.test", "")],
        ..Plan::default()
    };
    let mut stage = bare.start(plan).await;
    let show = Show::Certificate(&identity);
    for from in [
        "müller.test",
        "MÜLLER.TEST",
        "xn--mller-kva.test",
        "XN--MLLER-KVA.test.",
        "mu\u{308}ller.test",
        "ｍüller。test",
    ] {
        let mut peer = stage.outside_as(from, &show, At::Established).await;
        peer.send(&format!(
            "<message from='b@{from}' to='a@org.test' id='1'><body>x</body></message>"
        ))
        .await;
        assert_eq!(stage.org_gets().await.attribute("id"), Some("1"), "{from}");
    }
    // Looks alike, and is another: the Cyrillic а.
    let mut peer = stage.outside(At::Connected).await;
    peer.open("\u{430}lpha.test", "org.test").await;
    peer.refused("policy-violation").await;
    for from in [
        "alpha.test..",
        ".alpha.test",
        "al\u{200d}pha.test",
        "127.0.0.1",
        "[::1]",
        "-alpha.test",
    ] {
        let mut peer = stage.outside(At::Connected).await;
        peer.open(from, "org.test").await;
        peer.refused("improper-addressing").await;
    }
}
