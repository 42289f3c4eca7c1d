//! How a partner is found, and how many may come.

use portcullis_conformance::{Answer, At, Dns, Listener, Partner, Peer, Plan, Stage, bare, ns};

/// What of a partner without a fixed address is asked of DNS when org.test has a message for it.
async fn asked(domain: &'static str, to: &str) -> Vec<String> {
    let dns = Dns::start(Vec::new()).await;
    let plan = Plan {
        partners: vec![Partner {
            domain,
            address: None,
            more: "",
        }],
        dns: Some(dns.address),
        ..Plan::default()
    };
    let mut stage = bare().start(plan).await;
    let mut inside = Peer::connect(stage.gateway.internal).await;
    inside.open("org.test", to).await;
    inside.features().await;
    let show = portcullis_conformance::Show::Certificate(&stage.org_identity);
    let ascii = "xn--mller-kva.test";
    inside.start_tls(&show, ascii).await;
    inside.open("org.test", to).await;
    inside.features().await;
    inside.external().await;
    inside.open("org.test", to).await;
    inside.features().await;
    inside
        .send(&format!(
            "<message from='a@org.test' to='b@{to}' id='1'><body>x</body></message>"
        ))
        .await;
    let error = stage.org_gets().await;
    assert_eq!(
        error.stanza_error(),
        Some(("remote-server-not-found", "cancel"))
    );
    dns.asked()
}

#[tokio::test]
async fn dns_08_dns_is_asked_for_a_labels_whatever_was_written() {
    for to in ["müller.test", "MÜLLER.test.", "xn--mller-kva.test"] {
        let names = asked("müller.test", to).await;
        assert!(!names.is_empty());
        for name in &names {
            assert!(name.ends_with("xn--mller-kva.test"), "{names:?}");
        }
        assert!(names.contains(&"_xmpp-server._tcp.xn--mller-kva.test".to_owned()));
        assert!(names.contains(&"_xmpps-server._tcp.xn--mller-kva.test".to_owned()));
    }
}

/// A stage on which alpha.test is found by DNS alone.
async fn found_by(dns: &Dns, keys: Vec<(&'static str, String)>) -> Stage {
    let plan = Plan {
        partners: vec![Partner {
            domain: "beta.test",
            address: None,
            more: "",
        }],
        dns: Some(dns.address),
        keys,
        ..Plan::default()
    };
    bare().start(plan).await
}

const TO_BETA: &str =
    "<message from='a@org.test' to='b@beta.test' id='1'><body>hello</body></message>";

#[tokio::test]
async fn dns_01_a_domain_that_offers_nothing_or_fails_is_answered_by_name() {
    for (answers, condition, kind) in [
        (
            vec![(
                "_xmpp-server._tcp.beta.test",
                Answer::Srv(vec![(0, 0, 0, "")]),
            )],
            "remote-server-not-found",
            "cancel",
        ),
        (
            vec![
                ("_xmpp-server._tcp.beta.test", Answer::ServFail),
                ("_xmpps-server._tcp.beta.test", Answer::ServFail),
                ("beta.test", Answer::ServFail),
            ],
            "remote-server-not-found",
            "wait",
        ),
    ] {
        let dns = Dns::start(answers).await;
        let mut stage = found_by(&dns, Vec::new()).await;
        let mut inside = stage.inside_to("beta.test", At::Established).await;
        inside.send(TO_BETA).await;
        let error = stage.org_gets().await;
        assert_eq!(error.stanza_error(), Some((condition, kind)));
    }
}

#[tokio::test]
async fn dns_02_direct_tls_and_starttls_are_one_list_by_priority() {
    let (first, second) = (Listener::bind().await, Listener::bind().await);
    let dns = Dns::start(vec![
        (
            "_xmpps-server._tcp.beta.test",
            Answer::Srv(vec![(1, 0, first.address.port(), "host.beta.test")]),
        ),
        (
            "_xmpp-server._tcp.beta.test",
            Answer::Srv(vec![(2, 0, second.address.port(), "host.beta.test")]),
        ),
        (
            "host.beta.test",
            Answer::A(vec!["127.0.0.1".parse().unwrap()]),
        ),
    ])
    .await;
    let stage = found_by(&dns, Vec::new()).await;
    let mut inside = stage.inside_to("beta.test", At::Established).await;
    inside.send(TO_BETA).await;
    // The first begins with a TLS record, and is no more when it has nothing to say.
    let mut direct = first.accept().await;
    assert_eq!(direct.read().await.unwrap()[0], 22);
    drop(direct);
    // The second with a header in the clear, and STARTTLS.
    let mut clear = second.accept().await;
    clear.header().await;
    clear.respond("beta.test", "org.test", Peer::STARTTLS).await;
    clear.expect(ns::TLS, "starttls").await;
}

#[tokio::test]
async fn dns_09_a_partner_whose_dns_points_inside_is_not_contacted() {
    let listener = Listener::bind().await;
    let dns = Dns::start(vec![
        (
            "_xmpp-server._tcp.beta.test",
            Answer::Srv(vec![(0, 0, listener.address.port(), "host.beta.test")]),
        ),
        (
            "host.beta.test",
            Answer::A(vec!["127.0.0.1".parse().unwrap()]),
        ),
    ])
    .await;
    let plan = Plan {
        partners: vec![Partner {
            domain: "beta.test",
            address: None,
            more: "",
        }],
        dns: Some(dns.address),
        private: "false",
        ..Plan::default()
    };
    let mut stage = bare().start(plan).await;
    let mut inside = stage.inside_to("beta.test", At::Established).await;
    inside.send(TO_BETA).await;
    let error = stage.org_gets().await;
    let (condition, _) = error.stanza_error().unwrap();
    assert!(condition.starts_with("remote-server-"), "{condition}");
    let quiet = std::time::Duration::from_millis(300);
    assert!(listener.is_left_alone_for(quiet).await);
    // An address is no domain.
    for from in ["127.0.0.1", "[::1]", "127.0.0.1:5269", "0x7f.1"] {
        let mut peer = stage.outside(At::Connected).await;
        peer.open(from, "org.test").await;
        peer.header().await;
        let error = peer.expect(ns::STREAM, "error").await;
        let condition = error.condition().unwrap();
        assert!(
            ["improper-addressing", "policy-violation"].contains(&condition),
            "{from}: {condition}"
        );
    }
}
