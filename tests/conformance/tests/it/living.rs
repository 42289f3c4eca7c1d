//! Bidirectional streams, acknowledgements, limits, pings: what happens on streams that live.

use std::time::{Duration, Instant};

use portcullis_conformance::{At, Listener, Node, Part, Peer, Plan, Show, Stage, bare, ns};
use portcullis_test_support::Identity;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::support::{
    BIDI, QUIET, SM_FEATURE, TO_ALPHA, TO_ORG, both_ways, playing_alpha, unreachable,
};

const BIDI_FEATURE: &str = "<bidi xmlns='urn:xmpp:features:bidi'/>";

/// A gateway, and alpha.test's server played by the test.
async fn house(keys: Vec<(&'static str, String)>) -> (Stage, Listener, Identity) {
    playing_alpha(Plan {
        keys,
        ..Plan::default()
    })
    .await
}

/// The gateway opens a stream to alpha.test whose server offers these features besides EXTERNAL.
/// Returns what the gateway said between the features and `<auth/>`.
async fn offered(alpha: &Listener, identity: &Identity, features: &str) -> (Peer, Vec<Node>) {
    let show = Show::Certificate(identity);
    let mut peer = alpha.accept_secure(&show).await;
    peer.header().await;
    let features = format!("{}{features}", Peer::EXTERNAL);
    peer.respond("alpha.test", "org.test", &features).await;
    let mut said = Vec::new();
    loop {
        let element = peer.element().await;
        if element.is(ns::SASL, "auth") {
            break;
        }
        said.push(element);
    }
    peer.send("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
        .await;
    peer.restart();
    peer.header().await;
    (peer, said)
}

#[tokio::test]
async fn bi_01_bidi_is_offered_after_tls_and_asked_for_before_authentication() {
    let (stage, alpha, identity) = house(Vec::new()).await;
    let peer = both_ways(&stage).await;
    // Nothing answers <bidi/>, and nothing is offered in the clear beside a required STARTTLS.
    drop(peer);
    stage.gateway.at_rest().await;
    let mut inside = stage.inside(At::Established).await;
    inside.send(TO_ALPHA).await;
    let (mut peer, said) = offered(&alpha, &identity, BIDI_FEATURE).await;
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].is(ns::BIDI, "bidi"));
    peer.respond("alpha.test", "org.test", "").await;
    peer.expect(ns::SERVER, "message").await;
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
async fn bi_02_then_stanzas_of_the_pair_come_back() {
    let (mut stage, alpha, _identity) = house(Vec::new()).await;
    let mut peer = both_ways(&stage).await;
    peer.send(TO_ORG).await;
    stage.org_gets().await;
    let mut inside = stage.inside(At::Established).await;
    inside.send(TO_ALPHA).await;
    let message = peer.expect(ns::SERVER, "message").await;
    assert_eq!(message.attribute("to"), Some("b@alpha.test"));
    assert!(alpha.is_left_alone_for(QUIET).await);
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
    let mut peer = both_ways(&stage).await;
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
async fn bi_05_stanzas_on_a_stream_of_ours_need_bidi_and_a_proven_peer() {
    let (mut stage, alpha, identity) = house(Vec::new()).await;
    let mut inside = stage.inside(At::Established).await;
    inside.send(TO_ALPHA).await;
    let (mut peer, _) = offered(&alpha, &identity, BIDI_FEATURE).await;
    peer.respond("alpha.test", "org.test", "").await;
    peer.expect(ns::SERVER, "message").await;
    peer.send(TO_ORG).await;
    assert_eq!(
        stage.org_gets().await.attribute("from"),
        Some("b@alpha.test")
    );
    // For the pair of the stream only.
    peer.send(&TO_ORG.replace("b@alpha.test", "b@beta.test"))
        .await;
    peer.error("invalid-from").await;
    drop(peer);

    // Without bidi nobody sends stanzas on a stream that we opened.
    stage
        .gateway
        .until("portcullis_streams", "federation", 0.0)
        .await;
    inside.send(TO_ALPHA).await;
    let show = Show::Certificate(&identity);
    let mut peer = alpha.accept_established(&show).await;
    peer.expect(ns::SERVER, "message").await;
    peer.send(TO_ORG).await;
    peer.error("not-authorized").await;
    assert!(stage.org.try_next().is_none());
}

/// alpha.test's stream with acknowledgements enabled.
async fn managed(stage: &Stage) -> Peer {
    let mut peer = stage.outside(At::Restarting).await;
    peer.open("alpha.test", "org.test").await;
    let (_, features) = peer.features().await;
    assert!(features.child(ns::SM, "sm").is_some(), "{features:?}");
    peer.send("<enable xmlns='urn:xmpp:sm:3'/>").await;
    peer.expect(ns::SM, "enabled").await;
    peer
}

const R: &str = "<r xmlns='urn:xmpp:sm:3'/>";

/// Asks for acknowledgement until `h` is this.
async fn acknowledged(peer: &mut Peer, wanted: &str) {
    for _ in 0..1000 {
        peer.send(R).await;
        let a = peer.expect(ns::SM, "a").await;
        if a.attribute("h") == Some(wanted) {
            return;
        }
    }
    panic!("h is never {wanted}{}", peer.conversation());
}

#[tokio::test]
async fn sm_01_acknowledgements_are_counted_and_enabled_once() {
    let (mut stage, _alpha, _identity) = house(Vec::new()).await;
    let mut peer = managed(&stage).await;
    peer.send(R).await;
    let a = peer.expect(ns::SM, "a").await;
    assert_eq!(a.attribute("h"), Some("0"));
    for _ in 0..3 {
        peer.send(TO_ORG).await;
        stage.org_gets().await;
    }
    acknowledged(&mut peer, "3").await;
    // Whitespace and acknowledgements are no stanzas.
    peer.send(" ").await;
    acknowledged(&mut peer, "3").await;
    peer.send("<enable xmlns='urn:xmpp:sm:3'/>").await;
    let said = peer.element().await;
    assert!(
        said.is(ns::STREAM, "error") || said.is(ns::SM, "failed"),
        "{said:?}"
    );

    // Not before authentication.
    for at in [At::Clear, At::Authenticating] {
        let mut peer = stage.outside(at).await;
        peer.send("<enable xmlns='urn:xmpp:sm:3'/>").await;
        let said = peer.element().await;
        assert!(!said.is(ns::SM, "enabled"), "{said:?}");
    }
}

#[tokio::test]
async fn sm_01_too_high_a_count_closes_our_stream() {
    let (stage, alpha, identity) = house(Vec::new()).await;
    let mut inside = stage.inside(At::Established).await;
    inside.send(TO_ALPHA).await;
    let show = Show::Certificate(&identity);
    let mut peer = alpha.accept_established_with(&show, SM_FEATURE).await;
    let mut sent = 0;
    loop {
        let element = peer.element().await;
        if element.is(ns::SM, "enable") {
            peer.send("<enabled xmlns='urn:xmpp:sm:3'/>").await;
        } else if element.is(ns::SERVER, "message") {
            sent += 1;
        } else if element.is(ns::SM, "r") && sent == 1 {
            break;
        }
    }
    peer.send("<a xmlns='urn:xmpp:sm:3' h='7'/>").await;
    let error = loop {
        let element = peer.element().await;
        if element.is(ns::STREAM, "error") {
            break element;
        }
    };
    assert_eq!(error.condition(), Some("undefined-condition"));
    let too_high = error.child(ns::SM, "handled-count-too-high").unwrap();
    assert_eq!(too_high.attribute("h"), Some("7"));
    assert_eq!(too_high.attribute("send-count"), Some("1"));
}

#[tokio::test]
async fn sm_02_what_is_not_done_is_not_acknowledged() {
    let bare = bare();
    // org.test's server accepts the connection and says nothing: what is for it waits.
    let mute = Listener::bind().await;
    let plan = Plan {
        org_at: Some(mute.address),
        keys: vec![("timeouts", "establish = 5".to_owned())],
        ..Plan::default()
    };
    let stage = bare.start(plan).await;
    let mut peer = managed(&stage).await;
    peer.send(TO_ORG).await;
    let _held = mute.accept().await;
    for _ in 0..5 {
        peer.send(R).await;
        let a = peer.expect(ns::SM, "a").await;
        assert_eq!(a.attribute("h"), Some("0"));
    }
    // Answered with an error is done.
    stage
        .gateway
        .until("portcullis_stanzas_total", "bounced", 1.0)
        .await;
    acknowledged(&mut peer, "1").await;
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
async fn lim_01_who_says_that_it_cuts_idle_streams_hears_from_us_before() {
    let (stage, alpha, identity) = house(Vec::new()).await;
    let mut inside = stage.inside(At::Established).await;
    inside.send(TO_ALPHA).await;
    let show = Show::Certificate(&identity);
    let told = "<limits xmlns='urn:xmpp:stream-limits:0'><idle-seconds>3</idle-seconds></limits>";
    let mut peer = alpha.accept_established_with(&show, told).await;
    peer.expect(ns::SERVER, "message").await;
    // Without that the gateway says nothing for 300 seconds.
    for _ in 0..2 {
        let silent = Instant::now();
        peer.read().await.unwrap();
        assert!(silent.elapsed() < Duration::from_secs(3));
    }
}

#[tokio::test]
async fn msg_02_what_waited_here_tells_since_when() {
    let (stage, alpha, identity) = house(Vec::new()).await;
    let mut inside = stage.inside(At::Established).await;
    inside.send(TO_ALPHA).await;
    // alpha.test's server accepts the connection and takes its time.
    let noticed = Duration::from_secs(5);
    tokio::time::sleep(noticed + Duration::from_millis(200)).await;
    let mut peer = alpha
        .accept_established(&Show::Certificate(&identity))
        .await;
    let late = peer.expect(ns::SERVER, "message").await;
    let delay = late.child("urn:xmpp:delay", "delay").unwrap();
    assert_eq!(delay.attribute("from"), Some("org.test"));
    let stamp = delay.attribute("stamp").unwrap();
    let since = OffsetDateTime::parse(stamp, &Rfc3339).unwrap();
    let waited = OffsetDateTime::now_utc() - since;
    assert!(waited >= noticed && waited < noticed * 6, "{waited}");
    inside.send(&TO_ALPHA.replace("id='1'", "id='2'")).await;
    let prompt = peer.expect(ns::SERVER, "message").await;
    assert!(prompt.child("urn:xmpp:delay", "delay").is_none());
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
    let (mut stage, alpha, identity) = playing_alpha(Plan {
        keys: impatient(),
        partners: vec![unreachable("beta.test", "keep_alive = false")],
        ..Plan::default()
    })
    .await;
    let beta = stage.pki.partner(&["beta.test"]);
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
