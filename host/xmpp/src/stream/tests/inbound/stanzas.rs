//! What comes on an established stream: from whom, to whom, how large.

use super::*;

#[test]
fn adr_01_addresses_are_there_and_valid() {
    for stanza in [
        "<message to='juliet@org.test'/>",
        "<message from='romeo@alpha.test'/>",
        "<message from='' to='juliet@org.test'/>",
        "<message from='@alpha.test' to='juliet@org.test'/>",
        "<message from='romeo@alpha.test' to='juliet@'/>",
    ] {
        established(&[bytes(stanza), bytes(MESSAGE)]).closes_with("improper-addressing");
    }
}

#[test]
fn adr_02_a_foreign_from_closes_the_stream() {
    for from in [
        "mallory@beta.test",
        "romeo@sub.alpha.test",
        "juliet@org.test",
        "test",
        "a@alpha.test.evil.test",
    ] {
        let outcome = established(&[
            bytes(&format!("<message from='{from}' to='juliet@org.test'/>")),
            bytes(MESSAGE),
        ]);
        outcome.closes_with("invalid-from");
        assert_eq!(
            outcome.events.len(),
            4,
            "neither this stanza nor the next counts: {outcome:#?}"
        );
    }
    let outcome = established(&[bytes(
        "<message from='romeo@ALPHA.test' to='juliet@ORG.test.'/>",
    )]);
    assert!(
        outcome.last().starts_with("stanza"),
        "the same domain in another spelling: {outcome:#?}"
    );
}

#[test]
fn adr_02_bad_stanzas_of_others_are_not_answered() {
    let outcome = established(&[bytes(
        "<iq type='nonsense' id='1' from='mallory@beta.test' to='juliet@org.test'/>",
    )]);
    outcome.closes_with("invalid-from");
    let outcome = established(&[bytes(
        "<iq type='nonsense' id='1' from='romeo@alpha.test' to='x@beta.test'/>",
    )]);
    outcome.closes_with("host-unknown");
}

#[test]
fn adr_03_another_recipient_closes_the_stream() {
    for to in [
        "juliet@beta.test",
        "room@conference.org.test",
        "romeo@alpha.test",
    ] {
        let outcome = established(&[
            bytes(&format!("<message from='romeo@alpha.test' to='{to}'/>")),
            bytes(MESSAGE),
        ]);
        outcome.closes_with("host-unknown");
        assert_eq!(outcome.events.len(), 4, "{outcome:#?}");
    }
}

#[test]
fn adr_04_nobody_claims_to_be_us() {
    let ourselves = header("from='org.test' to='org.test' version='1.0'");
    let outcome = play(Start::Plain, &[bytes(&ourselves)]);
    outcome.closes_with("invalid-from");
    assert!(outcome.events.is_empty());
    // Any other domain of ours: the driver knows, and says so when it is asked.
    let inside = header("from='conference.org.test' to='org.test' version='1.0'");
    let answers = Answers {
        open: Err(StreamError::new(StreamCondition::InvalidFrom)),
        ..Answers::yes()
    };
    play_with(Start::Plain, None, answers, &[bytes(&inside)]).closes_with("invalid-from");
}

#[test]
fn adr_06_a_bad_stanza_is_answered_and_the_stream_goes_on() {
    let outcome = established(&[
        bytes("<iq type='get' id='1' from='romeo@alpha.test' to='org.test'/>"),
        bytes(MESSAGE),
    ]);
    assert!(
        outcome.events[4].starts_with("bad bad-request <iq "),
        "{outcome:#?}"
    );
    assert!(outcome.events[5].starts_with("stanza"), "{outcome:#?}");
}

#[test]
fn first_level_elements_that_have_no_place_close_the_stream() {
    for (element, condition) in [
        (
            "<message xmlns='jabber:client' from='romeo@alpha.test' to='juliet@org.test'/>",
            "invalid-namespace",
        ),
        ("<x xmlns='urn:x'/>", "unsupported-stanza-type"),
        (
            "<message xmlns='urn:x' from='romeo@alpha.test' to='juliet@org.test'/>",
            "unsupported-stanza-type",
        ),
        ("<foo/>", "unsupported-stanza-type"),
        (
            "<db:foo from='gamma.test' to='org.test'/>",
            "unsupported-stanza-type",
        ),
        ("<bidi xmlns='urn:xmpp:bidi'/>", "unsupported-stanza-type"),
        ("<enable xmlns='urn:xmpp:sm:3'/>", "unsupported-stanza-type"),
        (AUTH, "unsupported-stanza-type"),
        ("<!-- x -->", "restricted-xml"),
        ("text", "bad-format"),
    ] {
        let outcome = established(&[bytes(element), bytes(MESSAGE)]);
        outcome.closes_with(condition);
        assert_eq!(outcome.events.len(), 4, "{outcome:#?}");
    }
}

#[test]
fn whitespace_keeps_a_stream_alive() {
    let outcome = established(&[bytes(" "), bytes("\n\n"), bytes(MESSAGE)]);
    assert!(outcome.last().starts_with("stanza"));
}

#[test]
fn the_small_limit_holds_until_authentication() {
    let big = format!(
        "<message from='romeo@alpha.test' to='juliet@org.test'><body>{}</body></message>",
        "x".repeat(20_000)
    );
    let outcome = play(direct(), &[bytes(&alpha()), bytes(&big)]);
    outcome.closes_with("policy-violation");
    assert!(
        outcome
            .sent
            .contains("<stanza-too-big xmlns='urn:xmpp:errors'/>")
    );
    assert!(established(&[bytes(&big)]).last().starts_with("stanza"));
}
