use super::*;
use crate::error::{ErrorType, StanzaCondition};

const FEATURES_TLS: &str = "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>";
const FEATURES_EXTERNAL: &str = "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
    <mechanism>EXTERNAL</mechanism></mechanisms><dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback></stream:features>";
const FEATURES_LAST: &str = "<stream:features><dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback></stream:features>";
const PROCEED: &str = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
const TLS_FAILURE: &str = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
const SUCCESS: &str = "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";

fn alpha(id: &str) -> String {
    header(&format!(
        "from='alpha.test' to='org.test' id='{id}' version='1.0' xml:lang='en'"
    ))
}

fn error(condition: &str) -> String {
    format!(
        "<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
    )
}

fn direct() -> Start {
    Start::Tls(tls(TlsMode::Direct, Some("alpha.test")))
}

fn stream(start: Start) -> Outbound {
    let settings = OutboundSettings {
        limits: limits(),
        direction: Direction::Outbound,
        address: None,
        local: domain("org.test"),
        remote: domain("alpha.test"),
        terms: Terms::CERTIFICATE,
        secret: Secret::new("s3cr3t"),
        purpose: Purpose::Stanzas,
        idle_seconds: None,
    };
    Outbound::new(settings, start)
}

fn drain(
    stream: &mut Outbound,
    answers: &Answers,
    outcome: &mut Outcome,
    failure: &mut Option<OutboundFailure>,
) {
    while let Some(action) = stream.next() {
        match action {
            OutboundAction::Send(bytes) => outcome
                .sent
                .push_str(&brief(std::str::from_utf8(&bytes).unwrap())),
            OutboundAction::StartTls { server_name } => {
                outcome.sent.push_str("[TLS]");
                outcome.events.push(format!("tls {server_name}"));
                assert_eq!(stream.phase(), Phase::Handshake);
                stream.tls_established(tls(TlsMode::StartTls, Some("alpha.test")));
            }
            OutboundAction::Ask(question) => {
                outcome.events.push(describe(&question));
                assert!(stream.next().is_none(), "nothing happens before the answer");
                stream.answer(answers.to(&question));
            }
            OutboundAction::Established(peer) => {
                outcome.events.push(format!(
                    "established {} -> {} {}",
                    peer.local, peer.remote, peer.stream_id
                ));
                assert_eq!(stream.phase(), Phase::Established);
            }
            OutboundAction::Stanza(stanza) => outcome
                .events
                .push(format!("stanza {}", stanza.stanza().to_xml())),
            OutboundAction::BadStanza { fault, .. } => outcome
                .events
                .push(format!("bad {}", fault.error.condition)),
            OutboundAction::Management(nonza) => outcome.events.push(format!("{nonza:?}")),
            OutboundAction::FallingBack(why) => outcome.events.push(format!("falls back: {why}")),
            OutboundAction::Verified(verified) => outcome.events.push(format!("{verified:?}")),
            OutboundAction::Failed(why) => {
                outcome.events.push(format!("failed: {why}"));
                *failure = Some(why);
                assert_eq!(stream.phase(), Phase::Closed);
            }
            OutboundAction::Closed(end) => {
                outcome.events.push(format!("closed: {end}"));
                assert_eq!(stream.phase(), Phase::Closed);
            }
        }
    }
}

fn once(
    start: Start,
    answers: &Answers,
    script: &[In],
    pieces: Pieces,
) -> (Outcome, Option<OutboundFailure>) {
    let mut stream = stream(start);
    let mut outcome = Outcome::default();
    let mut failure = None;
    drain(&mut stream, answers, &mut outcome, &mut failure);
    for step in script {
        match step {
            In::Bytes(text) => {
                for piece in pieces.cut(text.as_bytes()) {
                    stream.receive(piece);
                    drain(&mut stream, answers, &mut outcome, &mut failure);
                }
            }
            In::Eof => stream.eof(),
            In::Close(error) => stream.close(error.clone()),
            In::TlsFailed => stream.tls_failed("alert"),
        }
        drain(&mut stream, answers, &mut outcome, &mut failure);
    }
    (outcome, failure)
}

#[track_caller]
fn play_with(start: Start, answers: &Answers, script: &[In]) -> (Outcome, Option<OutboundFailure>) {
    let whole = once(start.clone(), answers, script, Pieces::Whole);
    let bytes = once(start, answers, script, Pieces::Bytes);
    assert_eq!(whole, bytes, "how bytes are cut must not matter");
    whole
}

#[track_caller]
fn play(start: Start, script: &[In]) -> Outcome {
    play_with(start, &Answers::yes(), script).0
}

#[track_caller]
fn failure(start: Start, script: &[In]) -> (Outcome, OutboundFailure) {
    let (outcome, failure) = play_with(start, &Answers::yes(), script);
    let failure = failure.unwrap_or_else(|| panic!("it did not fail: {outcome:#?}"));
    (outcome, failure)
}

#[track_caller]
fn row(failure: &OutboundFailure, condition: StanzaCondition, error_type: ErrorType) {
    let error = failure.stanza_error();
    assert_eq!(
        (error.condition, error.error_type),
        (condition, error_type),
        "{failure}"
    );
    assert_eq!(error.text, Some(failure.to_string()));
}

/// Table 4b: something has to change before a second try makes sense.
#[track_caller]
fn row_refused(failure: &OutboundFailure) {
    row(
        failure,
        StanzaCondition::RemoteServerTimeout,
        ErrorType::Cancel,
    );
}

/// Everything up to the established stream, then the script.
#[track_caller]
fn established(script: &[In]) -> Outcome {
    let mut all = vec![
        bytes(&format!("{}{FEATURES_EXTERNAL}", alpha("p1"))),
        bytes(SUCCESS),
        bytes(&format!("{}{FEATURES_LAST}", alpha("p2"))),
    ];
    all.extend_from_slice(script);
    let outcome = play(direct(), &all);
    assert_eq!(
        outcome.events[2], "established org.test -> alpha.test p2",
        "{outcome:#?}"
    );
    outcome
}

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

#[test]
fn sasl_02_without_external_there_is_no_stream() {
    let plain = FEATURES_EXTERNAL.replace("EXTERNAL", "PLAIN");
    for features in [FEATURES_LAST, "<stream:features/>", &plain] {
        let (outcome, why) = failure(direct(), &[bytes(&alpha("p1")), bytes(features)]);
        assert_eq!(why, OutboundFailure::NoExternal);
        assert!(outcome.sent.ends_with("</stream:stream>"));
        row_refused(&why);
    }
}

#[test]
fn sasl_08_a_refused_authentication_ends_the_stream() {
    for (condition, error_type) in [
        ("not-authorized", ErrorType::Cancel),
        ("invalid-authzid", ErrorType::Cancel),
        ("temporary-auth-failure", ErrorType::Wait),
    ] {
        let refusal = format!(
            "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><{condition}/><text>no</text></failure>"
        );
        let (outcome, why) = failure(
            direct(),
            &[
                bytes(&alpha("p1")),
                bytes(FEATURES_EXTERNAL),
                bytes(&refusal),
            ],
        );
        assert_eq!(
            why.to_string(),
            format!("the server refused our authentication: {condition} (no)")
        );
        assert!(outcome.sent.ends_with("</auth></stream:stream>"));
        row(&why, StanzaCondition::RemoteServerTimeout, error_type);
    }
}

#[test]
fn sasl_10_nothing_is_established_before_the_last_features() {
    let script = [
        bytes(&alpha("p1")),
        bytes(FEATURES_EXTERNAL),
        bytes(SUCCESS),
        bytes(&alpha("p2")),
    ];
    assert_eq!(play(direct(), &script).last(), "prove? alpha.test");
}

#[test]
fn sasl_10_the_last_features_are_empty_or_voluntary() {
    for (features, good) in [
        ("<stream:features/>", true),
        (FEATURES_LAST, true),
        (
            "<stream:features><sm xmlns='urn:xmpp:sm:3'/><bidi xmlns='urn:xmpp:features:bidi'/></stream:features>",
            true,
        ),
        (
            "<stream:features><sm xmlns='urn:xmpp:sm:3'><optional/></sm></stream:features>",
            true,
        ),
        (
            "<stream:features><tax xmlns='urn:x'><required/></tax></stream:features>",
            false,
        ),
        (FEATURES_EXTERNAL, false),
        (FEATURES_TLS, false),
    ] {
        let script = [
            bytes(&alpha("p1")),
            bytes(FEATURES_EXTERNAL),
            bytes(SUCCESS),
            bytes(&alpha("p2")),
            bytes(features),
        ];
        if good {
            assert_eq!(
                play(direct(), &script).last(),
                "established org.test -> alpha.test p2"
            );
        } else {
            let (outcome, why) = failure(direct(), &script);
            outcome.closes_with("unsupported-feature");
            row_refused(&why);
        }
    }
}

#[test]
fn a_peer_that_our_policy_refuses() {
    let answers = Answers {
        admit: Err(policy()),
        ..Answers::yes()
    };
    let script = [
        bytes(&alpha("p1")),
        bytes(FEATURES_EXTERNAL),
        bytes(SUCCESS),
        bytes(&alpha("p2")),
        bytes(FEATURES_LAST),
    ];
    let (outcome, why) = play_with(direct(), &answers, &script);
    outcome.closes_with("policy-violation");
    row(
        &why.unwrap(),
        StanzaCondition::NotAllowed,
        ErrorType::Cancel,
    );
}

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
fn features_that_turn_up_later_ask_for_a_new_stream() {
    established(&[bytes(FEATURES_LAST)]).closes_with("reset");
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
