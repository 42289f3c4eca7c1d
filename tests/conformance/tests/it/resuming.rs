//! Streams that are taken up over another connection: by peers that have lost theirs, by peers that only
//! say so, and by the gateway.

use portcullis_conformance::{At, Listener, Node, Part, Peer, Plan, Show, Stage, bare, ns};
use portcullis_test_support::Identity;

use crate::support::{SM_FEATURE, both_ways, playing_alpha, unreachable};

const ENABLE: &str = "<enable xmlns='urn:xmpp:sm:3' resume='true'/>";
const R: &str = "<r xmlns='urn:xmpp:sm:3'/>";

fn to_org(id: &str) -> String {
    format!("<message from='b@alpha.test' to='a@org.test' id='{id}'><body>hello</body></message>")
}

fn to_alpha(id: &str) -> String {
    format!("<message from='a@org.test' to='b@alpha.test' id='{id}'><body>hello</body></message>")
}

fn a(handled: usize) -> String {
    format!("<a xmlns='urn:xmpp:sm:3' h='{handled}'/>")
}

/// A gateway, and alpha.test's server played by the test.
async fn house(keys: Vec<(&'static str, String)>) -> (Stage, Listener, Identity) {
    playing_alpha(Plan {
        keys,
        ..Plan::default()
    })
    .await
}

/// alpha.test's next connection, which goes one way.
async fn again(stage: &Stage) -> Peer {
    stage.outside(At::Established).await
}

/// Asks for a stream that can be taken up, and returns its id.
async fn enabled(peer: &mut Peer) -> String {
    peer.send(ENABLE).await;
    let enabled = peer.expect(ns::SM, "enabled").await;
    assert_eq!(enabled.attribute("resume"), Some("true"));
    assert!(enabled.attribute("max").is_some(), "{enabled:?}");
    enabled.attribute("id").unwrap().to_owned()
}

async fn resume(peer: &mut Peer, id: &str, handled: usize) -> Node {
    peer.send(&format!(
        "<resume xmlns='urn:xmpp:sm:3' previd='{id}' h='{handled}'/>"
    ))
    .await;
    peer.element().await
}

/// The peer's stream goes on; returns what the gateway has received of it.
async fn resumed(peer: &mut Peer, id: &str, handled: usize) -> String {
    let answer = resume(peer, id, handled).await;
    assert!(
        answer.is(ns::SM, "resumed"),
        "{answer:?}{}",
        peer.conversation()
    );
    assert_eq!(answer.attribute("previd"), Some(id));
    answer.attribute("h").unwrap().to_owned()
}

/// There is no such stream, whatever the reason.
async fn not_there(peer: &mut Peer, id: &str) {
    let answer = resume(peer, id, 0).await;
    assert!(
        answer.is(ns::SM, "failed"),
        "{answer:?}{}",
        peer.conversation()
    );
    let condition = answer.children.first().unwrap();
    assert_eq!(condition.name, "item-not-found");
    assert_eq!(answer.attribute("h"), None);
}

/// Waits until the gateway has noticed that its peers are gone.
async fn alone(stage: &Stage) {
    stage
        .gateway
        .until("portcullis_streams", "federation", 0.0)
        .await;
}

#[tokio::test]
async fn sm_01_a_lost_stream_goes_on_and_nothing_of_it_comes_twice() {
    let (mut stage, _alpha, _) = house(Vec::new()).await;
    let mut peer = again(&stage).await;
    let id = enabled(&mut peer).await;
    assert!(id.len() >= 32, "{id}");
    for n in ["1", "2"] {
        peer.send(&to_org(n)).await;
        assert_eq!(stage.org_gets().await.attribute("id"), Some(n));
    }
    for round in 3..6 {
        drop(peer);
        alone(&stage).await;
        peer = again(&stage).await;
        assert_eq!(resumed(&mut peer, &id, 0).await, (round - 1).to_string());
        let n = round.to_string();
        peer.send(&to_org(&n)).await;
        assert_eq!(stage.org_gets().await.attribute("id"), Some(&*n));
    }
    peer.send(R).await;
    assert!(peer.expect(ns::SM, "a").await.attribute("h").is_some());
    assert!(stage.org.try_next().is_none());
}

#[tokio::test]
async fn sm_01_what_the_peer_has_not_acknowledged_comes_again_in_order() {
    let (stage, _alpha, _) = house(Vec::new()).await;
    let mut peer = both_ways(&stage).await;
    let id = enabled(&mut peer).await;
    let mut inside = stage.inside(At::Established).await;
    for n in ["1", "2", "3", "4"] {
        inside.send(&to_alpha(n)).await;
        loop {
            let element = peer.element().await;
            if element.is(ns::SERVER, "message") {
                assert_eq!(element.attribute("id"), Some(n));
                break;
            }
        }
    }
    peer.send(&a(1)).await;
    drop(peer);
    alone(&stage).await;
    inside.send(&to_alpha("5")).await;
    let mut peer = both_ways(&stage).await;
    assert_eq!(resumed(&mut peer, &id, 2).await, "0");
    let mut came = Vec::new();
    while came.len() < 3 {
        let element = peer.element().await;
        if element.is(ns::SERVER, "message") {
            came.push(element.attribute("id").unwrap().to_owned());
        }
    }
    assert_eq!(came, ["3", "4", "5"]);
    peer.send(&a(5)).await;
    stage.gateway.settled().await;
    let delivered = stage.gateway.sum("portcullis_stanzas_total", "delivered");
    assert!((delivered.await - 5.0).abs() < 0.5);
}

#[tokio::test]
async fn sm_01_nobody_else_takes_a_stream_up_or_learns_of_it() {
    let bare = bare();
    let beta = bare.pki.partner(&["beta.test"]);
    let plan = Plan {
        partners: vec![unreachable("beta.test", "")],
        ..Plan::default()
    };
    let mut stage = bare.start(plan).await;
    let mut peer = again(&stage).await;
    let id = enabled(&mut peer).await;
    peer.send(&to_org("1")).await;
    stage.org_gets().await;
    drop(peer);
    alone(&stage).await;
    let show = Show::Certificate(&beta);
    let mut other = stage.outside_as("beta.test", &show, At::Established).await;
    not_there(&mut other, &id).await;
    // The same server with a stream for both ways is another stream.
    not_there(&mut both_ways(&stage).await, &id).await;
    let mut peer = again(&stage).await;
    for wrong in ["x", &id[1..], &format!("{id}0")] {
        not_there(&mut peer, wrong).await;
    }
    assert_eq!(resumed(&mut peer, &id, 0).await, "1");
}

#[tokio::test]
async fn sm_01_a_resumption_before_authentication_is_no_resumption() {
    let (stage, _alpha, _) = house(Vec::new()).await;
    let mut peer = again(&stage).await;
    let id = enabled(&mut peer).await;
    drop(peer);
    alone(&stage).await;
    for at in [At::Clear, At::Authenticating] {
        let mut peer = stage.outside(at).await;
        let answer = resume(&mut peer, &id, 0).await;
        assert!(answer.is(ns::STREAM, "error"), "{answer:?}");
    }
    assert_eq!(resumed(&mut again(&stage).await, &id, 0).await, "0");
}

#[tokio::test]
async fn sm_01_too_high_a_count_ends_the_stream_that_was_to_go_on() {
    let (mut stage, _alpha, _) = house(Vec::new()).await;
    let mut peer = both_ways(&stage).await;
    let id = enabled(&mut peer).await;
    let mut inside = stage.inside(At::Established).await;
    inside.send(&to_alpha("1")).await;
    peer.expect(ns::SERVER, "message").await;
    drop(peer);
    alone(&stage).await;
    let mut peer = both_ways(&stage).await;
    let error = resume(&mut peer, &id, 2).await;
    assert_eq!(error.condition(), Some("undefined-condition"));
    let too_high = error.child(ns::SM, "handled-count-too-high").unwrap();
    assert_eq!(too_high.attribute("h"), Some("2"));
    assert_eq!(too_high.attribute("send-count"), Some("1"));
    // Nobody will ever say what became of it.
    let bounced = stage.org_gets().await;
    assert_eq!(
        bounced.stanza_error(),
        Some(("remote-server-timeout", "wait"))
    );
    not_there(&mut both_ways(&stage).await, &id).await;
}

#[tokio::test]
async fn sm_01_a_stream_that_was_closed_is_over() {
    let (stage, _alpha, _) = house(Vec::new()).await;
    let mut peer = again(&stage).await;
    let closed = enabled(&mut peer).await;
    peer.close().await;
    // Closed by the gateway, for a fault of the peer's.
    let mut peer = again(&stage).await;
    let refused = enabled(&mut peer).await;
    peer.send(ENABLE).await;
    peer.refused("policy-violation").await;
    for id in [closed, refused] {
        not_there(&mut again(&stage).await, &id).await;
    }
}

#[tokio::test]
async fn sm_01_who_takes_a_stream_up_while_its_connection_lives_ends_that() {
    let (mut stage, _alpha, _) = house(Vec::new()).await;
    let mut first = again(&stage).await;
    let id = enabled(&mut first).await;
    first.send(&to_org("1")).await;
    stage.org_gets().await;
    let mut second = again(&stage).await;
    assert_eq!(resumed(&mut second, &id, 0).await, "1");
    first.refused("conflict").await;
    // And once more.
    let mut third = again(&stage).await;
    assert_eq!(resumed(&mut third, &id, 0).await, "1");
    second.refused("conflict").await;
    third.send(&to_org("2")).await;
    assert_eq!(stage.org_gets().await.attribute("id"), Some("2"));
}

#[tokio::test]
async fn sm_01_a_lost_stream_is_kept_for_so_long_and_what_waits_goes_back() {
    let keys = vec![("timeouts", "resumption = 1".to_owned())];
    let (mut stage, _alpha, _) = house(keys).await;
    let mut peer = both_ways(&stage).await;
    peer.send("<enable xmlns='urn:xmpp:sm:3' resume='true' max='600'/>")
        .await;
    let enabled = peer.expect(ns::SM, "enabled").await;
    assert_eq!(enabled.attribute("max"), Some("1"));
    let mut inside = stage.inside(At::Established).await;
    inside.send(&to_alpha("1")).await;
    peer.expect(ns::SERVER, "message").await;
    drop(peer);
    let bounced = stage.org_gets().await;
    assert_eq!(bounced.attribute("id"), Some("1"));
    assert_eq!(
        bounced.stanza_error(),
        Some(("remote-server-timeout", "wait"))
    );
    let id = enabled.attribute("id").unwrap();
    not_there(&mut both_ways(&stage).await, id).await;
}

#[tokio::test]
async fn sm_01_a_partner_that_is_one_no_more_loses_its_lost_streams() {
    let (mut stage, _alpha, _) = house(Vec::new()).await;
    let mut peer = both_ways(&stage).await;
    let id = enabled(&mut peer).await;
    let mut inside = stage.inside(At::Established).await;
    inside.send(&to_alpha("1")).await;
    peer.expect(ns::SERVER, "message").await;
    drop(peer);
    alone(&stage).await;
    stage.rewrite(|plan| plan.record = "bidi = false").await;
    assert_eq!(stage.org_gets().await.attribute("id"), Some("1"));
    stage.rewrite(|plan| plan.record = "").await;
    not_there(&mut both_ways(&stage).await, &id).await;
}

/// The next element that is a message, or says that nothing more comes.
async fn message(peer: &mut Peer) -> Node {
    loop {
        let element = peer.element().await;
        if element.is(ns::SERVER, "message") {
            return element;
        }
        assert!(element.is(ns::SM, "r"), "{element:?}");
    }
}

/// The gateway's stream to alpha.test, which has promised that it can be taken up, has taken three
/// messages, and acknowledged one.
async fn promised(stage: &Stage, alpha: &Listener, identity: &Identity) -> (Peer, Peer) {
    let mut inside = stage.inside(At::Established).await;
    inside.send(&to_alpha("1")).await;
    let show = Show::Certificate(identity);
    let mut peer = alpha.accept_established_with(&show, SM_FEATURE).await;
    let enable = peer.expect(ns::SM, "enable").await;
    assert_eq!(enable.attribute("resume"), Some("true"));
    peer.send("<enabled xmlns='urn:xmpp:sm:3' resume='true' id='the-stream' max='30'/>")
        .await;
    for n in ["1", "2", "3"] {
        if n != "1" {
            inside.send(&to_alpha(n)).await;
        }
        assert_eq!(message(&mut peer).await.attribute("id"), Some(n));
    }
    peer.send(&a(1)).await;
    stage
        .gateway
        .until("portcullis_stanzas_total", "delivered", 1.0)
        .await;
    (peer, inside)
}

/// The gateway's next connection, on which it asks for the stream.
async fn asked(alpha: &Listener, identity: &Identity) -> Peer {
    let show = Show::Certificate(identity);
    let mut peer = alpha.accept_established_with(&show, SM_FEATURE).await;
    let resume = peer.expect(ns::SM, "resume").await;
    assert_eq!(resume.attribute("previd"), Some("the-stream"));
    assert_eq!(resume.attribute("h"), Some("0"));
    peer
}

#[tokio::test]
async fn sm_01_the_gateway_goes_on_with_its_stream_where_the_peer_stands() {
    let (stage, alpha, identity) = house(Vec::new()).await;
    let (peer, mut inside) = promised(&stage, &alpha, &identity).await;
    drop(peer);
    let mut peer = asked(&alpha, &identity).await;
    inside.send(&to_alpha("4")).await;
    // Lost before it is decided: the gateway asks again.
    drop(peer);
    peer = asked(&alpha, &identity).await;
    peer.send("<resumed xmlns='urn:xmpp:sm:3' previd='the-stream' h='2'/>")
        .await;
    for n in ["3", "4"] {
        assert_eq!(message(&mut peer).await.attribute("id"), Some(n));
    }
    peer.send(&a(4)).await;
    stage
        .gateway
        .until("portcullis_stanzas_total", "delivered", 4.0)
        .await;
    // It stays one stream.
    drop(peer);
    inside.send(&to_alpha("5")).await;
    let mut peer = alpha
        .accept_established_with(&Show::Certificate(&identity), SM_FEATURE)
        .await;
    loop {
        let element = peer.element().await;
        if element.is(ns::SM, "resume") {
            let answer = "<resumed xmlns='urn:xmpp:sm:3' previd='the-stream' h='4'/>";
            peer.send(answer).await;
        } else if element.is(ns::SERVER, "message") {
            assert_eq!(element.attribute("id"), Some("5"));
            break;
        }
    }
}

#[tokio::test]
async fn sm_01_what_a_forgetful_peer_does_not_say_that_it_has_goes_back() {
    let (mut stage, alpha, identity) = house(Vec::new()).await;
    let (peer, mut inside) = promised(&stage, &alpha, &identity).await;
    drop(peer);
    let mut peer = asked(&alpha, &identity).await;
    peer.send(
        "<failed xmlns='urn:xmpp:sm:3' h='2'>\
         <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>",
    )
    .await;
    peer.expect(ns::SM, "enable").await;
    let bounced = stage.org_gets().await;
    assert_eq!(bounced.attribute("id"), Some("3"));
    assert_eq!(
        bounced.stanza_error(),
        Some(("remote-server-timeout", "wait"))
    );
    peer.send("<enabled xmlns='urn:xmpp:sm:3'/>").await;
    inside.send(&to_alpha("4")).await;
    assert_eq!(message(&mut peer).await.attribute("id"), Some("4"));
    peer.send(&a(1)).await;
    stage
        .gateway
        .until("portcullis_stanzas_total", "delivered", 3.0)
        .await;
}

#[tokio::test]
async fn sm_01_a_peer_that_resumes_what_was_never_sent_is_refused() {
    let (mut stage, alpha, identity) = house(Vec::new()).await;
    let (peer, _inside) = promised(&stage, &alpha, &identity).await;
    drop(peer);
    let mut peer = asked(&alpha, &identity).await;
    peer.send("<resumed xmlns='urn:xmpp:sm:3' previd='the-stream' h='4'/>")
        .await;
    let error = peer.error("undefined-condition").await;
    let too_high = error.child(ns::SM, "handled-count-too-high").unwrap();
    assert_eq!(too_high.attribute("send-count"), Some("3"));
    for n in ["2", "3"] {
        assert_eq!(stage.org_gets().await.attribute("id"), Some(n));
    }
}

#[tokio::test]
async fn sm_01_the_gateway_does_not_go_on_with_a_stream_that_was_closed() {
    let (mut stage, alpha, identity) = house(Vec::new()).await;
    let (mut peer, mut inside) = promised(&stage, &alpha, &identity).await;
    peer.send("</stream:stream>").await;
    while peer.next().await != Part::Close {}
    drop(peer);
    for n in ["2", "3"] {
        assert_eq!(stage.org_gets().await.attribute("id"), Some(n));
    }
    inside.send(&to_alpha("4")).await;
    let show = Show::Certificate(&identity);
    let mut peer = alpha.accept_established_with(&show, SM_FEATURE).await;
    peer.expect(ns::SM, "enable").await;
    assert_eq!(message(&mut peer).await.attribute("id"), Some("4"));
}
