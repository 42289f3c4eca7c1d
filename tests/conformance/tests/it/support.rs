//! What several files share: what is said between alpha.test and org.test, who plays alpha.test, and
//! tables of what is refused.

use std::time::Duration;

use portcullis_conformance::{At, Listener, Partner, Peer, Plan, Stage, bare, ns};
use portcullis_test_support::Identity;

pub(crate) const TO_ALPHA: &str =
    "<message from='a@org.test' to='b@alpha.test' id='1'><body>hello</body></message>";
pub(crate) const TO_ORG: &str =
    "<message from='b@alpha.test' to='a@org.test' id='1'><body>hello</body></message>";
pub(crate) const BIDI: &str = "<bidi xmlns='urn:xmpp:bidi'/>";
pub(crate) const SM_FEATURE: &str = "<sm xmlns='urn:xmpp:sm:3'/>";
/// Long enough that what should not come would have come.
pub(crate) const QUIET: Duration = Duration::from_millis(300);

/// A gateway, and alpha.test's own server, which the test plays: where, and as whom.
pub(crate) async fn playing_alpha(plan: Plan) -> (Stage, Listener, Identity) {
    let bare = bare();
    let alpha = Listener::bind().await;
    let identity = bare.pki.partner(&["alpha.test"]);
    let plan = Plan {
        alpha_at: Some(alpha.address),
        ..plan
    };
    (bare.start(plan).await, alpha, identity)
}

/// A partner that opens streams and cannot be reached itself.
pub(crate) fn unreachable(domain: &'static str, more: &'static str) -> Partner {
    Partner {
        domain,
        address: Some("127.0.0.1:1".parse().unwrap()),
        more,
    }
}

/// alpha.test's next connection, which goes both ways.
pub(crate) async fn both_ways(stage: &Stage) -> Peer {
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

/// What a peer says at some point of a stream, and the error that it is closed with.
pub(crate) struct Refusal(
    pub(crate) At,
    pub(crate) &'static str,
    pub(crate) &'static str,
);

/// Tries each row as alpha.test on the outer port: header, error, closing tag and end have to be just
/// so, and nothing may be left behind.
pub(crate) async fn refused_outside(stage: &Stage, rows: &[Refusal]) {
    for Refusal(at, said, condition) in rows {
        let mut peer = stage.outside(*at).await;
        peer.send(said).await;
        peer.refused(condition).await;
    }
    stage.gateway.at_rest().await;
}

/// The same, as org.test on the inner port.
pub(crate) async fn refused_inside(stage: &Stage, rows: &[Refusal]) {
    for Refusal(at, said, condition) in rows {
        let mut peer = stage.inside(*at).await;
        peer.send(said).await;
        peer.refused(condition).await;
    }
    stage.gateway.at_rest().await;
}

/// Both.
pub(crate) async fn refused(stage: &Stage, rows: &[Refusal]) {
    refused_outside(stage, rows).await;
    let mirrored: Vec<Refusal> = rows
        .iter()
        .map(|Refusal(at, said, condition)| Refusal(*at, mirror(said), condition))
        .collect();
    refused_inside(stage, &mirrored).await;
}

/// The same from inside: alpha.test and org.test change places.
fn mirror(said: &str) -> &'static str {
    let said = said.replace("alpha.test", "\u{0}");
    let said = said.replace("org.test", "alpha.test");
    Box::leak(said.replace('\u{0}', "org.test").into_boxed_str())
}

/// A header with these attributes.
macro_rules! header {
    ($attributes:literal) => {
        concat!(
            "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' ",
            $attributes,
            ">"
        )
    };
}
pub(crate) use header;
