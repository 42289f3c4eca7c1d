//! How a stream of ours fails or ends, and which row of the error table that is.

use super::*;

#[test]
fn received_stream_errors_are_rows_of_table_4b() {
    use ErrorType::{Cancel, Wait};
    use StanzaCondition::{RemoteServerNotFound, RemoteServerTimeout};
    // With the header of a server that does not know the domain (STR-03).
    let other = header("from='elsewhere.test' id='p1' version='1.0'");
    for (condition, expected, error_type) in [
        ("host-unknown", RemoteServerNotFound, Cancel),
        ("host-gone", RemoteServerNotFound, Cancel),
        ("policy-violation", RemoteServerTimeout, Cancel),
        ("not-authorized", RemoteServerTimeout, Cancel),
        ("something-new", RemoteServerTimeout, Cancel),
        ("system-shutdown", RemoteServerTimeout, Wait),
        ("resource-constraint", RemoteServerTimeout, Wait),
    ] {
        for start in [Start::Plain, direct()] {
            let (outcome, why) = failure(
                start,
                &[
                    bytes(&other),
                    bytes(&error(condition)),
                    bytes("</stream:stream>"),
                ],
            );
            row(&why, expected, error_type);
            assert!(outcome.sent.ends_with("</stream:stream>"));
        }
        let (_, why) = failure(
            direct(),
            &[
                bytes(&alpha("p1")),
                bytes(FEATURES_EXTERNAL),
                bytes(&error(condition)),
            ],
        );
        row(&why, expected, error_type);
    }
}

#[test]
fn a_peer_that_just_goes_may_come_back() {
    for end in [In::Eof, bytes("</stream:stream>")] {
        let (_, why) = failure(direct(), &[bytes(&alpha("p1")), end]);
        assert_eq!(why, OutboundFailure::Ended);
        row(&why, StanzaCondition::RemoteServerTimeout, ErrorType::Wait);
    }
    let (_, why) = failure(Start::Plain, &[In::Eof]);
    assert_eq!(why, OutboundFailure::Ended);
}

#[test]
fn a_peer_that_breaks_the_protocol() {
    let script = |text: &str| [bytes(&alpha("p1")), bytes(text)];
    failure(direct(), &script("<message/>"))
        .0
        .closes_with("not-authorized");
    failure(direct(), &script("<x xmlns='urn:x'/>"))
        .0
        .closes_with("unsupported-stanza-type");
    failure(direct(), &script("<!-- x -->"))
        .0
        .closes_with("restricted-xml");
    failure(direct(), &[bytes("HTTP/1.1 400 Bad Request")])
        .0
        .closes_with("bad-format");
    let challenge = [
        bytes(&alpha("p1")),
        bytes(FEATURES_EXTERNAL),
        bytes("<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"),
    ];
    failure(direct(), &challenge)
        .0
        .closes_with("unsupported-stanza-type");
}

#[test]
fn the_driver_gives_up() {
    let (outcome, why) = failure(direct(), &[bytes(&alpha("p1")), In::Close(Some(policy()))]);
    outcome.closes_with("policy-violation");
    assert_eq!(why, OutboundFailure::Abandoned);
    row(&why, StanzaCondition::RemoteServerTimeout, ErrorType::Wait);
    assert!(
        play(Start::Plain, &[In::Close(None)])
            .sent
            .ends_with("></stream:stream>")
    );
}

#[test]
fn stanzas_do_not_come_on_a_stream_that_we_opened() {
    let outcome = established(&[
        bytes("<message from='romeo@alpha.test' to='juliet@org.test'/>"),
        bytes("</stream:stream>"),
    ]);
    outcome.closes_with("not-authorized");
    assert!(
        outcome
            .last()
            .starts_with("closed: closed by us: not-authorized"),
        "{outcome:#?}"
    );
}

#[test]
fn tls_11_either_side_closes_an_established_stream() {
    let outcome = established(&[bytes("</stream:stream>")]);
    assert!(outcome.sent.ends_with("></stream:stream>"));
    assert_eq!(outcome.last(), "closed: closed");
    let outcome = established(&[In::Close(None), bytes("  "), bytes("</stream:stream>")]);
    assert_eq!(outcome.sent.matches("</stream:stream>").count(), 1);
    assert_eq!(outcome.last(), "closed: closed");
    for end in [In::Eof, In::Close(None)] {
        let outcome = established(&[In::Close(None), end]);
        assert_eq!(
            outcome.last(),
            "closed: the connection ended without a closing tag"
        );
    }
    assert_eq!(
        established(&[In::Eof]).last(),
        "closed: the connection ended without a closing tag"
    );
    assert_eq!(
        established(&[bytes(&error("system-shutdown"))]).last(),
        "closed: closed by the peer: system-shutdown"
    );
    let crossing = [
        In::Close(None),
        bytes(&error("reset")),
        bytes("</stream:stream>"),
    ];
    assert_eq!(
        established(&crossing).last(),
        "closed: closed by the peer: reset"
    );
}

#[test]
fn an_answer_to_another_question_opens_nothing() {
    let mut stream = stream(direct());
    stream.receive(format!("{}{FEATURES_EXTERNAL}", alpha("p1")).as_bytes());
    while !matches!(stream.next(), Some(OutboundAction::Ask(_))) {}
    stream.answer(Answer::Admit(Ok(())));
    assert!(matches!(stream.next(), Some(OutboundAction::Send(_))));
    assert!(matches!(
        stream.next(),
        Some(OutboundAction::Failed(OutboundFailure::Abandoned))
    ));
}
