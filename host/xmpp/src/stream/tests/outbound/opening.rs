//! From our first header to the established stream, and what headers must say.

use super::*;

#[test]
fn a_stream_by_starttls_from_header_to_established() {
    let outcome = play(
        Start::Plain,
        &[
            bytes(&alpha("p1")),
            bytes(FEATURES_TLS),
            bytes(PROCEED),
            bytes(&alpha("p2")),
            bytes(FEATURES_EXTERNAL),
            bytes(SUCCESS),
            bytes(&alpha("p3")),
            bytes(FEATURES_LAST),
        ],
    );
    assert_eq!(
        outcome.events,
        [
            "tls alpha.test",
            "prove? alpha.test",
            "admit? alpha.test -> org.test",
            "established org.test -> alpha.test p3"
        ]
    );
    assert_eq!(
        outcome.sent,
        "<HEADER from='org.test' to='alpha.test' version='1.0'>\
         <starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>[TLS]\
         <HEADER from='org.test' to='alpha.test' version='1.0'>\
         <auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>b3JnLnRlc3Q=</auth>\
         <HEADER from='org.test' to='alpha.test' version='1.0'>"
    );
}

#[test]
fn str_02_every_header_says_from_and_to() {
    let sent = established(&[]).sent;
    assert_eq!(
        sent.matches("<HEADER from='org.test' to='alpha.test' version='1.0'>")
            .count(),
        2
    );
    assert_eq!(sent.matches("<HEADER").count(), 2);
}

#[test]
fn str_04_we_send_no_id_and_need_one_of_the_peer() {
    assert!(!established(&[]).sent.contains(" id="));
    for id in ["", &"x".repeat(257)] {
        let script = [
            bytes(&alpha("p1")),
            bytes(FEATURES_EXTERNAL),
            bytes(SUCCESS),
            bytes(&alpha(id)),
            bytes(FEATURES_LAST),
        ];
        let (outcome, why) = failure(direct(), &script);
        outcome.closes_with("bad-format");
        row_refused(&why);
    }
}

#[test]
fn str_06_an_old_peer_cannot_be_spoken_to() {
    let old = header("from='alpha.test' id='p1'");
    let (outcome, why) = failure(direct(), &[bytes(&old)]);
    outcome.closes_with("unsupported-version");
    row_refused(&why);
    let (outcome, why) = failure(Start::Plain, &[bytes(&old), bytes(TLS_FAILURE)]);
    assert!(
        outcome
            .sent
            .ends_with("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>"),
        "TLS-02"
    );
    assert_eq!(why, OutboundFailure::NoStartTls);
}

#[test]
fn str_15_the_response_comes_from_the_domain_that_was_asked_for() {
    for from in ["from='beta.test'", "from='xmpp.alpha.test'", "from=''", ""] {
        let other = header(&format!("{from} to='org.test' id='p1' version='1.0'"));
        let (outcome, why) = failure(direct(), &[bytes(&other), bytes(FEATURES_EXTERNAL)]);
        outcome.closes_with("invalid-from");
        row_refused(&why);
        let script = [
            bytes(&alpha("p1")),
            bytes(FEATURES_EXTERNAL),
            bytes(SUCCESS),
            bytes(&other),
            bytes(FEATURES_LAST),
        ];
        let (outcome, _) = failure(direct(), &script);
        outcome.closes_with("invalid-from");
        let script = [bytes(&other), bytes(FEATURES_TLS), bytes(PROCEED)];
        assert_eq!(
            play(Start::Plain, &script).last(),
            "tls alpha.test",
            "in the clear it counts for nothing"
        );
    }
}
