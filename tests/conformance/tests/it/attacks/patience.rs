//! Peers that are slow, deaf or not there, and strangers that would have others called.

use super::*;

#[tokio::test]
async fn v14_slow_bytes_extend_no_deadline() {
    let plan = Plan {
        keys: vec![("timeouts", "establish = 2".to_owned())],
        ..Plan::default()
    };
    let stage = bare().start(plan).await;
    let mut slow = tokio::task::JoinSet::new();
    for at in [
        At::Connected,
        At::Clear,
        At::Secured,
        At::Authenticating,
        At::Restarting,
    ] {
        for mut peer in [stage.outside(at).await, stage.inside(at).await] {
            slow.spawn(async move {
                let began = tokio::time::Instant::now();
                peer.send("<").await;
                // A byte now and then, for as long as anybody listens.
                loop {
                    let silent = peer.is_silent_for(Duration::from_millis(100)).await;
                    if !silent || peer.try_send(b"a").await.is_err() {
                        break;
                    }
                    assert!(began.elapsed() < Duration::from_secs(10), "{at:?}");
                }
                peer.rest().await;
            });
        }
    }
    // Half of a TLS handshake, and nothing at all.
    for said in [&b"\x16\x03\x01\x02\x00\x01"[..], b""] {
        let mut peer = stage.outside(At::Connected).await;
        slow.spawn(async move {
            let _sent = peer.try_send(said).await;
            while peer.read().await.is_ok_and(|bytes| !bytes.is_empty()) {}
        });
    }
    while let Some(ended) = slow.join_next().await {
        ended.unwrap();
    }
    stage.gateway.at_rest().await;
}

#[tokio::test]
async fn v15_a_partner_that_does_not_read_costs_one_bounded_queue() {
    let bare = bare();
    let beta_identity = bare.pki.partner(&["beta.test"]);
    let mut beta = Server::start(&beta_identity, Behaviour::StartTls).await;
    let plan = Plan {
        alpha: Behaviour::Deaf,
        partners: vec![Partner {
            domain: "beta.test",
            address: Some(beta.address),
            more: "",
        }],
        ..Plan::default()
    };
    let mut stage = bare.start(plan).await;
    warm(&stage).await;
    let mut to_alpha = stage.inside(At::Established).await;
    let body = "x".repeat(60_000);
    let cost = Cost::count(&stage);
    let flood = tokio::spawn(async move {
        for n in 0..400 {
            let message = format!(
                "<message from='a@org.test' to='b@alpha.test' id='{n}'><body>{body}</body></message>"
            );
            to_alpha.send(&message).await;
        }
        to_alpha
    });
    let error = stage.org_gets().await;
    assert_eq!(error.stanza_error(), Some(("resource-constraint", "wait")));
    // Nobody else waits.
    let mut to_beta = stage.inside_to("beta.test", At::Established).await;
    to_beta
        .send("<message from='a@org.test' to='b@beta.test'><body>hello</body></message>")
        .await;
    assert!(beta.stanza().await.contains("hello"));
    let queued = stage.gateway.sum("portcullis_queued_bytes", "").await;
    assert!(queued <= 9.0 * 1024.0 * 1024.0, "{queued}");
    cost.at_most(&stage, 48 * MIB, Duration::from_secs(10));
    flood.abort();
}

#[tokio::test]
async fn v16_a_black_hole_costs_one_attempt_and_one_error_for_each_stanza() {
    const COUNT: usize = 2000;
    let hole = Listener::bind().await;
    let plan = Plan {
        alpha_at: Some(hole.address),
        keys: vec![("timeouts", "establish = 3".to_owned())],
        ..Plan::default()
    };
    let mut stage = bare().start(plan).await;
    let mut inside = stage.inside(At::Established).await;
    for n in 0..COUNT {
        inside
            .send(&format!(
                "<message from='a@org.test' to='b@alpha.test' id='{n}'><body>x</body></message>"
            ))
            .await;
    }
    // Errors of others, and presence, are not answered.
    inside
        .send("<message from='a@org.test' to='b@alpha.test' id='e' type='error'/><presence from='a@org.test' to='b@alpha.test'/>")
        .await;
    let _attempt = hole.accept().await;
    let mut answered = vec![0; COUNT];
    for _ in 0..COUNT {
        let error = stage.org_gets().await;
        let (condition, kind) = error.stanza_error().unwrap();
        assert!(
            matches!(condition, "remote-server-timeout" | "resource-constraint") && kind == "wait",
            "{error:?}"
        );
        let id: usize = error.attribute("id").unwrap().parse().unwrap();
        answered[id] += 1;
    }
    assert!(answered.iter().all(|times| *times == 1));
    // While the next attempt waits its turn, answers come at once and nothing is dialled.
    inside.send(TO_ALPHA).await;
    let error = stage.org_gets().await;
    assert_eq!(
        error.stanza_error(),
        Some(("remote-server-timeout", "wait"))
    );
    assert!(hole.is_left_alone_for(QUIET).await);
    assert_eq!(stage.gateway.settled().await, 2003.0);
    let bounced = stage
        .gateway
        .sum("portcullis_stanzas_total", "bounced")
        .await;
    assert_eq!(bounced, 2001.0);
}

#[tokio::test]
async fn v20_strangers_make_the_gateway_ask_and_dial_nobody() {
    let bait = Listener::bind().await;
    let dns = Dns::start(vec![
        (
            "_xmpp-server._tcp.gamma.test",
            Answer::Srv(vec![(0, 0, bait.address.port(), "host.gamma.test")]),
        ),
        (
            "host.gamma.test",
            Answer::A(vec!["127.0.0.1".parse().unwrap()]),
        ),
    ])
    .await;
    let plan = Plan {
        dns: Some(dns.address),
        ..Plan::default()
    };
    let stage = bare().start(plan).await;
    let gamma = stage.pki.partner(&["gamma.test"]);
    let show = Show::Certificate(&gamma);
    for at in [At::Connected, At::Secured] {
        let mut peer = match at {
            At::Connected => stage.outside(At::Connected).await,
            _ => {
                let mut peer = stage.outside(At::Connected).await;
                peer.secure(show.client(), "org.test").await.unwrap();
                peer
            }
        };
        peer.open("gamma.test", "org.test").await;
        peer.refused("policy-violation").await;
    }
    for at in [At::Clear, At::Authenticating, At::Established] {
        for said in [
            "<db:result xmlns:db='jabber:server:dialback' from='gamma.test' to='org.test'>key</db:result>",
            "<db:verify xmlns:db='jabber:server:dialback' from='gamma.test' to='org.test' id='x'>key</db:verify>",
        ] {
            let mut peer = stage.outside(at).await;
            peer.send(said).await;
            peer.send("</stream:stream>").await;
            peer.rest().await;
        }
    }
    stage.gateway.at_rest().await;
    assert!(bait.is_left_alone_for(QUIET).await);
    assert_eq!(dns.asked(), Vec::<String>::new());
    // From inside, too: who may not be spoken to is not looked up.
    let mut inside = stage.inside_to("gamma.test", At::Established).await;
    inside
        .send("<message from='a@org.test' to='b@gamma.test'><body>x</body></message>")
        .await;
    stage
        .gateway
        .until("portcullis_stanzas_total", "bounced", 1.0)
        .await;
    assert_eq!(dns.asked(), Vec::<String>::new());
}
