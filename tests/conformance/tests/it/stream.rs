//! Stream headers, namespaces, languages.

use std::collections::BTreeSet;

use portcullis_conformance::{At, Part, Peer, Plan, Show, Stage, ns};

use crate::support::{Refusal, TO_ALPHA, header, playing_alpha, refused, refused_outside};

#[tokio::test]
async fn str_01_another_namespace_closes_the_stream() {
    let stage = Stage::usual().await;
    const STREAM: &str = "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/other' from='alpha.test' to='org.test' version='1.0'>";
    const CONTENT: &str = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' from='alpha.test' to='org.test' version='1.0'>";
    const NO_STREAM: &str = "<stream from='alpha.test' to='org.test' version='1.0'>";
    let mut rows = Vec::new();
    for at in [At::Connected, At::Secured, At::Restarting] {
        for said in [STREAM, CONTENT, NO_STREAM] {
            rows.push(Refusal(at, said, "invalid-namespace"));
        }
    }
    refused(&stage, &rows).await;
}

#[tokio::test]
async fn str_02_each_header_of_ours_says_from_and_to() {
    let (stage, listener, identity) = playing_alpha(Plan::default()).await;
    let mut inside = stage.inside(At::Established).await;
    inside.send(TO_ALPHA).await;
    let mut alpha = listener.accept().await;
    let mut headers = vec![alpha.header().await];
    alpha
        .respond("alpha.test", "org.test", Peer::STARTTLS)
        .await;
    alpha.expect(ns::TLS, "starttls").await;
    alpha
        .send("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        .await;
    let show = Show::Certificate(&identity);
    alpha.accept_tls(show.server()).await.unwrap();
    headers.push(alpha.header().await);
    alpha
        .respond("alpha.test", "org.test", Peer::EXTERNAL)
        .await;
    alpha.expect(ns::SASL, "auth").await;
    alpha
        .send("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
        .await;
    alpha.restart();
    headers.push(alpha.header().await);
    for header in headers {
        assert_eq!(header.attribute("from"), Some("org.test"), "{header:?}");
        assert_eq!(header.attribute("to"), Some("alpha.test"), "{header:?}");
        assert_eq!(header.attribute("version"), Some("1.0"), "{header:?}");
        assert_eq!(header.attribute("id"), None, "{header:?}");
    }
}

#[tokio::test]
async fn str_03_the_response_says_who_answers_and_repeats_no_foreign_domain() {
    let stage = Stage::usual().await;
    for at in [At::Connected, At::Secured, At::Restarting] {
        let mut peer = stage.outside(at).await;
        peer.open("alpha.test", "org.test").await;
        let (header, _) = peer.features().await;
        assert_eq!(header.attribute("from"), Some("org.test"));
        assert_eq!(header.attribute("to"), Some("alpha.test"));
        assert_eq!(header.attribute("version"), Some("1.0"));
        assert!(header.attribute("id").is_some_and(|id| !id.is_empty()));
        assert!(header.lang().is_some_and(|lang| !lang.is_empty()));
    }
    for attributes in [
        "from='alpha.test' to='victim.test' version='1.0'",
        "from='alpha.test' to='' version='1.0'",
        "from='alpha.test' version='1.0'",
        "from='alpha.test' to='a b' version='1.0'",
    ] {
        let mut peer = stage.outside(At::Connected).await;
        peer.open_with(attributes).await;
        let header = peer.header().await;
        assert_eq!(header.attribute("from"), Some("org.test"), "{attributes}");
        let error = peer.refused("host-unknown").await;
        assert!(error.child(ns::STREAM_ERRORS, "text").is_some());
    }
}

#[tokio::test]
async fn str_04_every_stream_has_an_id_that_nobody_can_guess() {
    let stage = Stage::usual().await;
    let mut ids = BTreeSet::new();
    for _ in 0..8 {
        let mut peer = stage.outside(At::Connected).await;
        for round in 0..3 {
            peer.open_with("from='alpha.test' to='org.test' version='1.0' id='chosen'")
                .await;
            let (header, _) = peer.features().await;
            ids.insert(header.attribute("id").unwrap().to_owned());
            match round {
                0 => {
                    let show = Show::Certificate(&stage.alpha_identity);
                    peer.start_tls(&show, "org.test").await;
                }
                1 => peer.external().await,
                _ => {}
            }
        }
    }
    assert_eq!(ids.len(), 24, "{ids:?}");
    for id in &ids {
        // 128 bits need 22 characters of any alphabet that is safe in an attribute.
        assert!(id.len() >= 22 && id != "chosen", "{id}");
        let different: BTreeSet<char> = id.chars().collect();
        assert!(different.len() > 4, "{id}");
    }
}

#[tokio::test]
async fn str_05_without_from_there_is_tls_but_no_authentication_by_certificate() {
    let stage = Stage::usual().await;
    let mut peer = stage.outside(At::Connected).await;
    peer.open_with("to='org.test' version='1.0'").await;
    let (_, features) = peer.features().await;
    assert!(features.child(ns::TLS, "starttls").is_some());
    let show = Show::Certificate(&stage.alpha_identity);
    peer.start_tls(&show, "org.test").await;
    peer.open_with("to='org.test' version='1.0'").await;
    peer.header().await;
    let element = peer.element().await;
    assert!(element.child(ns::SASL, "mechanisms").is_none());
    if element.is(ns::STREAM, "error") {
        assert_eq!(element.condition(), Some("policy-violation"));
    }
}

#[tokio::test]
async fn str_06_versions_are_pairs_of_numbers_and_1_0_is_needed() {
    let stage = Stage::usual().await;
    for version in ["version='1.0'", "version='1.10'", "version='01.00'"] {
        let mut peer = stage.outside(At::Connected).await;
        peer.open_with(&format!("from='alpha.test' to='org.test' {version}"))
            .await;
        peer.features().await;
    }
    let mut rows = Vec::new();
    for said in [
        header!("from='alpha.test' to='org.test' version='0.9'"),
        header!("from='alpha.test' to='org.test' version='0.10'"),
        header!("from='alpha.test' to='org.test'"),
        header!("from='alpha.test' to='org.test' version='one'"),
    ] {
        // No features are sent: the error follows the header.
        for at in [At::Connected, At::Secured, At::Restarting] {
            rows.push(Refusal(at, said, "unsupported-version"));
        }
    }
    refused(&stage, &rows).await;
}

#[tokio::test]
async fn str_07_an_error_on_setup_comes_in_one_piece_behind_a_header() {
    let stage = Stage::usual().await;
    for said in [
        header!("from='gamma.test' to='org.test' version='1.0'"),
        header!("from='alpha.test' to='other.test' version='1.0'"),
        "<nonsense/>",
        "<!DOCTYPE x>",
    ] {
        let mut peer = stage.outside(At::Connected).await;
        peer.send(said).await;
        let piece = String::from_utf8(peer.read().await.unwrap()).unwrap();
        let order = ["<stream:stream ", "<stream:error>", "</stream:stream>"];
        let places: Vec<_> = order.iter().map(|part| piece.find(part)).collect();
        assert!(places.iter().all(Option::is_some), "{said}: {piece}");
        assert!(places.is_sorted(), "{said}: {piece}");
    }
}

#[tokio::test]
async fn str_08_what_a_header_declares_is_declared_anew() {
    let mut stage = Stage::usual().await;
    let mut peer = stage.outside(At::Restarting).await;
    peer.open_with("xmlns:x='urn:x' from='alpha.test' to='org.test' version='1.0'")
        .await;
    peer.features().await;
    peer.send("<message from='b@alpha.test' to='a@org.test'><x:data x:key='1'><x:more/></x:data></message>")
        .await;
    let message = stage.org_gets().await;
    let data = message.child("urn:x", "data").unwrap();
    assert_eq!(data.attribute_in("urn:x", "key"), Some("1"));
    assert!(data.child("urn:x", "more").is_some());
}

#[tokio::test]
async fn str_09_a_stream_without_prefixes_is_the_same() {
    let mut stage = Stage::usual().await;
    const OPEN: &str = "<stream xmlns='http://etherx.jabber.org/streams' from='alpha.test' to='org.test' version='1.0'>";
    let mut peer = stage.outside(At::Connected).await;
    peer.send(OPEN).await;
    peer.features().await;
    let show = Show::Certificate(&stage.alpha_identity);
    peer.start_tls(&show, "org.test").await;
    peer.send(OPEN).await;
    peer.features().await;
    peer.external().await;
    peer.send(OPEN).await;
    peer.features().await;
    peer.send("<message xmlns='jabber:server' from='b@alpha.test' to='a@org.test'><body>hello</body></message>")
        .await;
    let message = stage.org_gets().await;
    assert!(message.is(ns::SERVER, "message"));
    assert_eq!(message.child(ns::SERVER, "body").unwrap().text, "hello");
    peer.send("</stream>").await;
    assert_eq!(peer.next().await, Part::Close);
    peer.ended().await;
}

#[tokio::test]
async fn str_10_no_stanza_has_a_prefix() {
    let mut stage = Stage::usual().await;
    const PREFIXED: &str = "<foo:message xmlns:foo='jabber:server' from='b@alpha.test' to='a@org.test'><foo:body>x</foo:body></foo:message>";
    refused(
        &stage,
        &[Refusal(At::Established, PREFIXED, "bad-namespace-prefix")],
    )
    .await;
    let mut peer = stage.outside(At::Established).await;
    peer.send("<message from='b@alpha.test' to='a@org.test'><s:body xmlns:s='jabber:server'>hello</s:body></message>")
        .await;
    let text = stage.org.stanza().await;
    assert!(
        text.starts_with("<message ") && text.contains("<body>hello</body>"),
        "{text}"
    );
}

#[tokio::test]
async fn str_11_a_stanza_of_clients_closes_the_stream() {
    let stage = Stage::usual().await;
    let said = "<message xmlns='jabber:client' from='b@alpha.test' to='a@org.test'><body>x</body></message>";
    refused(
        &stage,
        &[Refusal(At::Established, said, "invalid-namespace")],
    )
    .await;
}

#[tokio::test]
async fn str_12_what_is_no_stanza_is_never_routed() {
    let mut stage = Stage::usual().await;
    let rows: Vec<_> = [
        "<note from='b@alpha.test' to='a@org.test'/>",
        "<message xmlns='urn:other' from='b@alpha.test' to='a@org.test'/>",
        "<o:message xmlns:o='urn:other' from='b@alpha.test' to='a@org.test'/>",
        "<iq xmlns='' from='b@alpha.test' to='a@org.test' id='1' type='get'/>",
    ]
    .into_iter()
    .map(|said| Refusal(At::Established, said, "unsupported-stanza-type"))
    .collect();
    refused(&stage, &rows).await;
    assert!(stage.org.try_next().is_none());
    assert!(stage.alpha.try_next().is_none());
}

#[tokio::test]
async fn str_13_a_forwarded_message_keeps_its_namespace() {
    let mut stage = Stage::usual().await;
    let mut peer = stage.outside(At::Established).await;
    peer.send(
        "<message from='b@alpha.test' to='a@org.test'><forwarded xmlns='urn:xmpp:forward:0'>\
         <message xmlns='jabber:client' from='c@x.test' to='d@y.test'><body>inner</body></message></forwarded></message>",
    )
    .await;
    let message = stage.org_gets().await;
    let forwarded = message.child("urn:xmpp:forward:0", "forwarded").unwrap();
    let inner = forwarded.child(ns::CLIENT, "message").unwrap();
    assert_eq!(inner.child(ns::CLIENT, "body").unwrap().text, "inner");
    assert_eq!(inner.attribute("to"), Some("d@y.test"));
}

#[tokio::test]
async fn str_14_the_streams_language_goes_with_its_stanzas() {
    let mut stage = Stage::usual().await;
    let mut peer = stage.outside(At::Restarting).await;
    peer.open_with("xml:lang='de' from='alpha.test' to='org.test' version='1.0'")
        .await;
    peer.features().await;
    for (attribute, wanted) in [("", "de"), ("xml:lang='fr'", "fr")] {
        peer.send(&format!(
            "<message from='b@alpha.test' to='a@org.test' {attribute}><body>x</body></message>"
        ))
        .await;
        assert_eq!(stage.org_gets().await.lang(), Some(wanted));
    }
    // Between servers the gateway's own header states no language that could become a stanza's.
    let mut inside = stage.inside(At::Established).await;
    inside.send(TO_ALPHA).await;
    assert_eq!(stage.alpha_gets().await.lang(), None);
}

#[tokio::test]
async fn str_15_the_header_after_authentication_names_the_same_pair() {
    let stage = Stage::usual().await;
    let rows: Vec<_> = [
        header!("from='beta.test' to='org.test' version='1.0'"),
        header!("from='org.test' to='alpha.test' version='1.0'"),
        header!("from='alpha.test' to='second.test' version='1.0'"),
        header!("from='sub.alpha.test' to='org.test' version='1.0'"),
        header!("to='org.test' version='1.0'"),
    ]
    .into_iter()
    .map(|said| Refusal(At::Restarting, said, "improper-addressing"))
    .collect();
    refused_outside(&stage, &rows).await;
}

#[tokio::test]
async fn str_15_what_was_said_before_tls_counts_for_nothing() {
    let stage = Stage::usual().await;
    // Who says it is alpha.test in the clear may be anybody inside TLS, and has to prove that.
    let mut peer = stage.outside(At::Connected).await;
    peer.open("alpha.test", "org.test").await;
    peer.features().await;
    let show = Show::Certificate(&stage.alpha_identity);
    peer.start_tls(&show, "org.test").await;
    peer.open("gamma.test", "org.test").await;
    peer.refused("policy-violation").await;
    stage.gateway.at_rest().await;
}
