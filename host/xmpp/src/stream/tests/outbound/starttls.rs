//! STARTTLS, the handshake, and the certificate that it shows.

use super::*;

#[test]
fn tls_02_a_stripped_offer_does_not_deter_us() {
    for features in [
        "<stream:features/>",
        FEATURES_LAST,
        FEATURES_EXTERNAL,
        "<stream:features><compression xmlns='http://jabber.org/features/compress'><method>zlib</method></compression></stream:features>",
    ] {
        let outcome = play(Start::Plain, &[bytes(&alpha("p1")), bytes(features)]);
        assert!(
            outcome
                .sent
                .ends_with("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
            "V04: {outcome:#?}"
        );
        let script = [bytes(&alpha("p1")), bytes(features), bytes(PROCEED)];
        assert_eq!(play(Start::Plain, &script).last(), "tls alpha.test");
        for refusal in [TLS_FAILURE.to_owned(), error("unsupported-stanza-type")] {
            let (outcome, why) = failure(
                Start::Plain,
                &[bytes(&alpha("p1")), bytes(features), bytes(&refusal)],
            );
            assert_eq!(why, OutboundFailure::NoStartTls);
            assert!(
                !outcome.sent.contains("auth"),
                "nothing else is said in the clear: {outcome:#?}"
            );
            row_refused(&why);
        }
        let (_, why) = failure(
            Start::Plain,
            &[bytes(&alpha("p1")), bytes(features), In::Eof],
        );
        assert_eq!(why, OutboundFailure::NoStartTls);
    }
}

#[test]
fn v03_bytes_behind_proceed_end_the_connection() {
    for smuggled in [FEATURES_EXTERNAL, &alpha("p2"), "\n"] {
        for pieces in [Pieces::Whole, Pieces::Bytes] {
            let mut stream = stream(Start::Plain);
            let mut events = Vec::new();
            let script = format!("{}{FEATURES_TLS}{PROCEED}{smuggled}", alpha("p1"));
            for piece in pieces.cut(script.as_bytes()) {
                stream.receive(piece);
                while let Some(action) = stream.next() {
                    events.push(format!("{action:?}"));
                }
            }
            assert_eq!(
                events.last().unwrap(),
                "Failed(NoTls(Injection))",
                "{pieces:?}"
            );
        }
    }
}

#[test]
fn tls_04_the_peer_refuses_tls() {
    let (outcome, why) = failure(
        Start::Plain,
        &[bytes(&alpha("p1")), bytes(FEATURES_TLS), bytes(TLS_FAILURE)],
    );
    assert_eq!(why, OutboundFailure::TlsRefused);
    assert!(outcome.sent.ends_with("</stream:stream>"));
    row_refused(&why);
}

#[test]
fn tls_04_after_a_failed_handshake_nothing_is_sent() {
    let mut stream = stream(Start::Plain);
    stream.receive(format!("{}{FEATURES_TLS}{PROCEED}", alpha("p1")).as_bytes());
    while stream.next().is_some() {}
    assert_eq!(stream.phase(), Phase::Handshake);
    stream.tls_failed("unknown issuer");
    let Some(OutboundAction::Failed(why)) = stream.next() else {
        panic!()
    };
    assert_eq!(why.to_string(), "the TLS handshake failed: unknown issuer");
    row_refused(&why);
    assert!(stream.next().is_none());
}

#[test]
fn an_alert_after_our_side_of_the_handshake_is_a_tls_failure() {
    let (outcome, why) = failure(direct(), &[In::TlsFailed]);
    assert_eq!(
        why,
        OutboundFailure::NoTls(NoTls::Handshake("alert".into()))
    );
    assert!(!outcome.sent.contains("</stream"));
}

#[test]
fn tls_06_starttls_after_tls_is_passed_over() {
    let both = FEATURES_EXTERNAL.replace(
        "<mechanisms",
        "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><mechanisms",
    );
    assert!(
        play(direct(), &[bytes(&alpha("p1")), bytes(&both)])
            .sent
            .ends_with("</auth>")
    );
}

#[test]
fn a_certificate_that_proves_nothing_is_refused_before_we_authenticate() {
    let answers = Answers {
        prove: Err("it is for beta.test".into()),
        ..Answers::yes()
    };
    let (outcome, why) = play_with(
        direct(),
        &answers,
        &[bytes(&alpha("p1")), bytes(FEATURES_EXTERNAL)],
    );
    outcome.closes_with("policy-violation");
    assert!(!outcome.sent.contains("<auth"));
    let why = why.unwrap();
    assert_eq!(
        why,
        OutboundFailure::CertificateRefused("it is for beta.test".into())
    );
    row_refused(&why);
}
