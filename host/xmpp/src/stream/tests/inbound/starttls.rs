//! STARTTLS, and what stands in the clear beside it.

use super::*;

#[test]
fn tls_01_starttls_is_required_and_stands_alone() {
    let outcome = play(Start::Plain, &[bytes(&alpha())]);
    assert!(outcome.sent.ends_with(
        "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>"
    ));
}

#[test]
fn v03_bytes_behind_starttls_end_the_connection() {
    for smuggled in [AUTH, MESSAGE, " ", &alpha()] {
        for (pieces, told) in [(Pieces::Whole, true), (Pieces::Bytes, false)] {
            let mut stream = stream(Start::Plain);
            let mut outcome = Outcome::default();
            stream.receive(alpha().as_bytes());
            drain(&mut stream, &Answers::yes(), None, &mut outcome);
            // No handshake here: what comes now comes in the clear.
            for piece in pieces.cut(format!("{STARTTLS}{smuggled}").as_bytes()) {
                stream.receive(piece);
                while let Some(action) = stream.next() {
                    match action {
                        InboundAction::Send(bytes) => {
                            outcome.sent.push_str(std::str::from_utf8(&bytes).unwrap())
                        }
                        InboundAction::StartTls { .. } => {}
                        action => outcome.events.push(format!("{action:?}")),
                    }
                }
            }
            assert_eq!(outcome.last(), "Close(NoTls(Injection))", "{smuggled:?}");
            assert_eq!(
                outcome.sent.contains("<failure"),
                told,
                "TLS-04: {outcome:#?}"
            );
            assert!(!outcome.sent.contains("EXTERNAL"));
        }
    }
}

#[test]
fn tls_03_nothing_from_the_clear_is_read_after_tls() {
    let mut stream = stream(Start::Plain);
    let mut outcome = Outcome::default();
    stream.receive(alpha().as_bytes());
    drain(&mut stream, &Answers::yes(), None, &mut outcome);
    stream.receive(STARTTLS.as_bytes());
    drain(&mut stream, &Answers::yes(), None, &mut outcome);
    stream.receive(MESSAGE.as_bytes());
    drain(&mut stream, &Answers::yes(), None, &mut outcome);
    outcome.closes_with("invalid-namespace");
}

#[test]
fn tls_04_after_a_failed_handshake_nothing_is_sent() {
    let mut stream = stream(Start::Plain);
    stream.receive(format!("{}{STARTTLS}", alpha()).as_bytes());
    while let Some(action) = stream.next() {
        if let InboundAction::Ask(question) = action {
            stream.answer(Answers::yes().to(&question));
        }
    }
    assert_eq!(stream.phase(), Phase::Handshake);
    stream.tls_failed("no shared cipher");
    assert!(matches!(
        stream.next(),
        Some(InboundAction::Close(StreamEnd::NoTls(NoTls::Handshake(_))))
    ));
    assert!(stream.next().is_none());
}

#[test]
fn tls_06_no_starttls_after_tls() {
    play(direct(), &[bytes(&alpha()), bytes(STARTTLS)]).closes_with("unsupported-stanza-type");
}

#[test]
fn v04_nothing_but_starttls_works_in_the_clear() {
    for (element, condition) in [
        (MESSAGE, "not-authorized"),
        (
            "<compress xmlns='http://jabber.org/protocol/compress'><method>zlib</method></compress>",
            "unsupported-stanza-type",
        ),
        ("<message xmlns='jabber:client'/>", "invalid-namespace"),
        ("<stream:features/>", "unsupported-stanza-type"),
    ] {
        play(Start::Plain, &[bytes(&alpha()), bytes(element)]).closes_with(condition);
    }
    let outcome = play(
        Start::Plain,
        &[bytes(&alpha()), bytes(AUTH), bytes(STARTTLS)],
    );
    assert!(outcome.sent.contains(
        "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><encryption-required/></failure>"
    ));
    assert_eq!(
        outcome.last(),
        "tls org.test",
        "the peer may still do it right"
    );
}
