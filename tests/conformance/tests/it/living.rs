//! Bidirectional streams, acknowledgements, limits, pings: what happens on streams that live.

use std::time::Duration;

use portcullis_conformance::{At, Listener, Part, Peer, Plan, Show, Stage, bare, ns};
use portcullis_test_support::Identity;

const TO_ALPHA: &str =
    "<message from='a@org.test' to='b@alpha.test' id='1'><body>hello</body></message>";
const TO_ORG: &str =
    "<message from='b@alpha.test' to='a@org.test' id='1'><body>hello</body></message>";
const BIDI: &str = "<bidi xmlns='urn:xmpp:bidi'/>";
/// Long enough that what should not come would have come.
const QUIET: Duration = Duration::from_millis(300);

/// A gateway, and alpha.test's server played by the test.
async fn house(keys: Vec<(&'static str, String)>) -> (Stage, Listener, Identity) {
    let bare = bare();
    let alpha = Listener::bind().await;
    let identity = bare.pki.partner(&["alpha.test"]);
    let plan = Plan {
        alpha_at: Some(alpha.address),
        keys,
        ..Plan::default()
    };
    (bare.start(plan).await, alpha, identity)
}

/// alpha.test opens a stream with bidi.
async fn bidi(stage: &Stage) -> Peer {
    let mut peer = stage.outside(At::Secured).await;
    peer.open("alpha.test", "org.test").await;
    let (_, features) = peer.features().await;
    assert!(
        features.child(ns::BIDI_FEATURE, "bidi").is_some(),
        "{features:?}"
    );
    peer.send(BIDI).await;
    peer.external().await;
    peer.open("alpha.test", "org.test").await;
    peer.features().await;
    peer
}

#[tokio::test]
async fn bi_02_nothing_comes_back_before_the_peer_is_authenticated() {
    let (stage, alpha, identity) = house(Vec::new()).await;
    let mut peer = stage.outside(At::Secured).await;
    peer.open("alpha.test", "org.test").await;
    peer.features().await;
    peer.send(BIDI).await;
    let mut inside = stage.inside(At::Established).await;
    inside.send(TO_ALPHA).await;
    // It leaves on a stream of our own.
    let show = Show::Certificate(&identity);
    let mut own = alpha.accept_established(&show).await;
    own.expect(ns::SERVER, "message").await;
    assert!(peer.is_silent_for(QUIET).await, "{}", peer.conversation());
}

#[tokio::test]
async fn bi_04_one_output_stream_for_a_pair() {
    let (stage, alpha, identity) = house(Vec::new()).await;
    let mut inside = stage.inside(At::Established).await;
    // Both sides connect at once: the gateway's own stream is held up half way.
    inside.send(&TO_ALPHA.replace("id='1'", "id='0'")).await;
    let show = Show::Certificate(&identity);
    let mut half = alpha.accept_secure(&show).await;
    half.header().await;
    let mut peer = bidi(&stage).await;
    half.respond("alpha.test", "org.test", Peer::EXTERNAL).await;
    for n in 1..50 {
        inside
            .send(&TO_ALPHA.replace("id='1'", &format!("id='{n}'")))
            .await;
    }
    // Whichever it is: all of them on one, in order.
    let mut finished = tokio::spawn(async move {
        while let Part::Element(element) = half.next().await {
            if element.is(ns::SASL, "auth") {
                half.send("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
                    .await;
                half.restart();
                half.header().await;
                half.respond("alpha.test", "org.test", "").await;
            } else {
                let mut ids = vec![element];
                while ids.len() < 50 {
                    ids.push(half.element().await);
                }
                return ids;
            }
        }
        Vec::new()
    });
    let on_peer = async {
        let mut ids = Vec::new();
        while ids.len() < 50 {
            ids.push(peer.element().await);
        }
        ids
    };
    let messages = tokio::select! {
        messages = on_peer => messages,
        messages = &mut finished => messages.unwrap(),
    };
    let ids: Vec<_> = messages
        .iter()
        .map(|m| m.attribute("id").unwrap().to_owned())
        .collect();
    let wanted: Vec<_> = (0..50).map(|n| n.to_string()).collect();
    assert_eq!(ids, wanted);
    finished.abort();
}

#[tokio::test]
async fn lim_01_limits_are_told_and_those_of_the_peer_are_kept() {
    let keys = vec![("limits", "stanza_bytes = 50000".to_owned())];
    let (mut stage, alpha, identity) = house(keys).await;
    let mut peer = stage.outside(At::Restarting).await;
    peer.open("alpha.test", "org.test").await;
    let (_, features) = peer.features().await;
    let limits = features.child(ns::LIMITS, "limits").unwrap();
    let max = limits.child(ns::LIMITS, "max-bytes").unwrap();
    assert_eq!(max.text, "50000");
    let mut inside = stage.inside(At::Established).await;
    inside.send(TO_ALPHA).await;
    let show = Show::Certificate(&identity);
    let told = "<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>1000</max-bytes></limits>";
    let mut peer = alpha.accept_established_with(&show, told).await;
    peer.expect(ns::SERVER, "message").await;
    let long = TO_ALPHA
        .replace("hello", &"x".repeat(2000))
        .replace("id='1'", "id='long'");
    inside.send(&long).await;
    let error = stage.org_gets().await;
    assert_eq!(error.attribute("id"), Some("long"));
    assert_eq!(error.stanza_error(), Some(("policy-violation", "modify")));
    let by = error.child(ns::SERVER, "error").unwrap().attribute("by");
    assert_eq!(by, None);
    inside.send(&TO_ALPHA.replace("id='1'", "id='short'")).await;
    let message = peer.expect(ns::SERVER, "message").await;
    assert_eq!(message.attribute("id"), Some("short"));
}

#[tokio::test]
async fn ping_01_a_ping_goes_to_the_domain_that_it_asks() {
    let mut stage = Stage::usual().await;
    let mut peer = stage.outside(At::Established).await;
    peer.send(
        "<iq from='alpha.test' to='org.test' id='p' type='get'><ping xmlns='urn:xmpp:ping'/></iq>",
    )
    .await;
    let ping = stage.org_gets().await;
    assert_eq!(ping.attribute("id"), Some("p"));
    assert!(ping.child("urn:xmpp:ping", "ping").is_some());
    let mut inside = stage.inside(At::Established).await;
    inside
        .send("<iq from='org.test' to='alpha.test' id='p' type='result'/>")
        .await;
    assert_eq!(stage.alpha_gets().await.attribute("type"), Some("result"));
}

/// Fast enough for a test.
fn impatient() -> Vec<(&'static str, String)> {
    vec![("timeouts", "keepalive = 1\ninactivity = 2".to_owned())]
}

/// The gateway's next ping on the stream on which alpha.test takes stanzas.
async fn pinged(own: &mut Peer) -> String {
    let ping = own.expect(ns::SERVER, "iq").await;
    assert_eq!(ping.attribute("type"), Some("get"), "{ping:?}");
    assert_eq!(ping.attribute("from"), Some("org.test"), "{ping:?}");
    assert_eq!(ping.attribute("to"), Some("alpha.test"), "{ping:?}");
    assert!(ping.child("urn:xmpp:ping", "ping").is_some(), "{ping:?}");
    ping.attribute("id").unwrap().to_owned()
}

fn pong(from: &str, id: &str) -> String {
    format!("<iq from='{from}' to='org.test' id='{id}' type='result'/>")
}

#[tokio::test]
async fn ping_02_an_idle_server_that_answers_is_kept_and_one_that_does_not_is_cut() {
    let (mut stage, alpha, identity) = house(impatient()).await;
    let mut peer = stage.outside(At::Established).await;
    let show = Show::Certificate(&identity);
    let mut own = alpha.accept_established(&show).await;
    let began = tokio::time::Instant::now();
    // Longer than the silence that would end it.
    while began.elapsed() < Duration::from_secs(4) {
        let id = pinged(&mut own).await;
        peer.send(&pong("alpha.test", &id)).await;
    }
    peer.send(TO_ORG).await;
    assert_eq!(stage.org_gets().await.attribute("id"), Some("1"));
    // The answers were for the gateway, and nobody else saw them.
    assert!(stage.org.try_next().is_none());
    // Now it says nothing any more.
    peer.error("connection-timeout").await;
}

#[tokio::test]
async fn ping_02_an_idle_server_hears_whitespace() {
    let (stage, _alpha, _identity) = house(impatient()).await;
    let mut peer = stage.outside(At::Established).await;
    let bytes = peer.read().await.unwrap();
    assert!(
        bytes.iter().all(|byte| b" \t\r\n".contains(byte)),
        "{}",
        peer.conversation()
    );
}

#[tokio::test]
async fn v17_an_answer_counts_only_from_whom_was_asked() {
    let bare = bare();
    let alpha = Listener::bind().await;
    let identity = bare.pki.partner(&["alpha.test"]);
    let beta = bare.pki.partner(&["beta.test"]);
    let plan = Plan {
        alpha_at: Some(alpha.address),
        keys: impatient(),
        partners: vec![portcullis_conformance::Partner {
            domain: "beta.test",
            address: Some("127.0.0.1:1".parse().unwrap()),
            more: "keep_alive = false",
        }],
        ..Plan::default()
    };
    let mut stage = bare.start(plan).await;
    let mut peer = stage.outside(At::Established).await;
    let show = Show::Certificate(&beta);
    let mut liar = stage.outside_as("beta.test", &show, At::Established).await;
    let mut own = alpha
        .accept_established(&Show::Certificate(&identity))
        .await;
    let id = pinged(&mut own).await;
    // The right id, and everything else wrong: it is somebody's own business.
    liar.send(&pong("beta.test", &id)).await;
    let passed = stage.org_gets().await;
    assert_eq!(passed.attribute("from"), Some("beta.test"));
    // Nobody has answered for alpha.test.
    peer.error("connection-timeout").await;
}
