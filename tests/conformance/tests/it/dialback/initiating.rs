//! The gateway wants to be believed: it sends a key, and waits.

use super::*;

#[tokio::test]
async fn db_04_as_the_initiator_we_send_nothing_before_valid() {
    let house = House::new().await;
    let mut inside = house.stage.inside(At::Established).await;
    inside.send(TO_ALPHA).await;
    let mut alpha = house.asking().await;
    let result = alpha.expect(ns::DIALBACK, "result").await;
    assert_eq!(result.attribute("from"), Some("org.test"));
    assert_eq!(result.attribute("to"), Some("alpha.test"));
    assert!(alpha.is_silent_for(QUIET).await);
    alpha
        .send("<db:result from='alpha.test' to='org.test' type='valid'/>")
        .await;
    let message = alpha.expect(ns::SERVER, "message").await;
    assert_eq!(message.attribute("id"), Some("1"));
}

#[tokio::test]
async fn db_05_what_waited_is_answered_by_how_dialback_ended() {
    for (answer, condition, kind) in [
        (
            "<db:result from='alpha.test' to='org.test' type='invalid'/></stream:stream>",
            "internal-server-error",
            "cancel",
        ),
        (
            "<db:result from='alpha.test' to='org.test' type='error'><error type='cancel'>\
             <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:result>",
            "remote-server-timeout",
            "wait",
        ),
        ("</stream:stream>", "remote-server-timeout", "wait"),
    ] {
        let mut house = House::new().await;
        let mut inside = house.stage.inside(At::Established).await;
        inside.send(TO_ALPHA).await;
        let mut alpha = house.asking().await;
        alpha.expect(ns::DIALBACK, "result").await;
        alpha.send(answer).await;
        let error = house.stage.org_gets().await;
        assert_eq!(error.stanza_error(), Some((condition, kind)), "{answer}");
    }
}

#[tokio::test]
async fn db_09_the_key_is_that_of_xep_0185() {
    let house = House::new().await;
    let mut inside = house.stage.inside(At::Established).await;
    inside.send(TO_ALPHA).await;
    let show = Show::Certificate(&house.identity);
    let mut alpha = house.alpha.accept_secure(&show).await;
    alpha.header().await;
    alpha
        .send(&format!(
            "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' \
             xmlns:db='jabber:server:dialback' from='alpha.test' to='org.test' id='D60000229F' version='1.0'>\
             <stream:features>{FEATURE}</stream:features>"
        ))
        .await;
    let result = alpha.expect(ns::DIALBACK, "result").await;
    assert_eq!(result.text, key("alpha.test", "org.test", "D60000229F"));
}

#[tokio::test]
async fn sasl_08_a_refused_external_goes_on_with_dialback_where_the_record_allows_it() {
    let both = format!("{}{FEATURE}", Peer::EXTERNAL);
    const REFUSED: &str =
        "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>";
    let mut house = House::new().await;
    let mut inside = house.stage.inside(At::Established).await;
    inside.send(TO_ALPHA).await;
    let show = Show::Certificate(&house.identity);
    let mut alpha = house.alpha.accept_secure(&show).await;
    alpha.header().await;
    alpha.respond("alpha.test", "org.test", &both).await;
    alpha.expect(ns::SASL, "auth").await;
    alpha.send(REFUSED).await;
    alpha.expect(ns::DIALBACK, "result").await;
    alpha
        .send("<db:result from='alpha.test' to='org.test' type='valid'/>")
        .await;
    alpha.expect(ns::SERVER, "message").await;

    // Without dialback in the record it ends.
    house
        .stage
        .rewrite(|plan| plan.record = "sasl = 'required'\ndialback = false")
        .await;
    drop(alpha);
    house
        .stage
        .gateway
        .until("portcullis_streams", "federation", 0.0)
        .await;
    inside.send(TO_ALPHA).await;
    let mut alpha = house.alpha.accept_secure(&show).await;
    alpha.header().await;
    alpha.respond("alpha.test", "org.test", &both).await;
    alpha.expect(ns::SASL, "auth").await;
    alpha.send(REFUSED).await;
    let rest = alpha.rest().await;
    let key = |part: &Part| matches!(part, Part::Element(e) if e.ns == ns::DIALBACK);
    assert!(!rest.iter().any(key), "{rest:?}");
    let error = house.stage.org_gets().await;
    assert_eq!(
        error.stanza_error(),
        Some(("remote-server-timeout", "cancel"))
    );
}

#[tokio::test]
async fn v04_no_key_leaves_in_the_clear_where_tls_is_required() {
    let mut house = House::new().await;
    let mut inside = house.stage.inside(At::Established).await;
    inside.send(TO_ALPHA).await;
    let mut alpha = house.alpha.accept().await;
    alpha.header().await;
    alpha.respond("alpha.test", "org.test", FEATURE).await;
    alpha.expect(ns::TLS, "starttls").await;
    alpha
        .send("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        .await;
    let rest = alpha.rest().await;
    assert!(
        rest.iter()
            .all(|part| matches!(part, Part::Close | Part::End(End::Clean | End::Broken))),
        "{rest:?}"
    );
    let error = house.stage.org_gets().await;
    assert_eq!(
        error.stanza_error(),
        Some(("remote-server-timeout", "cancel"))
    );
    // And none is taken in the clear.
    let mut peer = house.stage.outside(At::Clear).await;
    peer.send(&result("alpha.test", "org.test", "key")).await;
    let said = peer.element().await;
    assert_ne!(said.attribute("type"), Some("valid"), "{said:?}");
    assert!(house.alpha.is_left_alone_for(QUIET).await);
}
