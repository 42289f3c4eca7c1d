//! As the receiving and the authoritative server.

use portcullis_xmpp::{
    dialback::{DialbackCondition, DialbackError, Verified},
    error::{StreamCondition, StreamError},
    stream::{Method, Need, Phase, Proof, Start, Terms},
};

use crate::support::*;

fn result(from: &str, to: &str) -> String {
    format!("<db:result from='{from}' to='{to}'>key</db:result>")
}

fn error(from: &str, to: &str, condition: &str) -> String {
    format!("<db:result from='{to}' to='{from}' type='error'><error type='")
        + match condition {
            "resource-constraint" | "remote-server-timeout" => "wait",
            "forbidden" | "not-authorized" => "auth",
            "not-acceptable" => "modify",
            _ => "cancel",
        }
        + &format!("'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>")
}

/// TLS without a certificate that is worth something, up to features.
fn tls_without_certificate() -> Receiving {
    let mut stream = Receiving::new(direct(), Answers::unproven(TLS));
    stream.hear(&alpha());
    stream
}

/// One pair verified.
fn established() -> Receiving {
    let mut stream = tls_without_certificate();
    stream.hear(&result("alpha.test", "org.test"));
    let said = stream.verified(0, Verified::Valid);
    assert_eq!(
        said,
        "<db:result from='org.test' to='alpha.test' type='valid'/>"
    );
    assert_eq!(stream.machine.phase(), Phase::Established);
    stream
}

#[test]
fn db_02_dialback_is_offered_with_errors_where_the_terms_have_it() {
    let stream = tls_without_certificate();
    assert!(stream.sent.ends_with(
        "<stream:features><dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>\
         <limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>524288</max-bytes>\
         <idle-seconds>600</idle-seconds></limits></stream:features>"
    ));
    let mut stream = Receiving::new(direct(), Answers::on(Terms::CERTIFICATE));
    stream.hear(&alpha());
    assert!(!stream.sent.contains("dialback><errors"));
}

#[test]
fn a_pair_is_verified_admitted_and_speaks() {
    let mut stream = established();
    stream.hear(&message("alpha.test", "org.test"));
    assert_eq!(
        stream.events,
        [
            "open? alpha.test org.test",
            "prove? alpha.test",
            "pair? alpha.test org.test",
            "prove? alpha.test",
            "verify alpha.test org.test",
            "admit? alpha.test org.test",
            "established alpha.test org.test s1 tls-dialback",
            "stanza romeo@alpha.test",
        ]
    );
    assert_eq!(&*stream.verifications[0].stream_id, "s1");
    assert_eq!(stream.verifications[0].key.as_str(), "key");
    stream.open();
}

#[test]
fn db_04_no_stanza_passes_before_its_pair_is_verified() {
    let mut stream = tls_without_certificate();
    stream.hear(&result("alpha.test", "org.test"));
    stream.hear(&message("alpha.test", "org.test"));
    stream.closed_with("not-authorized");
    let late = stream.verified(0, Verified::Valid);
    assert_eq!(late, "", "it comes too late");
    stream.nobody();
}

#[test]
fn db_04_other_pairs_keep_flowing_while_one_is_verified() {
    let mut stream = established();
    stream.hear(&result("beta.test", "org.test"));
    stream.hear(&message("alpha.test", "org.test"));
    assert_eq!(stream.events.last().unwrap(), "stanza romeo@alpha.test");
    stream.open();
    stream.verified(1, Verified::Valid);
    stream.hear(&message("beta.test", "org.test"));
    assert_eq!(stream.events.last().unwrap(), "stanza romeo@beta.test");
    assert_eq!(stream.peers.len(), 2);
}

#[test]
fn adr_02_a_pair_speaks_for_itself_alone() {
    for (from, to, condition) in [
        ("beta.test", "org.test", "invalid-from"),
        ("sub.alpha.test", "org.test", "invalid-from"),
        ("alpha.test", "second.test", "host-unknown"),
        ("gamma.test", "org.test", "host-unknown"),
    ] {
        let mut stream = established();
        stream.hear(&result("gamma.test", "second.test"));
        stream.verified(1, Verified::Valid);
        // Still being verified, it counts for nothing.
        stream.hear(&result("beta.test", "org.test"));
        stream.hear(&message(from, to));
        stream.closed_with(condition);
        assert!(
            !stream
                .events
                .iter()
                .any(|event| event.starts_with("stanza"))
        );
    }
}

#[test]
fn db_06_invalid_ends_a_stream_with_nothing_else_on_it() {
    let mut stream = tls_without_certificate();
    stream.hear(&result("alpha.test", "org.test"));
    let said = stream.verified(0, Verified::Invalid);
    assert!(said.starts_with("<db:result from='org.test' to='alpha.test' type='invalid'/>"));
    stream.closed_with("not-authorized");
    stream.nobody();
}

#[test]
fn db_06_invalid_beside_a_valid_pair_is_an_error() {
    let mut stream = established();
    stream.hear(&result("beta.test", "org.test"));
    let said = stream.verified(1, Verified::Invalid);
    assert!(
        said.starts_with(&error("beta.test", "org.test", "forbidden")),
        "{said}"
    );
    stream.hear(&message("alpha.test", "org.test"));
    assert_eq!(stream.events.last().unwrap(), "stanza romeo@alpha.test");
    stream.open();
}

#[test]
fn db_06_an_unknown_target_leaves_the_stream_open() {
    let mut stream = tls_without_certificate();
    stream.answers.pair = Err(DialbackError::new(DialbackCondition::ItemNotFound));
    let said = stream.hear(&result("alpha.test", "other.test"));
    assert!(
        said.starts_with(&error("alpha.test", "other.test", "item-not-found")),
        "{said}"
    );
    stream.open();
    stream.answers.pair = Ok(TLS);
    stream.hear(&result("alpha.test", "org.test"));
    stream.verified(0, Verified::Valid);
    assert_eq!(stream.peers.len(), 1);
}

#[test]
fn db_07_what_went_wrong_with_a_verification_is_told() {
    for condition in [
        DialbackCondition::RemoteConnectionFailed,
        DialbackCondition::RemoteServerNotFound,
        DialbackCondition::RemoteServerTimeout,
    ] {
        let mut stream = tls_without_certificate();
        stream.hear(&result("alpha.test", "org.test"));
        let said = stream.verified(0, Verified::Failed(DialbackError::new(condition)));
        assert!(
            said.starts_with(&error("alpha.test", "org.test", condition.as_str())),
            "{said}"
        );
        stream.open();
        stream.nobody();
        // It may try again.
        stream.hear(&result("alpha.test", "org.test"));
        assert_eq!(stream.verifications.len(), 2);
    }
}

#[test]
fn db_07_no_key_and_a_key_that_is_being_verified_are_not_acceptable() {
    let mut stream = tls_without_certificate();
    let said = stream.hear("<db:result from='alpha.test' to='org.test'/>");
    assert!(
        said.starts_with(&error("alpha.test", "org.test", "not-acceptable")),
        "{said}"
    );
    stream.hear(&result("alpha.test", "org.test"));
    let said = stream.hear(&result("alpha.test", "org.test"));
    assert!(
        said.starts_with(&error("alpha.test", "org.test", "not-acceptable")),
        "{said}"
    );
    assert_eq!(stream.verifications.len(), 1);
    stream.open();
}

#[test]
fn a_pair_that_is_proven_is_not_verified_again() {
    let mut stream = established();
    let said = stream.hear("<db:result from='alpha.test' to='org.test'>other</db:result>");
    assert_eq!(
        said,
        "<db:result from='org.test' to='alpha.test' type='valid'/>"
    );
    assert_eq!((stream.verifications.len(), stream.peers.len()), (1, 1));
}

#[test]
fn db_08_pairs_are_bounded() {
    let mut stream = established();
    for name in ["b.test", "c.test", "d.test"] {
        assert_eq!(stream.hear(&result(name, "org.test")), "");
    }
    let said = stream.hear(&result("e.test", "org.test"));
    assert!(
        said.starts_with(&error("e.test", "org.test", "resource-constraint")),
        "{said}"
    );
    stream.open();
    // Nor does the peer go on asking for ever.
    for _ in 0..4 {
        stream.hear(&result("e.test", "org.test"));
    }
    stream.closed_with("policy-violation");
}

#[test]
fn db_03_an_answer_that_nobody_asked_for_ends_the_stream_and_proves_nothing() {
    for answer in [
        "<db:result from='alpha.test' to='org.test' type='valid'/>",
        "<db:result from='org.test' to='alpha.test' type='valid'/>",
        "<db:result from='alpha.test' to='org.test' type='invalid'/>",
        "<db:result from='alpha.test' to='org.test' type='error'/>",
        "<db:verify from='alpha.test' to='org.test' id='s1' type='valid'/>",
        "<db:verify from='org.test' to='alpha.test' id='s1' type='valid'/>",
    ] {
        // Before TLS, before a key, while it is verified, and with a pair that stands.
        let mut plain = Receiving::new(Start::Plain, Answers::unproven(EVERYTHING));
        plain.hear(&alpha());
        let mut verifying = tls_without_certificate();
        verifying.hear(&result("alpha.test", "org.test"));
        for mut stream in [plain, tls_without_certificate(), verifying] {
            stream.hear(answer);
            stream.closed_with("policy-violation");
            if !stream.verifications.is_empty() {
                stream.verified(0, Verified::Valid);
            }
            stream.nobody();
        }
        let mut stream = established();
        stream.hear(answer);
        stream.closed_with("policy-violation");
        assert_eq!(stream.peers.len(), 1);
        let mut stream = Receiving::new(direct(), Answers::on(TLS));
        stream.hear(&alpha());
        stream.hear(answer);
        stream.closed_with("policy-violation");
        stream.nobody();
    }
}

#[test]
fn db_03_a_verification_is_taken_once_and_only_if_it_was_asked() {
    let mut stream = tls_without_certificate();
    stream.hear(&result("alpha.test", "org.test"));
    let mut other = stream.verifications[0].clone();
    other.stream_id = "s9".into();
    stream.machine.verified(other, Verified::Valid);
    stream.run();
    stream.nobody();
    stream.verified(
        0,
        Verified::Failed(DialbackError::new(DialbackCondition::RemoteServerTimeout)),
    );
    assert_eq!(stream.verified(0, Verified::Valid), "");
    stream.nobody();
}

#[test]
fn db_10_a_key_of_ours_is_verified_for_whoever_asks() {
    let key = secret().key(&domain("alpha.test"), &domain("org.test"), "theirs");
    let question = |key: &str, id: &str| {
        format!("<db:verify from='alpha.test' to='org.test' id='{id}'>{key}</db:verify>")
    };
    let plain = || {
        let mut stream = Receiving::new(Start::Plain, Answers::unproven(EVERYTHING));
        stream.hear(&alpha());
        stream
    };
    // Unauthenticated with and without TLS, with SASL on offer, and established.
    let mut offered = Receiving::new(direct(), Answers::on(Terms::CERTIFICATE));
    offered.hear(&alpha());
    for mut stream in [plain(), tls_without_certificate(), offered, established()] {
        let peers = stream.peers.len();
        for (key, id, answer) in [
            (key.as_str(), "theirs", "valid"),
            (key.as_str(), "another", "invalid"),
            ("guess", "theirs", "invalid"),
        ] {
            assert_eq!(
                stream.hear(&question(key, id)),
                format!("<db:verify from='org.test' to='alpha.test' id='{id}' type='{answer}'/>")
            );
        }
        stream.open();
        assert_eq!(stream.peers.len(), peers, "asking proves nothing");
        if peers == 0 {
            stream.hear(&message("alpha.test", "org.test"));
            stream.closed_with("not-authorized");
        }
    }
    // It does not keep a peer from authenticating afterwards.
    let mut stream = Receiving::new(direct(), Answers::on(Terms::CERTIFICATE));
    stream.hear(&alpha());
    stream.hear(&question("guess", "x"));
    stream.hear(AUTH);
    stream.hear(&alpha());
    assert_eq!(stream.peers[0].method, Some(Method::External(Proof::Pkix)));
}

#[test]
fn v04_no_dialback_in_the_clear_where_tls_is_required() {
    for terms in [TLS, Terms::CERTIFICATE] {
        let mut stream = Receiving::new(Start::Plain, Answers::unproven(terms));
        stream.hear(&alpha());
        assert!(
            stream
                .sent
                .ends_with("<required/></starttls></stream:features>")
        );
        let said = stream.hear(&result("alpha.test", "org.test"));
        assert!(
            said.starts_with(&error("alpha.test", "org.test", "policy-violation")),
            "{said}"
        );
        let said = stream.hear("<db:verify from='alpha.test' to='org.test' id='x'>k</db:verify>");
        assert!(said.starts_with(
            "<db:verify from='org.test' to='alpha.test' id='x' type='error'><error type='cancel'>\
             <policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
        ));
        assert_eq!(
            stream.events,
            ["open? alpha.test org.test"],
            "nobody was asked"
        );
        for _ in 0..3 {
            stream.hear(&result("alpha.test", "org.test"));
        }
        stream.closed_with("policy-violation");
        stream.nobody();
    }
}

#[test]
fn v04_the_terms_of_the_pair_count_too() {
    let mut stream = Receiving::new(Start::Plain, Answers::unproven(EVERYTHING));
    stream.hear(&alpha());
    stream.answers.pair = Ok(TLS);
    let said = stream.hear(&result("beta.test", "org.test"));
    assert!(
        said.starts_with(&error("beta.test", "org.test", "policy-violation")),
        "{said}"
    );
    assert!(stream.verifications.is_empty());
}

#[test]
fn db_12_a_certificate_proves_a_pair_when_it_is_asked_for() {
    let mut stream = Receiving::new(direct(), Answers::on(Terms::CERTIFICATE));
    stream.hear(&alpha());
    stream.hear(AUTH);
    stream.hear(&alpha());
    let said = stream.hear(&result("beta.test", "org.test"));
    assert_eq!(
        said,
        "<db:result from='org.test' to='beta.test' type='valid'/>"
    );
    assert_eq!(stream.peers[1].method, Some(Method::External(Proof::Pkix)));
    assert_eq!(stream.peers[1].remote, domain("beta.test"));
    assert_eq!(&*stream.peers[1].stream_id, "s2");
    assert!(stream.verifications.is_empty());
    stream.hear(&message("beta.test", "org.test"));
    assert_eq!(stream.events.last().unwrap(), "stanza romeo@beta.test");
}

#[test]
fn v07_a_certificate_that_proves_nothing_is_no_shortcut() {
    let mut stream = Receiving::new(direct(), Answers::on(Terms::CERTIFICATE));
    stream.hear(&alpha());
    stream.hear(AUTH);
    stream.hear(&alpha());
    // ID-11: judged anew, for that domain.
    stream.answers.prove = Err("it is for alpha.test".into());
    let said = stream.hear(&result("beta.test", "org.test"));
    assert!(
        said.starts_with(&error("beta.test", "org.test", "not-authorized")),
        "{said}"
    );
    assert_eq!(stream.peers.len(), 1);
    assert!(
        stream.verifications.is_empty(),
        "these terms have no dialback"
    );
    stream.answers.pair = Ok(TLS);
    assert_eq!(stream.hear(&result("beta.test", "org.test")), "");
    assert_eq!(stream.verifications.len(), 1);
    assert_eq!(stream.peers.len(), 1);
}

#[test]
fn a_pair_that_policy_refuses_is_told_so_and_ends_a_stream_of_its_own() {
    let policy = StreamError::new(StreamCondition::PolicyViolation).with_text("not on the list");
    let mut stream = tls_without_certificate();
    stream.answers.admit = Err(policy.clone());
    stream.hear(&result("alpha.test", "org.test"));
    let said = stream.verified(0, Verified::Valid);
    assert!(
        said.starts_with(&error("alpha.test", "org.test", "policy-violation")),
        "{said}"
    );
    stream.closed_with("policy-violation");
    stream.nobody();
    let mut stream = established();
    stream.answers.admit = Err(policy);
    stream.hear(&result("beta.test", "org.test"));
    stream.verified(1, Verified::Valid);
    assert_eq!(stream.peers.len(), 1);
    stream.open();
}

#[test]
fn dialback_from_a_domain_to_itself_ends_the_stream() {
    let mut stream = tls_without_certificate();
    stream.hear(&result("org.test", "org.test"));
    stream.closed_with("invalid-from");
}

#[test]
fn after_a_key_it_is_too_late_for_starttls_and_for_sasl() {
    let mut stream = Receiving::new(Start::Plain, Answers::unproven(EVERYTHING));
    stream.hear(&alpha());
    stream.hear(&result("alpha.test", "org.test"));
    stream.hear(STARTTLS);
    stream.closed_with("unsupported-stanza-type");
    let mut stream = Receiving::new(direct(), Answers::on(TLS));
    stream.hear(&alpha());
    stream.answers.prove = Err("expired meanwhile".into());
    stream.hear(&result("beta.test", "org.test"));
    assert!(stream.hear(AUTH).contains("<not-authorized/>"));
    stream.nobody();
}

#[test]
fn str_05_str_06_an_old_server_without_features_proves_itself_by_dialback() {
    let old = header("to='org.test'");
    let mut stream = Receiving::new(Start::Plain, Answers::unproven(EVERYTHING));
    assert_eq!(
        stream.hear(&old),
        "<HEADER id='s1' from='org.test' xml:lang='en'>",
        "neither features nor a version"
    );
    stream.hear(&result("alpha.test", "org.test"));
    stream.verified(0, Verified::Valid);
    assert_eq!(stream.peers[0].method, Some(Method::TcpDialback));
    stream.hear(&message("alpha.test", "org.test"));
    assert_eq!(stream.events.last().unwrap(), "stanza romeo@alpha.test");

    let mut only = EVERYTHING;
    only.tcp_dialback = false;
    for terms in [TLS, Terms::CERTIFICATE, only] {
        let mut stream = Receiving::new(Start::Plain, Answers::unproven(terms));
        stream.hear(&old);
        stream.closed_with("unsupported-version");
    }
}

#[test]
fn str_05_without_a_from_the_key_says_who_it_is() {
    let mut stream = Receiving::new(direct(), Answers::unproven(TLS));
    stream.hear(&header("to='org.test' version='1.0'"));
    assert!(!stream.sent.contains("EXTERNAL"));
    stream.hear(&result("alpha.test", "org.test"));
    stream.verified(0, Verified::Valid);
    assert_eq!(stream.peers[0].remote, domain("alpha.test"));
}

#[test]
fn dialback_in_the_clear_where_the_terms_have_it() {
    for (need, starttls) in [(Need::Optional, true), (Need::NotSupported, false)] {
        let terms = Terms {
            tls: need,
            external: false,
            tls_dialback: false,
            ..EVERYTHING
        };
        let mut stream = Receiving::new(Start::Plain, Answers::unproven(terms));
        stream.hear(&alpha());
        assert_eq!(stream.sent.contains(STARTTLS), starttls);
        assert!(stream.sent.contains("dialback><errors") || stream.sent.contains("<errors/>"));
        stream.hear(&result("alpha.test", "org.test"));
        stream.verified(0, Verified::Valid);
        assert_eq!(
            stream.events.last().unwrap(),
            "established alpha.test org.test s1 tcp-dialback"
        );
    }
}
