//! Who would be taken for somebody else.

use super::*;

#[tokio::test]
async fn v03_what_was_said_in_the_clear_has_no_effect_inside() {
    let stage = Stage::usual().await;
    let injected = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>\
         <stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' from='alpha.test' to='org.test' version='1.0'>\
         <auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>\
         <message from='b@alpha.test' to='a@org.test'><body>x</body></message>";
    for mut peer in [
        stage.outside(At::Clear).await,
        stage.inside(At::Clear).await,
    ] {
        peer.send(injected).await;
        let rest = peer.rest().await;
        let proceeds = |part: &Part| matches!(part, Part::Element(e) if e.is(ns::TLS, "proceed"));
        assert!(!rest.iter().any(proceeds), "{rest:?}");
    }
    stage.gateway.at_rest().await;
    assert_eq!(stage.gateway.settled().await, 0.0);
    // A name from the clear is none inside: who authenticates is who the header inside says.
    let beta = stage.pki.partner(&["beta.test"]);
    let mut peer = Peer::connect(stage.gateway.federation).await;
    peer.open("alpha.test", "org.test").await;
    peer.features().await;
    peer.start_tls(&Show::Certificate(&beta), "org.test").await;
    peer.open_with("to='org.test' version='1.0'").await;
    peer.header().await;
    let said = peer.element().await;
    assert!(said.child(ns::SASL, "mechanisms").is_none(), "{said:?}");
}

#[tokio::test]
async fn v08_a_server_with_a_bad_certificate_gets_no_stanza() {
    let bare = bare();
    let (public, internal) = (&bare.pki.public, &bare.pki.internal);
    let bad: [(&str, &[&str], _, i64); 5] = [
        ("another name", &["beta.test"], public, 9),
        ("the host's name", &["localhost", "127.0.0.1"], public, 9),
        ("a wildcard above", &["*.c.test"], public, 9),
        ("the inner authority", &["d.test"], internal, 9),
        ("expired", &["e.test"], public, -1),
    ];
    // A domain for each, since after a failure the next attempt waits.
    let domains = ["a.test", "b.test", "c.test", "d.test", "e.test"];
    let mut listeners = Vec::new();
    let mut partners = Vec::new();
    for domain in domains {
        let listener = Listener::bind().await;
        partners.push(Partner {
            domain,
            address: Some(listener.address),
            more: "dialback = false",
        });
        listeners.push(listener);
    }
    let bad = bad.map(|(what, names, by, days)| {
        let issued = bare
            .pki
            .issue(by, names, &[&bare.pki.public], time::Duration::days(days));
        (what, issued)
    });
    let plan = Plan {
        partners,
        ..Plan::default()
    };
    let mut stage = bare.start(plan).await;
    for ((what, identity), (domain, listener)) in bad.iter().zip(domains.iter().zip(&listeners)) {
        let mut inside = stage.inside_to(domain, At::Established).await;
        inside.send(&TO_ALPHA.replace("alpha.test", domain)).await;
        let mut alpha = listener.accept_secure(&Show::Certificate(identity)).await;
        alpha.header().await;
        alpha.respond(domain, "org.test", Peer::EXTERNAL).await;
        let rest = alpha.rest().await;
        let authenticates =
            |part: &Part| matches!(part, Part::Element(e) if e.is(ns::SASL, "auth"));
        assert!(!rest.iter().any(authenticates), "{what}: {rest:?}");
        let error = stage.org_gets().await;
        assert_eq!(
            error.stanza_error(),
            Some(("remote-server-timeout", "cancel")),
            "{what}"
        );
    }
}

#[tokio::test]
async fn v08_inside_only_the_inner_authoritys_servers_speak_and_for_their_own_names() {
    let bare = bare();
    let internal = &bare.pki.internal;
    let issue = |by, names: &[&str], days| {
        bare.pki
            .issue(by, names, &[internal], time::Duration::days(days))
    };
    let bad = [
        ("another name", issue(internal, &["elsewhere.test"], 9)),
        (
            "the outer authority",
            issue(&bare.pki.public, &["org.test"], 9),
        ),
        ("expired", issue(internal, &["org.test"], -1)),
    ];
    let stage = bare.start(Plan::default()).await;
    for (what, identity) in &bad {
        let mut peer = stage.inside(At::Clear).await;
        peer.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
            .await;
        peer.expect(ns::TLS, "proceed").await;
        let show = Show::Certificate(identity);
        if peer.secure(show.client(), "alpha.test").await.is_ok() {
            peer.open("org.test", "alpha.test").await;
            let rest = peer.rest().await;
            let features =
                |part: &Part| matches!(part, Part::Element(e) if e.is(ns::STREAM, "features"));
            assert!(!rest.iter().any(features), "{what}: {rest:?}");
        }
    }
    stage.gateway.at_rest().await;
}

#[tokio::test]
async fn id_12_an_internal_server_speaks_for_its_own_domains() {
    let bare = bare();
    let second = bare.pki.internal_server(&["second.test"]);
    let plan = Plan {
        domains: vec!["org.test", "second.test"],
        more: "[[internal.server]]\ndomains = ['second.test']\nconnect = ['127.0.0.1:1']\n"
            .to_owned(),
        ..Plan::default()
    };
    let mut stage = bare.start(plan).await;
    // second.test's server in org.test's name: in the header, and in a stanza.
    let mut peer = Peer::connect(stage.gateway.internal).await;
    peer.open("org.test", "alpha.test").await;
    peer.features().await;
    peer.start_tls(&Show::Certificate(&second), "alpha.test")
        .await;
    peer.open("org.test", "alpha.test").await;
    peer.refused("policy-violation").await;
    let mut peer = Peer::connect(stage.gateway.internal).await;
    peer.secure(Show::Certificate(&second).client(), "alpha.test")
        .await
        .unwrap();
    peer.open("second.test", "alpha.test").await;
    peer.features().await;
    peer.external().await;
    peer.open("second.test", "alpha.test").await;
    peer.features().await;
    peer.send(TO_ALPHA).await;
    peer.refused("invalid-from").await;
    stage.gateway.at_rest().await;
    assert!(stage.alpha.try_next().is_none());
}

/// A leaf for alpha.test, and authorities of one name that have all signed each other: as many ways up
/// as there are orders of them, and none that ends.
fn maze(authorities: usize) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
    let authority = || {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "Maze");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    };
    let keys: Vec<KeyPair> = (0..authorities)
        .map(|_| KeyPair::generate().unwrap())
        .collect();
    let key = KeyPair::generate().unwrap();
    let names = vec!["alpha.test".to_owned()];
    let leaf = CertificateParams::new(names).unwrap();
    let issuers: Vec<_> = keys
        .iter()
        .map(|key| Issuer::new(authority(), key))
        .collect();
    let mut chain = vec![leaf.signed_by(&key, &issuers[0]).unwrap().der().clone()];
    for (at, subject) in keys.iter().enumerate() {
        for issuer in [at + 1, at + 2] {
            let signed = authority().signed_by(subject, &issuers[issuer % authorities]);
            chain.push(signed.unwrap().der().clone());
        }
    }
    (chain, PrivateKeyDer::try_from(key.serialize_der()).unwrap())
}

#[tokio::test]
async fn v09_a_chain_that_is_made_to_be_expensive_costs_little() {
    let plan = Plan {
        record: "dialback = false",
        ..Plan::default()
    };
    let stage = bare().start(plan).await;
    warm(&stage).await;
    let mazes = [2, 4, 8, 20].map(maze);
    let cost = Cost::count(&stage);
    for (chain, key) in &mazes {
        let show = Show::Chain(chain, key);
        let mut peer = stage.outside(At::Connected).await;
        // What is too much may be refused in the handshake or behind it.
        if peer.secure(show.client(), "org.test").await.is_ok() {
            peer.open("alpha.test", "org.test").await;
            let said = peer.rest().await;
            let features =
                |part: &Part| matches!(part, Part::Element(e) if e.is(ns::STREAM, "features"));
            assert!(!said.iter().any(features), "{said:?}");
        }
    }
    stage.gateway.at_rest().await;
    cost.at_most(&stage, 4 * MIB, Duration::from_millis(400));
}

#[tokio::test]
async fn v22_where_a_pin_is_demanded_a_good_certificate_is_not_enough() {
    let bare = bare();
    let pinned = bare.pki.partner(&["beta.test"]);
    let hijacker = bare.pki.partner(&["beta.test"]);
    let record = format!(
        "[[partner]]\ndomain = 'beta.test'\nproxy = '127.0.0.1:1'\ndialback = false\npins = ['{}']\n",
        pinned.pin()
    );
    let plan = Plan {
        more: record,
        ..Plan::default()
    };
    let stage = bare.start(plan).await;
    let show = Show::Certificate(&hijacker);
    let mut peer = stage.outside_as("beta.test", &show, At::Secured).await;
    peer.open("beta.test", "org.test").await;
    peer.refused("policy-violation").await;
    let show = Show::Certificate(&pinned);
    let peer = stage.outside_as("beta.test", &show, At::Established).await;
    let status = stage.gateway.status().await;
    assert!(status["streams"].to_string().contains("pinned"), "{status}");
    peer.close().await;
    stage.gateway.at_rest().await;
}

#[tokio::test]
async fn v18_no_restart_changes_who_a_stream_is() {
    let stage = Stage::usual().await;
    for (from, to) in [
        ("beta.test", "org.test"),
        ("org.test", "alpha.test"),
        ("alpha.test", "second.test"),
    ] {
        let mut peer = stage.outside(At::Restarting).await;
        peer.open(from, to).await;
        peer.refused("improper-addressing").await;
    }
    for (from, to) in [("second.test", "alpha.test"), ("org.test", "beta.test")] {
        let mut peer = stage.inside(At::Restarting).await;
        peer.open(from, to).await;
        peer.refused("improper-addressing").await;
    }
    // On an established stream there is no restart at all.
    for mut peer in [
        stage.outside(At::Established).await,
        stage.inside(At::Established).await,
    ] {
        peer.send("<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' from='beta.test' to='org.test' version='1.0'/>")
            .await;
        let said = peer.rest().await;
        let error = said.iter().find_map(|part| match part {
            Part::Element(element) if element.is(ns::STREAM, "error") => element.condition(),
            _ => None,
        });
        assert!(error.is_some(), "{said:?}");
    }
    stage.gateway.at_rest().await;
    assert_eq!(stage.gateway.settled().await, 0.0);
}
