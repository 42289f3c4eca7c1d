//! SASL EXTERNAL, and the features behind it.

use super::*;

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
fn features_that_turn_up_later_ask_for_a_new_stream() {
    established(&[bytes(FEATURES_LAST)]).closes_with("reset");
}
