//! Certificates that are good no more: exactly the streams that lived on them end, at once.

use portcullis::app::Trigger;
use portcullis_end_to_end::{Plan, World, prepare};
use portcullis_test_support::{Behaviour, Client, Identity, Incoming, Mode, Server};
use time::Duration;

async fn open(world: &World, identity: &Identity, from: &str) -> Result<Client, String> {
    let address = world.gateway.addresses().federation[0];
    Client::open(address, identity, from, "org.test", Mode::StartTls)
        .await
        .map_err(|seen| format!("{seen:?}"))
}

async fn says(world: &mut World, client: &mut Client, from: &str, body: &str) {
    client
        .send(&format!(
            "<message from='b@{from}' to='a@org.test'><body>{body}</body></message>"
        ))
        .await;
    let arrived = world.org.stanza().await;
    assert!(arrived.contains(body), "{arrived}");
}

/// The stream ends with this error, and it is the only thing that comes.
async fn ends(client: &mut Client, condition: &str) {
    let seen = format!("{:?}", client.rest().await);
    assert!(seen.contains(&format!("<{condition}")), "{seen}");
}

#[tokio::test]
async fn feat_02_who_is_revoked_is_reset_both_ways_and_nobody_else_is() {
    let prepared = prepare();
    let (alpha, beta) = (
        prepared.pki.partner(&["alpha.test"]),
        prepared.pki.partner(&["beta.test"]),
    );
    let list = prepared.dir().join("public.crl.pem");
    prepared.pki.public.revoke(&list, &[]);
    let mut alpha_server = Server::start(&alpha, Behaviour::StartTls).await;
    let mut beta_server = Server::start(&beta, Behaviour::StartTls).await;
    let partners = vec![
        ("alpha.test", alpha_server.address),
        ("beta.test", beta_server.address),
    ];
    let mut world = prepared
        .start(Plan {
            partners,
            federation: "crls = ['public.crl.pem']",
            ..Plan::default()
        })
        .await;
    let mut from_alpha = open(&world, &alpha, "alpha.test").await.unwrap();
    let mut from_beta = open(&world, &beta, "beta.test").await.unwrap();
    says(&mut world, &mut from_alpha, "alpha.test", "one").await;
    let mut inside = Vec::new();
    for (partner, server) in [
        ("alpha.test", &mut alpha_server),
        ("beta.test", &mut beta_server),
    ] {
        let mut client = world.inside(partner, Mode::StartTls).await;
        client
            .send(&format!(
                "<message from='a@org.test' to='b@{partner}'><body>hello</body></message>"
            ))
            .await;
        server.stanza().await;
        inside.push(client);
    }
    // TLS-09: what the operator sees of a stream.
    let status = world.gateway.status();
    let seen = |remote: &str| {
        let streams = status.streams.iter().filter(|s| s.side == "federation");
        streams
            .filter(|stream| stream.remote == remote)
            .map(|stream| (stream.method.clone(), stream.certificate.clone()))
            .collect::<Vec<_>>()
    };
    let shown = (Some("external (pkix)".to_owned()), Some(alpha.pin()));
    assert_eq!(seen("alpha.test"), [shown.clone(), shown]);

    world.pki.public.revoke(&list, &[&alpha]);
    let reload = world.gateway.reload(Trigger::Call).await.unwrap();
    assert!(
        reload.messages.join(" ").contains("public.crl.pem"),
        "{reload:?}"
    );
    // Before our closing tag reaches it or after: nothing of it is delivered.
    from_alpha
        .send("<message from='b@alpha.test' to='a@org.test'><body>too late</body></message>")
        .await;
    ends(&mut from_alpha, "reset").await;
    let error = alpha_server.next().await;
    assert!(
        matches!(&error, Incoming::Stanza(error) if error.contains("<reset")),
        "{error:?}"
    );
    assert_eq!(alpha_server.next().await, Incoming::Closed);
    let refused = open(&world, &alpha, "alpha.test").await.err().unwrap();
    assert!(refused.contains("revoked"), "{refused}");

    // Another certificate of the same partner is as good as before, and so is beta's.
    let renewed = world.pki.partner(&["alpha.test"]);
    let mut from_alpha = open(&world, &renewed, "alpha.test").await.unwrap();
    says(&mut world, &mut from_alpha, "alpha.test", "two").await;
    says(&mut world, &mut from_beta, "beta.test", "three").await;
    inside[1]
        .send("<message from='a@org.test' to='b@beta.test'><body>four</body></message>")
        .await;
    assert!(beta_server.stanza().await.contains("four"));
    assert_eq!(beta_server.connections(), 1);
}

#[tokio::test]
async fn feat_02_an_internal_server_that_is_revoked_is_reset() {
    let prepared = prepare();
    let list = prepared.dir().join("internal.crl.pem");
    prepared.pki.internal.revoke(&list, &[]);
    let alpha = prepared.partner("alpha.test", Behaviour::StartTls).await;
    let world = prepared
        .start(Plan {
            partners: vec![("alpha.test", alpha.address)],
            internal: "crls = ['internal.crl.pem']",
            ..Plan::default()
        })
        .await;
    let mut inside = world.inside("alpha.test", Mode::StartTls).await;
    world.pki.internal.revoke(&list, &[&world.org_identity]);
    world.gateway.reload(Trigger::Call).await.unwrap();
    ends(&mut inside, "reset").await;
}

#[tokio::test]
async fn feat_02_a_certificate_that_expires_during_a_stream_ends_it_with_reset() {
    let prepared = prepare();
    let pki = &prepared.pki;
    let public = &pki.public;
    // Long enough for a handshake on a busy machine.
    let valid = Duration::seconds(12);
    let short = pki.issue(public, &["alpha.test"], &[public], valid);
    let long = pki.partner(&["alpha.test"]);
    let mut world = prepared
        .start(Plan {
            partners: vec![("alpha.test", "127.0.0.1:9".parse().unwrap())],
            ..Plan::default()
        })
        .await;
    let mut stays = open(&world, &long, "alpha.test").await.unwrap();
    let mut ending = open(&world, &short, "alpha.test").await.unwrap();
    says(&mut world, &mut ending, "alpha.test", "in time").await;
    ends(&mut ending, "reset").await;
    says(&mut world, &mut stays, "alpha.test", "still here").await;
}

#[tokio::test]
async fn feat_02_pins_and_authorities_that_a_record_no_longer_names_end_its_streams_alone() {
    let prepared = prepare();
    let pki = &prepared.pki;
    // By the organisation's inner authority, which nobody outside is believed by.
    let trust = [&pki.public];
    let own = |name: &str| pki.issue(&pki.internal, &[name], &trust, Duration::days(9));
    let (alpha, beta) = (own("whoever.test"), own("beta.test"));
    let other = own("alpha.test");
    let authority = pki.internal.file.display().to_string();
    let records = move |alpha: &str, beta: &str| {
        format!(
            "[[partner]]\ndomain = 'alpha.test'\npins = ['{alpha}']\n\
             [[partner]]\ndomain = 'beta.test'\n{beta}\n"
        )
    };
    let private = format!("trust = ['{authority}']");
    let public = pki.partner(&["alpha.test"]);
    let mut world = prepared
        .start(Plan {
            more: records(&alpha.pin(), &private),
            ..Plan::default()
        })
        .await;
    let mut from_alpha = open(&world, &alpha, "alpha.test").await.unwrap();
    let mut from_beta = open(&world, &beta, "beta.test").await.unwrap();
    says(&mut world, &mut from_alpha, "alpha.test", "one").await;
    says(&mut world, &mut from_beta, "beta.test", "two").await;
    let methods = world.gateway.status().streams.into_iter();
    let methods: Vec<_> = methods.filter_map(|stream| stream.method).collect();
    for method in ["external (pinned)", "external (pkix)"] {
        assert!(methods.iter().any(|seen| seen == method), "{methods:?}");
    }
    // V22: a certificate by an authority that everybody believes is not the pinned one.
    let refused = open(&world, &public, "alpha.test").await.err().unwrap();
    assert!(refused.contains("pinned"), "{refused}");

    world.rewrite_end(&records(&other.pin(), &private));
    world.gateway.reload(Trigger::Call).await.unwrap();
    ends(&mut from_alpha, "policy-violation").await;
    says(&mut world, &mut from_beta, "beta.test", "three").await;

    world.rewrite_end(&records(&other.pin(), ""));
    world.gateway.reload(Trigger::Call).await.unwrap();
    ends(&mut from_beta, "policy-violation").await;
    let mut from_alpha = open(&world, &other, "alpha.test").await.unwrap();
    says(&mut world, &mut from_alpha, "alpha.test", "four").await;
}

#[tokio::test]
async fn id_10_a_certificate_for_two_domains_speaks_for_the_one_that_authenticated() {
    let prepared = prepare();
    let both = prepared.pki.partner(&["alpha.test", "beta.test"]);
    let nowhere = "127.0.0.1:9".parse().unwrap();
    let mut world = prepared
        .start(Plan {
            partners: vec![("alpha.test", nowhere), ("beta.test", nowhere)],
            ..Plan::default()
        })
        .await;
    for (authenticated, other) in [("alpha.test", "beta.test"), ("beta.test", "alpha.test")] {
        let mut client = open(&world, &both, authenticated).await.unwrap();
        says(&mut world, &mut client, authenticated, "mine").await;
        client
            .send(&format!(
                "<message from='b@{other}' to='a@org.test'><body>not mine</body></message>"
            ))
            .await;
        ends(&mut client, "invalid-from").await;
    }
}
