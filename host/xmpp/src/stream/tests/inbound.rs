use super::*;

const AUTH: &str =
    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>YWxwaGEudGVzdA==</auth>";
const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
const MESSAGE: &str =
    "<message from='romeo@alpha.test' to='juliet@org.test' type='chat'><body>hi</body></message>";

/// Prosody's, with its empty id.
fn alpha() -> String {
    header("from='alpha.test' to='org.test' id='' version='1.0' xml:lang='en'")
}

fn stream(start: Start) -> Inbound {
    let settings = InboundSettings {
        limits: limits(),
        direction: Direction::Inbound,
        address: None,
        fallback: Some(domain("org.test")),
        pairs: InboundSettings::PAIRS,
        idle_seconds: None,
    };
    let mut count = 0;
    let ids = Box::new(move || {
        count += 1;
        format!("s{count}")
    });
    Inbound::new(settings, ids, start)
}

fn direct() -> Start {
    Start::Tls(tls(TlsMode::Direct, Some("org.test")))
}

fn drain(stream: &mut Inbound, answers: &Answers, sni: Option<&str>, outcome: &mut Outcome) {
    while let Some(action) = stream.next() {
        match action {
            InboundAction::Send(bytes) => outcome
                .sent
                .push_str(&brief(std::str::from_utf8(&bytes).unwrap())),
            InboundAction::StartTls { to } => {
                outcome.sent.push_str("[TLS]");
                outcome.events.push(format!("tls {to}"));
                assert_eq!(stream.phase(), Phase::Handshake);
                stream.tls_established(tls(TlsMode::StartTls, sni));
            }
            InboundAction::Ask(question) => {
                outcome.events.push(describe(&question));
                assert!(stream.next().is_none(), "nothing happens before the answer");
                stream.answer(answers.to(&question));
            }
            InboundAction::Established(peer) => {
                outcome.events.push(format!(
                    "established {} -> {} {}",
                    peer.remote, peer.local, peer.stream_id
                ));
                assert_eq!(peer.method, Some(Method::External(Proof::Pkix)));
                assert_eq!(stream.phase(), Phase::Established);
            }
            InboundAction::Stanza(stanza) => outcome
                .events
                .push(format!("stanza {}", stanza.stanza().to_xml())),
            InboundAction::BadStanza { fault, .. } => {
                let reply = fault.reply.map_or("-".to_owned(), |reply| reply.to_xml());
                outcome
                    .events
                    .push(format!("bad {} {reply}", fault.error.condition));
            }
            InboundAction::Verify(asked) => outcome.events.push(format!(
                "verify {} -> {}",
                asked.originating, asked.receiving
            )),
            InboundAction::Management(nonza) => outcome.events.push(format!("{nonza:?}")),
            InboundAction::Close(end) => {
                outcome.events.push(format!("close: {end}"));
                assert_eq!(stream.phase(), Phase::Closed);
            }
        }
    }
}

fn once(
    start: Start,
    sni: Option<&str>,
    answers: &Answers,
    script: &[In],
    pieces: Pieces,
) -> Outcome {
    let mut stream = stream(start);
    let mut outcome = Outcome::default();
    for step in script {
        match step {
            In::Bytes(text) => {
                for piece in pieces.cut(text.as_bytes()) {
                    stream.receive(piece);
                    drain(&mut stream, answers, sni, &mut outcome);
                }
            }
            In::Eof => stream.eof(),
            In::Close(error) => stream.close(error.clone()),
            In::TlsFailed => stream.tls_failed("alert"),
        }
        drain(&mut stream, answers, sni, &mut outcome);
    }
    outcome
}

#[track_caller]
fn play_with(start: Start, sni: Option<&str>, answers: Answers, script: &[In]) -> Outcome {
    let whole = once(start.clone(), sni, &answers, script, Pieces::Whole);
    let bytes = once(start, sni, &answers, script, Pieces::Bytes);
    assert_eq!(whole, bytes, "how bytes are cut must not matter");
    whole
}

#[track_caller]
fn play(start: Start, script: &[In]) -> Outcome {
    play_with(start, None, Answers::yes(), script)
}

/// An established stream from alpha.test to org.test, then the script.
#[track_caller]
fn established(script: &[In]) -> Outcome {
    let mut all = vec![bytes(&alpha()), bytes(AUTH), bytes(&alpha())];
    all.extend_from_slice(script);
    let outcome = play(direct(), &all);
    assert_eq!(
        outcome.events[3], "established alpha.test -> org.test s2",
        "{outcome:#?}"
    );
    outcome
}

#[test]
fn a_stream_by_starttls_from_header_to_stanza() {
    let script = [
        bytes(&alpha()),
        bytes(STARTTLS),
        bytes(&alpha()),
        bytes(AUTH),
        bytes(&alpha()),
        bytes(MESSAGE),
    ];
    let outcome = play(Start::Plain, &script);
    assert_eq!(
        outcome.events,
        [
            "open? alpha.test -> org.test",
            "tls org.test",
            "prove? alpha.test",
            "admit? alpha.test -> org.test",
            "established alpha.test -> org.test s3",
            "stanza <message xmlns='jabber:server' from='romeo@alpha.test' to='juliet@org.test' type='chat' \
             xml:lang='en'><body>hi</body></message>",
        ]
    );
    assert_eq!(
        outcome.sent,
        "<HEADER id='s1' from='org.test' to='alpha.test' version='1.0' xml:lang='en'>\
         <stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>\
         <proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>[TLS]\
         <HEADER id='s2' from='org.test' to='alpha.test' version='1.0' xml:lang='en'>\
         <stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms></stream:features>\
         <success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>\
         <HEADER id='s3' from='org.test' to='alpha.test' version='1.0' xml:lang='en'>\
         <stream:features><limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>524288</max-bytes></limits></stream:features>"
    );
}

#[test]
fn a_stream_by_direct_tls_begins_with_authentication() {
    let outcome = established(&[]);
    assert_eq!(
        outcome.events[..3],
        [
            "open? alpha.test -> org.test",
            "prove? alpha.test",
            "admit? alpha.test -> org.test"
        ]
    );
    assert!(!outcome.sent.contains("starttls"));
}

#[test]
fn prosodys_bidi_and_auth_in_one_record() {
    let together = format!("<bidi xmlns='urn:xmpp:bidi'/>{AUTH}");
    let outcome = play(
        direct(),
        &[bytes(&alpha()), bytes(&together), bytes(&alpha())],
    );
    assert_eq!(outcome.last(), "established alpha.test -> org.test s2");
}

#[test]
fn str_01_a_wrong_stream_or_content_namespace() {
    for wrong in [
        "<stream:stream xmlns='jabber:server' xmlns:stream='urn:x' from='alpha.test' to='org.test' version='1.0'>",
        "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='org.test' version='1.0'>",
    ] {
        play(Start::Plain, &[bytes(wrong)]).closes_with("invalid-namespace");
    }
}

#[test]
fn str_03_the_response_header_says_who_we_are() {
    let outcome = play(Start::Plain, &[bytes(&alpha())]);
    assert!(outcome.sent.starts_with(
        "<HEADER id='s1' from='org.test' to='alpha.test' version='1.0' xml:lang='en'>"
    ));
}

#[test]
fn str_03_a_foreign_to_is_never_repeated() {
    let evil = header("from='alpha.test' to='evil.test' version='1.0'");
    let unknown = Answers {
        open: Err(StreamError::new(StreamCondition::HostUnknown)),
        ..Answers::yes()
    };
    let outcome = play_with(Start::Plain, None, unknown, &[bytes(&evil)]);
    outcome.closes_with("host-unknown");
    assert!(
        outcome
            .sent
            .starts_with("<HEADER id='s1' from='org.test' to='alpha.test'"),
        "{outcome:#?}"
    );
    assert!(!outcome.sent.contains("evil"));
    // The path of each byte that is refused before the question, too.
    for attributes in [
        "to='evil.test' from='@' version='1.0'",
        "to='evil test' version='1.0'",
    ] {
        let outcome = play(Start::Plain, &[bytes(&header(attributes))]);
        assert!(
            outcome
                .sent
                .starts_with("<HEADER id='s1' from='org.test' version='1.0'"),
            "{outcome:#?}"
        );
        assert!(!outcome.sent.contains("evil"), "{outcome:#?}");
    }
}

#[test]
fn str_03_a_missing_to_is_host_unknown() {
    for attributes in [
        "from='alpha.test' version='1.0'",
        "from='alpha.test' to='' version='1.0'",
    ] {
        let outcome = play(Start::Plain, &[bytes(&header(attributes))]);
        outcome.closes_with("host-unknown");
        assert!(outcome.events.is_empty(), "nobody was asked: {outcome:#?}");
    }
}

#[test]
fn str_04_every_stream_has_a_new_id_and_the_peers_is_ignored() {
    let chosen = header("from='alpha.test' to='org.test' id='chosen' version='1.0'");
    let outcome = play(
        Start::Plain,
        &[
            bytes(&chosen),
            bytes(STARTTLS),
            bytes(&chosen),
            bytes(AUTH),
            bytes(&chosen),
        ],
    );
    assert_eq!(outcome.last(), "established alpha.test -> org.test s3");
    assert!(!outcome.sent.contains("chosen"));
}

#[test]
fn str_05_from_may_be_missing_before_tls_but_then_nobody_can_authenticate() {
    let anonymous = header("to='org.test' version='1.0'");
    let outcome = play(
        Start::Plain,
        &[
            bytes(&anonymous),
            bytes(STARTTLS),
            bytes(&alpha()),
            bytes(AUTH),
            bytes(&alpha()),
        ],
    );
    assert_eq!(outcome.events[0], "open? - -> org.test");
    assert_eq!(
        outcome.events[2], "open? alpha.test -> org.test",
        "asked again, since it has changed"
    );
    assert_eq!(outcome.last(), "established alpha.test -> org.test s3");
    play(direct(), &[bytes(&anonymous)]).closes_with("policy-violation");
}

#[test]
fn str_06_versions_are_compared_as_numbers() {
    for (version, good) in [
        ("version='1.0'", true),
        ("version='01.0'", true),
        ("version='1.10'", true),
        ("version='2.0'", true),
        ("version='0.9'", false),
        ("version='00.10'", false),
        ("version='one'", false),
        ("", false),
    ] {
        for start in [Start::Plain, direct()] {
            let outcome = play(
                start,
                &[bytes(&header(&format!(
                    "from='alpha.test' to='org.test' {version}"
                )))],
            );
            assert_eq!(
                outcome.sent.contains("features"),
                good,
                "{version}: {outcome:#?}"
            );
            if !good {
                outcome.closes_with("unsupported-version");
            }
        }
    }
}

#[test]
fn str_07_errors_on_setup_come_after_a_header_in_one_piece() {
    for garbage in [
        "GET / HTTP/1.1\r\n\r\n",
        "<!DOCTYPE x>",
        "<stream:stream>",
        "<message/>",
        "\u{fffe}",
    ] {
        let mut stream = stream(Start::Plain);
        stream.receive(garbage.as_bytes());
        let Some(InboundAction::Send(first)) = stream.next() else {
            panic!("{garbage:?}")
        };
        let first = String::from_utf8(first).unwrap();
        assert!(
            first.starts_with("<?xml version='1.0'?><stream:stream "),
            "{first}"
        );
        assert!(first.ends_with("</stream:stream>"), "{first}");
        assert!(first.contains("<stream:error>"), "{garbage:?}: {first}");
        assert_eq!(stream.phase(), Phase::Closing);
        stream.receive(b"more of it");
        assert!(stream.next().is_none());
        stream.eof();
        assert!(matches!(
            stream.next(),
            Some(InboundAction::Close(StreamEnd::Sent(_)))
        ));
    }
}

#[test]
fn str_15_the_header_after_authentication_has_the_same_pair() {
    for other in [
        "from='beta.test' to='org.test' version='1.0'",
        "from='alpha.test' to='conference.org.test' version='1.0'",
        "from='org.test' to='alpha.test' version='1.0'",
        "to='org.test' version='1.0'",
        "from='alpha.test' version='1.0'",
        "from='sub.alpha.test' to='org.test' version='1.0'",
    ] {
        let outcome = play(
            direct(),
            &[
                bytes(&alpha()),
                bytes(AUTH),
                bytes(&header(other)),
                bytes(MESSAGE),
            ],
        );
        outcome.closes_with("improper-addressing");
        assert!(
            !outcome
                .events
                .iter()
                .any(|event| event.starts_with("established")),
            "V18: {outcome:#?}"
        );
    }
    let same = header("from='ALPHA.test.' to='Org.Test' version='1.0'");
    let outcome = play(direct(), &[bytes(&alpha()), bytes(AUTH), bytes(&same)]);
    assert_eq!(outcome.last(), "established alpha.test -> org.test s2");
}

#[test]
fn str_15_tls_is_bound_to_the_domain_that_it_was_set_up_for() {
    let other = header("from='alpha.test' to='conference.org.test' version='1.0'");
    play(direct(), &[bytes(&other)]).closes_with("improper-addressing");
    play(
        Start::Plain,
        &[bytes(&alpha()), bytes(STARTTLS), bytes(&other)],
    )
    .closes_with("improper-addressing");
    let script = [bytes(&alpha()), bytes(STARTTLS), bytes(&alpha())];
    play_with(
        Start::Plain,
        Some("conference.org.test"),
        Answers::yes(),
        &script,
    )
    .closes_with("improper-addressing");
    let outcome = play_with(Start::Plain, Some("org.test"), Answers::yes(), &script);
    assert_eq!(outcome.last(), "prove? alpha.test");
}

#[test]
fn str_15_from_before_tls_counts_for_nothing() {
    let before = header("from='beta.test' to='org.test' version='1.0'");
    let outcome = play(
        Start::Plain,
        &[bytes(&before), bytes(STARTTLS), bytes(&alpha())],
    );
    assert_eq!(
        outcome.events[2..],
        ["open? alpha.test -> org.test", "prove? alpha.test"]
    );
    assert!(
        !outcome.sent.split("[TLS]").nth(1).unwrap().contains("beta"),
        "{outcome:#?}"
    );
}

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
