//! SASL EXTERNAL, and who is let in.

use super::*;

#[test]
fn sasl_01_the_stream_restarts_after_success() {
    let outcome = play(direct(), &[bytes(&alpha()), bytes(AUTH), bytes(MESSAGE)]);
    outcome.closes_with("invalid-namespace");
    assert!(outcome.sent.contains("<HEADER id='s2'"));
    assert!(
        !outcome
            .events
            .iter()
            .any(|event| event.starts_with("stanza"))
    );
}

#[test]
fn sasl_02_external_is_offered_to_a_proven_peer_only() {
    let refused = Answers {
        prove: Err("the certificate has expired".into()),
        ..Answers::yes()
    };
    let outcome = play_with(direct(), None, refused, &[bytes(&alpha()), bytes(AUTH)]);
    outcome.closes_with("policy-violation");
    assert!(outcome.sent.contains("the certificate has expired"));
    assert!(!outcome.sent.contains("EXTERNAL") && !outcome.sent.contains("success"));
}

#[test]
fn sasl_03_without_an_initial_response_there_is_a_challenge() {
    let auth = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'/>";
    let response = "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";
    let outcome = play(
        direct(),
        &[
            bytes(&alpha()),
            bytes(auth),
            bytes(response),
            bytes(&alpha()),
        ],
    );
    assert!(
        outcome
            .sent
            .contains("<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/><success ")
    );
    assert_eq!(outcome.last(), "established alpha.test -> org.test s2");
}

#[test]
fn sasl_05_another_identity_ends_the_stream() {
    let beta =
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>YmV0YS50ZXN0</auth>";
    let outcome = play(direct(), &[bytes(&alpha()), bytes(beta), bytes(AUTH)]);
    assert!(outcome.sent.contains(
        "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><invalid-authzid/></failure>"
    ));
    outcome.closes_with("not-authorized");
}

#[test]
fn sasl_06_failures_are_told_and_counted() {
    let wrong =
        |inside: &str| format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' {inside}</auth>");
    for (auth, condition) in [
        (wrong("mechanism='PLAIN'>="), "invalid-mechanism"),
        (wrong(">="), "malformed-request"),
        (wrong("mechanism='EXTERNAL'>*"), "incorrect-encoding"),
        (
            "<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>".to_owned(),
            "aborted",
        ),
    ] {
        let outcome = play(
            direct(),
            &[bytes(&alpha()), bytes(&auth), bytes(AUTH), bytes(&alpha())],
        );
        let failure =
            format!("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><{condition}/></failure>");
        assert!(outcome.sent.contains(&failure), "{outcome:#?}");
        assert_eq!(
            outcome.last(),
            "established alpha.test -> org.test s2",
            "one more try is granted"
        );

        let outcome = play(
            direct(),
            &[bytes(&alpha()), bytes(&auth.repeat(5)), bytes(AUTH)],
        );
        assert_eq!(outcome.sent.matches("</failure>").count(), 5);
        outcome.closes_with("policy-violation");
    }
}

#[test]
fn sasl_07_a_stanza_before_authentication_is_not_processed() {
    for stanza in [MESSAGE, "<presence/>", "<iq type='get' id='1'/>"] {
        let outcome = play(direct(), &[bytes(&alpha()), bytes(stanza)]);
        outcome.closes_with("not-authorized");
        assert_eq!(outcome.events.len(), 2, "{outcome:#?}");
    }
}

#[test]
fn sasl_10_stanzas_are_taken_after_the_last_features_only() {
    let pipelined = format!("{}{MESSAGE}", alpha());
    let outcome = play(direct(), &[bytes(&alpha()), bytes(AUTH), bytes(&pipelined)]);
    assert!(outcome.events[3].starts_with("established"), "{outcome:#?}");
    assert!(outcome.events[4].starts_with("stanza"), "{outcome:#?}");
}

#[test]
fn a_peer_that_is_not_admitted_hears_of_no_success() {
    let answers = Answers {
        admit: Err(policy()),
        ..Answers::yes()
    };
    let outcome = play_with(
        direct(),
        None,
        answers,
        &[bytes(&alpha()), bytes(AUTH), bytes(&alpha())],
    );
    assert!(
        outcome.sent.contains(
            "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>"
        )
    );
    outcome.closes_with("policy-violation");
    assert!(!outcome.sent.contains("success"));
}

#[test]
fn a_peer_that_may_not_knock_is_told_why() {
    let answers = Answers {
        open: Err(policy()),
        ..Answers::yes()
    };
    for start in [Start::Plain, direct()] {
        let outcome = play_with(
            start,
            None,
            answers.clone(),
            &[bytes(&alpha()), bytes(STARTTLS)],
        );
        outcome.closes_with("policy-violation");
        assert!(
            outcome
                .sent
                .starts_with("<HEADER id='s1' from='org.test' to='alpha.test'")
        );
        assert!(outcome.sent.contains("not on the list"));
        assert_eq!(outcome.events, ["open? alpha.test -> org.test"]);
    }
}
