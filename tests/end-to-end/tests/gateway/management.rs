//! Acknowledgements (XEP-0198): *delivered* is what the next hop has settled, where it says so.

use portcullis_end_to_end::{Plan, World, prepare};
use portcullis_test_support::{Behaviour, Mode, Server, attribute};

async fn world(behaviour: Behaviour) -> (World, Server) {
    let prepared = prepare();
    let alpha = prepared.partner("alpha.test", behaviour).await;
    let plan = Plan {
        partners: vec![("alpha.test", alpha.address)],
        ..Plan::default()
    };
    (prepared.start(plan).await, alpha)
}

#[tokio::test]
async fn sm_01_what_the_partner_acknowledges_is_delivered() {
    let (world, mut alpha) = world(Behaviour::Managed).await;
    let mut inside = world.inside("alpha.test", Mode::StartTls).await;
    for n in 0..50 {
        let message =
            format!("<message from='a@org.test' to='b@alpha.test'><body>n{n}n</body></message>");
        inside.send(&message).await;
    }
    for n in 0..50 {
        let message = alpha.stanza().await;
        assert!(
            message.contains(&format!("<body>n{n}n</body>")),
            "{n}: {message}"
        );
    }
    world.at_rest(50).await;
    assert_eq!(
        world.sum("portcullis_stanzas_total", r#"outcome="delivered""#),
        50
    );
    assert!(world.gateway.shutdown().await.is_clean());
}

#[tokio::test]
async fn sm_01_what_was_written_and_never_acknowledged_goes_back() {
    let (mut world, mut alpha) = world(Behaviour::Forgetful).await;
    let mut inside = world.inside("alpha.test", Mode::StartTls).await;
    inside
        .send("<message from='a@org.test' to='b@alpha.test' id='1'><body>?</body></message>")
        .await;
    assert!(alpha.stanza().await.contains("<body>?</body>"));
    assert_eq!(world.sum("portcullis_stanzas_total", ""), 0);
    alpha.break_connections();
    let error = world.org.stanza().await;
    assert!(error.contains("<remote-server-timeout"), "{error}");
    assert_eq!(attribute(&error, "id"), Some("1"));
    world.at_rest(1).await;
}

#[tokio::test]
async fn sm_02_a_partner_is_told_what_is_settled() {
    let (mut world, _alpha) = world(Behaviour::StartTls).await;
    let mut outside = world.outside("alpha.test", Mode::StartTls).await.unwrap();
    outside.send("<enable xmlns='urn:xmpp:sm:3'/>").await;
    outside.element("<enabled").await.unwrap();
    for _ in 0..3 {
        outside
            .send("<message from='b@alpha.test' to='a@org.test'><body>in</body></message>")
            .await;
    }
    outside.send("<r xmlns='urn:xmpp:sm:3'/>").await;
    // At once, and again until everything is settled.
    let mut handled = String::new();
    while handled != "3" {
        let answer = outside.element("<a ").await.unwrap();
        handled = attribute(&answer, "h").unwrap().to_owned();
    }
    for _ in 0..3 {
        assert!(world.org.stanza().await.contains("<body>in</body>"));
    }
    // It cannot have settled what was never sent.
    outside.send("<a xmlns='urn:xmpp:sm:3' h='7'/>").await;
    let seen = format!("{:?}", outside.rest().await);
    assert!(seen.contains("handled-count-too-high"), "{seen}");
}
