use proptest::prelude::*;

use super::*;
use crate::{
    error::StreamCondition,
    frame::{Event, Framer, Limits},
    ns,
    xml::{Element, Writer},
};

fn domain(name: &str) -> Domain {
    Domain::parse(name).unwrap()
}

fn asked(receiving: &str, originating: &str, id: &str, key: &str) -> Verification {
    Verification {
        originating: domain(originating),
        receiving: domain(receiving),
        stream_id: Arc::from(id),
        key: Key::parse(key).unwrap(),
    }
}

fn element(xml: &str) -> Element {
    let mut framer = Framer::new(Limits::default());
    framer.push(
        b"<stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' \
          xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>",
    );
    framer.push(xml.as_bytes());
    framer.next().unwrap();
    match framer.next().unwrap() {
        Some(Event::Element(frame)) => frame.into_element(),
        other => panic!("{other:?}"),
    }
}

fn xml(message: &Message) -> String {
    Writer::new(ns::SERVER)
        .with_prefixes(&[("db", ns::DIALBACK)])
        .to_xml(&message.to_element())
}

/// XEP-0185 §2 and its examples: secret, receiving, originating, stream id, key.
const VECTORS: [[&str; 5]; 3] = [
    [
        "s3cr3tf0rd14lb4ck",
        "xmpp.example.com",
        "example.org",
        "D60000229F",
        "37c69b1cf07a3f67c04a5ef5902fa5114f2c76fe4a2686482ba5b89323075643",
    ],
    [
        "s3cr3tf0rd14lb4ck",
        "montague.example",
        "capulet.example",
        "D60000229F",
        "b4835385f37fe2895af6c196b59097b16862406db80559900d96bf6fa7d23df3",
    ],
    [
        "d14lb4ck43v3r",
        "capulet.example",
        "montague.example",
        "417GAF25",
        "225cc5aa6a071133249d25fef42ae516fc7a86c523aa1c6980a7f73e784c972d",
    ],
];

#[test]
fn db_09_the_keys_are_those_of_xep_0185() {
    for [secret, receiving, originating, id, key] in VECTORS {
        let secret = Secret::new(secret);
        let made = secret.key(&domain(receiving), &domain(originating), id);
        assert_eq!(made.as_str(), key);
        let question = asked(receiving, originating, id, key);
        assert_eq!(secret.verify(&question), Verified::Valid);
        assert_eq!(Secret::new("another").verify(&question), Verified::Invalid);
    }
}

/// V06: without the spaces these would have the same text.
#[test]
fn v06_no_other_pair_or_stream_has_the_same_key() {
    let secret = Secret::new("s3cr3t");
    let key = secret.key(&domain("a.test"), &domain("b.test"), "id1");
    for [receiving, originating, id] in [
        ["b.test", "a.test", "id1"],
        ["a.test", "b.test", "id2"],
        ["a.test", "b.testid", "1"],
        ["a.testb", "test", "id1"],
        ["aa.test", "b.test", "id1"],
    ] {
        let other = asked(receiving, originating, id, key.as_str());
        assert_eq!(secret.verify(&other), Verified::Invalid, "{other:?}");
    }
    for key in [&key.as_str()[1..], &key.as_str().to_uppercase(), "x"] {
        let other = asked("a.test", "b.test", "id1", key);
        assert_eq!(secret.verify(&other), Verified::Invalid);
    }
}

#[test]
fn neither_secret_nor_key_is_shown() {
    let secret = Secret::new("s3cr3t");
    let key = secret.key(&domain("a.test"), &domain("b.test"), "id1");
    assert_eq!(format!("{secret:?} {key:?}"), "Secret(..) Key(..)");
}

#[test]
fn db_01_elements_are_addressed_and_prefixed() {
    let pair = Pair {
        from: domain("org.test"),
        to: domain("alpha.test"),
    };
    let question = asked("alpha.test", "org.test", "s1", "k");
    for (message, written) in [
        (
            Message::Result(pair.clone(), Key::parse("k")),
            "<db:result from='org.test' to='alpha.test'>k</db:result>",
        ),
        (
            Message::Resulted(pair.clone(), Verified::Valid),
            "<db:result from='org.test' to='alpha.test' type='valid'/>",
        ),
        (
            Message::Verify(question),
            "<db:verify from='alpha.test' to='org.test' id='s1'>k</db:verify>",
        ),
        (
            Message::Verifying(pair, Arc::from("s1"), Verified::Invalid),
            "<db:verify from='org.test' to='alpha.test' id='s1' type='invalid'/>",
        ),
    ] {
        assert_eq!(xml(&message), written);
        assert_eq!(Message::of(&element(written)), Some(Ok(message)));
    }
}

#[test]
fn db_01_what_cannot_be_answered_closes_the_stream() {
    for (written, condition) in [
        (
            "<db:result to='a.test'>k</db:result>",
            "improper-addressing",
        ),
        (
            "<db:result from='a.test'>k</db:result>",
            "improper-addressing",
        ),
        (
            "<db:result from='a b' to='a.test'>k</db:result>",
            "improper-addressing",
        ),
        (
            "<db:result from='u@a.test' to='b.test'>k</db:result>",
            "improper-addressing",
        ),
        (
            "<db:result from='' to='b.test'>k</db:result>",
            "improper-addressing",
        ),
        (
            "<db:verify from='a.test' to='b.test'>k</db:verify>",
            "bad-format",
        ),
        (
            "<db:verify from='a.test' to='b.test' id=''>k</db:verify>",
            "bad-format",
        ),
        (
            "<db:verify from='a.test' to='b.test' id='1'/>",
            "bad-format",
        ),
        (
            "<db:result from='a.test' to='b.test' type='maybe'/>",
            "bad-format",
        ),
        (
            "<db:other from='a.test' to='b.test'/>",
            "unsupported-stanza-type",
        ),
    ] {
        let error = Message::of(&element(written)).unwrap().unwrap_err();
        assert_eq!(
            error.condition,
            StreamCondition::from_name(condition),
            "{written}"
        );
    }
    assert_eq!(Message::of(&element("<message/>")), None);
}

#[test]
fn a_result_without_a_usable_key_is_still_answered() {
    let long = "k".repeat(Key::BYTES + 1);
    for key in ["", " \n ", &long] {
        let written = format!("<db:result from='a.test' to='b.test'>{key}</db:result>");
        let Some(Ok(Message::Result(_, key))) = Message::of(&element(&written)) else {
            panic!("{written}")
        };
        assert_eq!(key, None);
    }
}

#[test]
fn db_07_each_condition_is_written_and_read() {
    let pair = Pair {
        from: domain("org.test"),
        to: domain("alpha.test"),
    };
    for condition in DialbackCondition::ALL {
        let error = DialbackError::new(condition).with_text("because");
        let message = Message::Resulted(pair.clone(), Verified::Failed(error));
        let written = xml(&message);
        assert!(
            written.contains(&format!(
                "<error type='{}'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>",
                condition.error_type().as_str()
            )),
            "{written}"
        );
        assert_eq!(Message::of(&element(&written)), Some(Ok(message)));
    }
    let empty = element("<db:result from='a.test' to='b.test' type='error'/>");
    let Some(Ok(Message::Resulted(_, Verified::Failed(error)))) = Message::of(&empty) else {
        panic!()
    };
    assert_eq!(error.condition, DialbackCondition::UndefinedCondition);
}

proptest! {
    #[test]
    fn only_its_own_text_verifies_a_key(id in "[a-z0-9]{1,20}", other in "[ -~]{1,80}") {
        let secret = Secret::new("s3cr3t");
        let key = secret.key(&domain("a.test"), &domain("b.test"), &id);
        let ours = asked("a.test", "b.test", &id, key.as_str());
        prop_assert_eq!(secret.verify(&ours), Verified::Valid);
        if let Some(other) = Key::parse(&other) {
            prop_assert_eq!(secret.verify(&Verification { key: other, ..ours }), Verified::Invalid);
        }
    }
}
