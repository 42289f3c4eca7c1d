//! How a stream ends: by the peer, by us, by the network.

use super::*;

#[test]
fn tls_11_the_peer_closes_and_is_answered() {
    let outcome = established(&[bytes("</stream:stream>")]);
    assert!(outcome.sent.ends_with("</stream:features></stream:stream>"));
    assert_eq!(outcome.last(), "close: closed");
}

#[test]
fn tls_11_we_close_and_listen_until_the_peer_has_closed() {
    let outcome = established(&[In::Close(None), bytes(MESSAGE), bytes("</stream:stream>")]);
    assert!(outcome.sent.ends_with("</stream:features></stream:stream>"));
    assert!(outcome.events[4].starts_with("stanza "), "{outcome:#?}");
    assert_eq!(outcome.last(), "close: closed");
    let outcome = established(&[
        In::Close(None),
        bytes("<presence/>"),
        bytes(MESSAGE),
        bytes("</stream:stream>"),
    ]);
    assert_eq!(
        outcome.events[4..],
        ["close: closed"],
        "after a fault nothing counts"
    );
}

#[test]
fn tls_11_the_driver_ends_the_wait() {
    let outcome = established(&[In::Close(None), In::Close(None)]);
    assert_eq!(
        outcome.last(),
        "close: the connection ended without a closing tag"
    );
    let outcome = established(&[In::Close(Some(policy())), bytes(MESSAGE), In::Close(None)]);
    outcome.closes_with("policy-violation");
    assert_eq!(
        outcome.events[4..],
        ["close: closed by us: policy-violation (not on the list)"]
    );
}

#[test]
fn tls_11_a_truncated_stream_is_told_from_a_closed_one() {
    for cut in [
        "",
        "<message from='romeo@alpha.test' to='juliet@org.test'><body>transfer 100",
    ] {
        let outcome = established(&[bytes(cut), In::Eof]);
        assert_eq!(
            outcome.events[4..],
            ["close: the connection ended without a closing tag"]
        );
    }
    let outcome = established(&[In::TlsFailed]);
    assert_eq!(outcome.last(), "close: the TLS handshake failed: alert");
    assert!(!outcome.sent.contains("</stream:stream>"));
}

#[test]
fn the_end_of_the_connection_comes_after_what_was_received() {
    let outcome = established(&[bytes(&format!("{MESSAGE}</stream:stream>")), In::Eof]);
    assert!(outcome.events[4].starts_with("stanza "));
    assert_eq!(outcome.events[5..], ["close: closed"]);
}

#[test]
fn a_received_stream_error_ends_the_stream() {
    let error = "<stream:error><not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
        <text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>Your server's certificate is not valid for this name</text></stream:error>";
    let outcome = play(direct(), &[bytes(&alpha()), bytes(error)]);
    assert_eq!(
        outcome.last(),
        "close: closed by the peer: not-authorized (Your server's certificate is not valid for this name)"
    );
    assert!(outcome.sent.ends_with("</stream:features></stream:stream>"));
    let outcome = established(&[bytes(error), bytes("</stream:stream>")]);
    assert!(
        outcome
            .last()
            .starts_with("close: closed by the peer: not-authorized")
    );
}

#[test]
fn the_driver_may_close_at_any_time() {
    let scripts: [&[In]; 4] = [
        &[bytes(&alpha())],
        &[bytes(&alpha()), bytes(STARTTLS), bytes(&alpha())],
        &[
            bytes(&alpha()),
            bytes(STARTTLS),
            bytes(&alpha()),
            bytes(AUTH),
        ],
        &[
            bytes(&alpha()),
            bytes(STARTTLS),
            bytes(&alpha()),
            bytes(AUTH),
            bytes(&alpha()),
        ],
    ];
    for script in scripts {
        let mut script = script.to_vec();
        script.push(In::Close(Some(StreamError::new(
            StreamCondition::SystemShutdown,
        ))));
        let outcome = play(Start::Plain, &script);
        let last = outcome.sent.rsplit("[TLS]").next().unwrap();
        assert!(last.starts_with("<HEADER"), "{outcome:#?}");
        outcome.closes_with("system-shutdown");
        script.extend([bytes("</stream:stream>"), In::Eof]);
        assert_eq!(
            play(Start::Plain, &script).last(),
            "close: closed by us: system-shutdown"
        );
    }
    let silent = play(Start::Plain, &[In::Close(Some(policy()))]);
    assert_eq!(silent.sent, "", "nobody has spoken yet");
    assert_eq!(silent.last(), "close: given up before the stream was open");
}

#[test]
fn an_answer_after_the_end_or_to_another_question_opens_nothing() {
    let mut stream = stream(direct());
    stream.receive(alpha().as_bytes());
    assert!(matches!(
        stream.next(),
        Some(InboundAction::Ask(Question::Open { .. }))
    ));
    stream.answer(Answer::Prove(Ok(Proof::Pkix)));
    let Some(InboundAction::Send(sent)) = stream.next() else {
        panic!()
    };
    assert!(
        String::from_utf8(sent)
            .unwrap()
            .contains("internal-server-error")
    );
    stream.answer(Answer::Open(Ok(Terms::CERTIFICATE)));
    assert!(stream.next().is_none());
    assert_eq!(stream.phase(), Phase::Closing);
}
