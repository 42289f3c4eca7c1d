//! SASL EXTERNAL, features after it, and what stands before it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_conformance::{At, Peer, Plan, Show, Stage, bare, ns};
use time::Duration;

use crate::support::{Refusal, TO_ALPHA, playing_alpha, refused, unreachable};

/// `<auth/>` with this text.
fn auth(text: &str) -> String {
    format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>{text}</auth>")
}

const RESPONSE: &str = "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>=</response>";

#[tokio::test]
async fn sasl_01_after_success_the_stream_starts_anew() {
    let stage = Stage::usual().await;
    for (mut peer, from, to) in [
        (stage.outside(At::Secured).await, "alpha.test", "org.test"),
        (stage.inside(At::Secured).await, "org.test", "alpha.test"),
    ] {
        peer.open(from, to).await;
        let (before, _) = peer.features().await;
        peer.external().await;
        peer.open(from, to).await;
        // A closing tag in between would be no header.
        let (after, features) = peer.features().await;
        assert_ne!(before.attribute("id"), after.attribute("id"));
        assert!(features.child(ns::SASL, "mechanisms").is_none());
    }
}

#[tokio::test]
async fn sasl_02_external_is_offered_to_whom_the_certificate_names() {
    let bare = bare();
    let public = &bare.pki.public;
    let issue =
        |by, names: &[&str], days| bare.pki.issue(by, names, &[public], Duration::days(days));
    let good = issue(public, &["other.test", "alpha.test"], 9);
    let bad = [
        ("another name", issue(public, &["beta.test"], 9)),
        ("a subdomain", issue(public, &["sub.alpha.test"], 9)),
        ("a wildcard above", issue(public, &["*.alpha.test"], 9)),
        (
            "an unknown authority",
            issue(&bare.pki.internal, &["alpha.test"], 9),
        ),
        ("expired", issue(public, &["alpha.test"], -1)),
    ];
    let plan = Plan {
        record: "dialback = false",
        ..Plan::default()
    };
    let stage = bare.start(plan).await;
    let mut peer = stage
        .outside_as("alpha.test", &Show::Certificate(&good), At::Secured)
        .await;
    peer.open("alpha.test", "org.test").await;
    let (_, features) = peer.features().await;
    let mechanisms = features.child(ns::SASL, "mechanisms").unwrap();
    let names: Vec<&str> = mechanisms.children.iter().map(|m| &m.text[..]).collect();
    assert_eq!(names, ["EXTERNAL"]);
    peer.close().await;

    for (what, identity) in &bad {
        let show = Show::Certificate(identity);
        let mut peer = stage.outside_as("alpha.test", &show, At::Secured).await;
        peer.open("alpha.test", "org.test").await;
        let error = peer.refused("policy-violation").await;
        let text = error.child(ns::STREAM_ERRORS, "text");
        assert!(text.is_some(), "{what} is not explained: {error:?}");
    }
    let mut peer = stage
        .outside_as("alpha.test", &Show::Nothing, At::Secured)
        .await;
    peer.open("alpha.test", "org.test").await;
    peer.refused("policy-violation").await;
    stage.gateway.at_rest().await;
}

#[tokio::test]
async fn sasl_03_an_absent_initial_response_is_challenged() {
    let stage = Stage::usual().await;
    let mut peer = stage.outside(At::Authenticating).await;
    peer.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'/>")
        .await;
    let challenge = peer.expect(ns::SASL, "challenge").await;
    assert!(["", "="].contains(&&challenge.text[..]), "{challenge:?}");
    peer.send(RESPONSE).await;
    peer.expect(ns::SASL, "success").await;

    let mut peer = stage.outside(At::Authenticating).await;
    peer.send(&auth("=")).await;
    peer.expect(ns::SASL, "success").await;
}

#[tokio::test]
async fn sasl_04_the_identity_is_the_domain() {
    let stage = Stage::usual().await;
    for name in ["alpha.test", "ALPHA.test", "alpha.test."] {
        let mut peer = stage.outside(At::Authenticating).await;
        peer.send(&auth(&STANDARD.encode(name))).await;
        peer.expect(ns::SASL, "success").await;
    }
    for name in ["user@alpha.test", "beta.test", "org.test", "sub.alpha.test"] {
        let mut peer = stage.outside(At::Authenticating).await;
        peer.send(&auth(&STANDARD.encode(name))).await;
        let failure = peer.expect(ns::SASL, "failure").await;
        assert_eq!(failure.condition(), Some("invalid-authzid"), "{name}");
    }
}

#[tokio::test]
async fn sasl_04_we_state_our_own() {
    let (stage, listener, identity) = playing_alpha(Plan::default()).await;
    let mut inside = stage.inside(At::Established).await;
    inside.send(TO_ALPHA).await;
    let mut alpha = listener.accept_secure(&Show::Certificate(&identity)).await;
    alpha.header().await;
    alpha
        .respond("alpha.test", "org.test", Peer::EXTERNAL)
        .await;
    let auth = alpha.expect(ns::SASL, "auth").await;
    assert_eq!(auth.attribute("mechanism"), Some("EXTERNAL"));
    assert_eq!(STANDARD.decode(auth.text).unwrap(), b"org.test");
}

#[tokio::test]
async fn sasl_05_another_identity_ends_the_stream() {
    let stage = Stage::usual().await;
    for name in ["beta.test", "org.test"] {
        let mut peer = stage.outside(At::Authenticating).await;
        peer.send(&auth(&STANDARD.encode(name))).await;
        peer.expect(ns::SASL, "failure").await;
        peer.refused("not-authorized").await;
    }
    stage.gateway.at_rest().await;
    assert!(
        stage.gateway.status().await["streams"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn sasl_06_each_failure_has_its_name_and_tries_end() {
    let stage = Stage::usual().await;
    for (said, condition) in [
        (auth("YWxwaGEudGVzdB=="), "incorrect-encoding"),
        (auth("YWxw aGEudGVzdA=="), "incorrect-encoding"),
        (auth("YWxwaGEudGVzdA"), "incorrect-encoding"),
        (auth("*"), "incorrect-encoding"),
        (auth("=").replace("EXTERNAL", "PLAIN"), "invalid-mechanism"),
        (
            "<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>".to_owned(),
            "aborted",
        ),
        (RESPONSE.to_owned(), "malformed-request"),
    ] {
        let mut peer = stage.outside(At::Authenticating).await;
        peer.send(&said).await;
        let failure = peer.expect(ns::SASL, "failure").await;
        assert_eq!(failure.condition(), Some(condition), "{said}");
        // There is another try.
        peer.send(&auth("=")).await;
        peer.expect(ns::SASL, "success").await;
    }
    let mut peer = stage.outside(At::Authenticating).await;
    let mut tries = 0;
    loop {
        peer.send(&auth("*")).await;
        peer.expect(ns::SASL, "failure").await;
        tries += 1;
        peer.send("\n").await;
        if tries == 5 {
            break;
        }
    }
    peer.refused("policy-violation").await;
    // A second <auth/> before the first is done begins anew.
    let mut peer = stage.outside(At::Authenticating).await;
    peer.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'/>")
        .await;
    peer.expect(ns::SASL, "challenge").await;
    peer.send(&auth("=")).await;
    peer.expect(ns::SASL, "success").await;
}

#[tokio::test]
async fn sasl_07_a_stanza_before_authentication_closes_the_stream() {
    let mut stage = Stage::usual().await;
    let mut rows = Vec::new();
    for at in [At::Clear, At::Authenticating] {
        for said in [
            "<message from='b@alpha.test' to='a@org.test'><body>x</body></message>",
            "<presence from='b@alpha.test' to='a@org.test'/>",
            "<iq from='b@alpha.test' to='a@org.test' id='1' type='get'><ping xmlns='urn:xmpp:ping'/></iq>",
        ] {
            rows.push(Refusal(at, said, "not-authorized"));
        }
    }
    refused(&stage, &rows).await;
    // Also behind <auth/>, in the same breath.
    let mut peer = stage.outside(At::Authenticating).await;
    peer.send(&format!(
        "{}<message from='b@alpha.test' to='a@org.test'><body>x</body></message>",
        auth("=")
    ))
    .await;
    peer.expect(ns::SASL, "success").await;
    // It stands where the new header should.
    peer.restart();
    peer.refused("invalid-namespace").await;
    stage.gateway.at_rest().await;
    assert_eq!(stage.gateway.settled().await, 0.0);
    assert!(stage.org.try_next().is_none());
}

#[tokio::test]
async fn sasl_09_tls_comes_first_and_compression_never() {
    let stage = Stage::usual().await;
    let mut peer = stage.outside(At::Connected).await;
    peer.open("alpha.test", "org.test").await;
    let mut offered = Vec::new();
    for step in 0..3 {
        let (_, features) = peer.features().await;
        offered.push(
            features
                .children
                .iter()
                .map(|f| f.ns.clone())
                .collect::<Vec<_>>(),
        );
        match step {
            0 => {
                let show = Show::Certificate(&stage.alpha_identity);
                peer.start_tls(&show, "org.test").await;
            }
            1 => peer.external().await,
            _ => break,
        }
        peer.open("alpha.test", "org.test").await;
    }
    assert_eq!(offered[0], [ns::TLS]);
    assert!(offered[1].contains(&ns::SASL.to_owned()), "{offered:?}");
    assert!(!offered[2].contains(&ns::SASL.to_owned()), "{offered:?}");
    let all = offered.concat();
    assert!(!all.iter().any(|ns| ns.contains("compress")), "{all:?}");
}

#[tokio::test]
async fn sasl_10_nothing_is_sent_before_the_last_features() {
    let (mut stage, listener, identity) = playing_alpha(Plan::default()).await;
    let mut inside = stage.inside(At::Established).await;
    inside.send(TO_ALPHA).await;
    let show = Show::Certificate(&identity);
    let mut alpha = listener.accept_secure(&show).await;
    alpha.header().await;
    alpha
        .respond("alpha.test", "org.test", Peer::EXTERNAL)
        .await;
    alpha.expect(ns::SASL, "auth").await;
    alpha
        .send("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
        .await;
    alpha.restart();
    alpha.header().await;
    let quiet = std::time::Duration::from_millis(300);
    assert!(alpha.is_silent_for(quiet).await, "{}", alpha.conversation());
    alpha.respond("alpha.test", "org.test", "").await;
    alpha.expect(ns::SERVER, "message").await;
    drop(alpha);
    let gateway = &stage.gateway;
    gateway
        .until("portcullis_streams", "side=\"federation\"", 0.0)
        .await;

    // A feature that is mandatory and unknown is none that we can do without.
    inside.send(TO_ALPHA).await;
    let mandatory = "<toll xmlns='urn:test:toll'><required/></toll>";
    let mut alpha = listener.accept_established_with(&show, mandatory).await;
    alpha.error("unsupported-feature").await;
    let error = stage.org_gets().await;
    assert_eq!(
        error.stanza_error(),
        Some(("remote-server-timeout", "cancel"))
    );
}

#[tokio::test]
async fn feat_01_new_features_on_an_established_stream_reset_it() {
    let (stage, listener, identity) = playing_alpha(Plan::default()).await;
    let mut inside = stage.inside(At::Established).await;
    inside.send(TO_ALPHA).await;
    let show = Show::Certificate(&identity);
    let mut alpha = listener.accept_established(&show).await;
    alpha.expect(ns::SERVER, "message").await;
    alpha.send("<stream:features/>").await;
    alpha.refused("reset").await;
    // The next stanza gets a new stream.
    inside.send(TO_ALPHA).await;
    let mut again = listener.accept_established(&show).await;
    again.expect(ns::SERVER, "message").await;
}

#[tokio::test]
async fn feat_02_a_partner_that_is_taken_off_the_list_is_closed_at_once() {
    let bare = bare();
    let beta = bare.pki.partner(&["beta.test"]);
    let plan = Plan {
        partners: vec![unreachable("beta.test", "")],
        ..Plan::default()
    };
    let mut stage = bare.start(plan).await;
    let mut alpha = stage.outside(At::Established).await;
    let show = Show::Certificate(&beta);
    let mut gone = stage.outside_as("beta.test", &show, At::Established).await;
    let reloaded = stage.rewrite(|plan| plan.partners.clear()).await;
    assert_eq!(reloaded["result"], "ok", "{reloaded}");
    gone.refused("policy-violation").await;
    // And no others.
    alpha
        .send("<message from='b@alpha.test' to='a@org.test'><body>still here</body></message>")
        .await;
    assert!(stage.org.stanza().await.contains("still here"));
    alpha.close().await;
}

#[tokio::test]
async fn id_09_tls_completes_with_any_certificate_and_the_reason_is_told_behind_it() {
    let bare = bare();
    let unknown = bare.pki.internal_server(&["alpha.test"]);
    let plan = Plan {
        record: "dialback = false",
        ..Plan::default()
    };
    let stage = bare.start(plan).await;
    for to in [At::Clear, At::Connected] {
        let show = Show::Certificate(&unknown);
        let mut peer = stage.outside(to).await;
        match to {
            At::Clear => peer.start_tls(&show, "org.test").await,
            _ => peer.secure(show.client(), "org.test").await.unwrap(),
        }
        peer.open("alpha.test", "org.test").await;
        let error = peer.refused("policy-violation").await;
        let text = error.child(ns::STREAM_ERRORS, "text").unwrap();
        assert!(text.text.contains("authority"), "{}", text.text);
    }
}

#[tokio::test]
async fn id_10_a_certificate_of_two_names_speaks_for_the_one_that_was_proven() {
    let bare = bare();
    let both = bare.pki.partner(&["alpha.test", "beta.test"]);
    let plan = Plan {
        partners: vec![unreachable("beta.test", "")],
        ..Plan::default()
    };
    let mut stage = bare.start(plan).await;
    let show = Show::Certificate(&both);
    for (from, other) in [("alpha.test", "beta.test"), ("beta.test", "alpha.test")] {
        let mut peer = stage.outside_as(from, &show, At::Established).await;
        peer.send(&format!(
            "<message from='x@{other}' to='a@org.test'><body>x</body></message>"
        ))
        .await;
        peer.refused("invalid-from").await;
    }
    assert!(stage.org.try_next().is_none());
}
