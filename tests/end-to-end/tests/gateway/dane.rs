//! A partner that a signed zone proves (RFC 7673), through the whole gateway: no authority that the
//! gateway trusts knows its certificate, and DNS alone says where it is.

use portcullis_end_to_end::{Plan, Prepared, World, prepare};
use portcullis_test_support::signed::Signed;
use portcullis_test_support::{Behaviour, Client, Identity, Incoming, Mode, Server};
use sha2::{Digest, Sha256};
use time::Duration;

/// Signed by an authority that nobody outside believes.
fn unknown(prepared: &Prepared) -> Identity {
    let pki = &prepared.pki;
    let day = Duration::days(1);
    pki.issue(&pki.internal, &["alpha.test"], &[&pki.public], day)
}

/// alpha.test is at this server, which DNS says shows the certificate of `expected`.
async fn world(prepared: Prepared, server: &Server, expected: &Identity) -> World {
    let (chain, _) = expected.shown();
    let port = server.address.port();
    let zone = Signed::new()
        .srv("alpha.test", port, "xmpp.alpha.test")
        .a("xmpp.alpha.test", &server.address.ip().to_string())
        .tlsa(
            "xmpp.alpha.test",
            port,
            [3, 0, 1],
            &Sha256::digest(&chain[0]),
        );
    let (dns, anchors) = zone.serve().await;
    std::fs::write(prepared.dir().join("anchors"), anchors).unwrap();
    prepared
        .start(Plan {
            dns: format!("servers = ['{dns}']\ntrust_anchors = 'anchors'"),
            more: "[[partner]]\ndomain = 'alpha.test'\ndane = true\n".to_owned(),
            ..Plan::default()
        })
        .await
}

const TO_ALPHA: &str =
    "<message from='a@org.test' to='b@alpha.test' id='1'><body>hello</body></message>";

#[tokio::test]
async fn dane_01_a_certificate_that_only_a_signed_zone_knows_is_good_both_ways() {
    let prepared = prepare();
    let shown = unknown(&prepared);
    let mut alpha = Server::start(&shown, Behaviour::StartTls).await;
    let mut world = world(prepared, &alpha, &shown).await;

    let mut inside = world.inside("alpha.test", Mode::StartTls).await;
    inside.send(TO_ALPHA).await;
    let arrived = alpha.stanza().await;
    assert!(arrived.contains("hello"), "{arrived}");

    let address = world.gateway.addresses().federation[0];
    let opened = Client::open(address, &shown, "alpha.test", "org.test", Mode::StartTls).await;
    let mut outside = opened.unwrap_or_else(|seen| panic!("not let in: {seen:?}"));
    let back = "<message from='b@alpha.test' to='a@org.test'><body>hello back</body></message>";
    outside.send(back).await;
    let arrived = world.org.stanza().await;
    assert!(arrived.contains("hello back"), "{arrived}");

    let status = world.gateway.status();
    let federation = status.streams.iter().filter(|s| s.side == "federation");
    let methods: Vec<_> = federation.map(|stream| stream.method.as_deref()).collect();
    assert_eq!(methods, [Some("external (dane)"); 2]);
}

#[tokio::test]
async fn dane_01_another_certificate_than_the_zones_is_refused_both_ways() {
    let prepared = prepare();
    let (expected, shown) = (unknown(&prepared), unknown(&prepared));
    let mut alpha = Server::start(&shown, Behaviour::StartTls).await;
    let mut world = world(prepared, &alpha, &expected).await;

    let mut inside = world.inside("alpha.test", Mode::StartTls).await;
    inside.send(TO_ALPHA).await;
    let bounced = world.org.stanza().await;
    assert!(bounced.contains("type='error'"), "{bounced}");
    while let Some(seen) = alpha.try_next() {
        assert!(!matches!(seen, Incoming::Stanza(_)), "{seen:?}");
    }

    let address = world.gateway.addresses().federation[0];
    let opened = Client::open(address, &shown, "alpha.test", "org.test", Mode::StartTls).await;
    assert!(opened.is_err(), "an unproven partner was let in");
}
