//! From the first header to the first stanza, and what headers may say.

use super::*;

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
