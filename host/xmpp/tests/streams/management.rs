//! Acknowledgements on both machines (XEP-0198).

use portcullis_xmpp::{
    error::StanzaCondition,
    management::{Nonza, Resumption, Unacknowledged},
    stream::{StreamEnd, Terms},
};

use crate::support::*;

const MANAGED: Terms = Terms {
    management: true,
    ..TLS
};
const FEATURE: &str = "<sm xmlns='urn:xmpp:sm:3'/>";
const ENABLE: &str = "<enable xmlns='urn:xmpp:sm:3'/>";
const ENABLED: &str = "<enabled xmlns='urn:xmpp:sm:3'/>";
const REQUEST: &str = "<r xmlns='urn:xmpp:sm:3'/>";

fn receiving(terms: Terms) -> Receiving {
    let mut stream = Receiving::new(direct(), Answers::on(terms));
    stream.hear(&alpha());
    assert!(!stream.sent.contains(FEATURE), "not before authentication");
    stream.hear(AUTH);
    stream.hear(&alpha());
    stream
}

fn initiating(terms: Terms, feature: &str) -> Initiating {
    let mut stream = Initiating::new(direct(), Answers::on(terms));
    stream.features("id1", EXTERNAL);
    stream.hear(SUCCESS);
    stream.features("id2", feature);
    stream
}

#[test]
fn sm_01_a_peer_enables_and_asks() {
    let mut stream = receiving(MANAGED);
    assert!(stream.sent.contains(FEATURE));
    stream.hear(ENABLE);
    assert_eq!(
        stream.manage(&Nonza::Enabled { resume: None }).unwrap(),
        ENABLED
    );
    stream.hear(&message("alpha.test", "org.test"));
    stream.hear(REQUEST);
    assert_eq!(
        stream.manage(&Nonza::Answer { handled: 1 }).unwrap(),
        "<a xmlns='urn:xmpp:sm:3' h='1'/>"
    );
    assert_eq!(
        stream.nonzas,
        [Nonza::Enable { resume: None }, Nonza::Request]
    );
    assert_eq!(stream.manage(&Nonza::Request).unwrap(), REQUEST);
    stream.open();
}

#[test]
fn sm_01_we_enable_and_ask() {
    let mut stream = initiating(MANAGED, FEATURE);
    assert!(stream.machine.may_manage());
    assert_eq!(
        stream.manage(&Nonza::Enable { resume: None }).unwrap(),
        ENABLE
    );
    assert_eq!(stream.manage(&Nonza::Enable { resume: None }), None, "once");
    stream.hear(ENABLED);
    stream.manage(&Nonza::Request).unwrap();
    stream.hear("<a xmlns='urn:xmpp:sm:3' h='2'/>");
    assert_eq!(
        stream.nonzas,
        [
            Nonza::Enabled { resume: None },
            Nonza::Answer { handled: 2 }
        ]
    );
    for feature in [FEATURE, ""] {
        let mut stream = initiating(TLS, feature);
        assert_eq!(stream.manage(&Nonza::Enable { resume: None }), None);
    }
    assert!(!initiating(MANAGED, "").machine.may_manage());
}

#[test]
fn sm_01_out_of_order_closes_the_stream() {
    for script in [
        &[ENABLE, ENABLE][..],
        &[REQUEST],
        &["<a xmlns='urn:xmpp:sm:3' h='0'/>"],
        &[ENABLE, "<a xmlns='urn:xmpp:sm:3' h='0'/>"],
        &[ENABLE, "<resume xmlns='urn:xmpp:sm:3' previd='x' h='0'/>"],
        &[ENABLED],
    ] {
        let mut stream = receiving(MANAGED);
        for element in script {
            stream.hear(element);
        }
        stream.closed_with("policy-violation");
    }
    let mut stream = receiving(MANAGED);
    stream.hear(ENABLE);
    stream.manage(&Nonza::Enabled { resume: None }).unwrap();
    stream.hear(ENABLE);
    stream.closed_with("policy-violation");
    let mut stream = receiving(MANAGED);
    stream.hear("<a xmlns='urn:xmpp:sm:3' h='-1'/>");
    stream.closed_with("bad-format");
    let mut stream = receiving(TLS);
    stream.hear(ENABLE);
    stream.closed_with("unsupported-stanza-type");
    for element in [
        ENABLED,
        ENABLE,
        REQUEST,
        "<resumed xmlns='urn:xmpp:sm:3' previd='x' h='0'/>",
    ] {
        let mut stream = initiating(MANAGED, FEATURE);
        stream.hear(element);
        closed_with(&stream.sent, "policy-violation");
    }
    let mut stream = receiving(MANAGED);
    assert_eq!(
        stream.manage(&Nonza::Enabled { resume: None }),
        None,
        "nobody asked"
    );
    assert_eq!(stream.manage(&Nonza::Answer { handled: 0 }), None);
}

#[test]
fn sm_01_before_authentication_there_is_nothing_to_manage() {
    let mut stream = Receiving::new(direct(), Answers::on(MANAGED));
    stream.hear(&alpha());
    stream.hear(ENABLE);
    stream.closed_with("unsupported-stanza-type");
    stream.nobody();
}

#[test]
fn sm_01_a_stream_is_resumed_or_not() {
    let was = Resumption {
        id: "old".into(),
        handled: 3,
    };
    let xml = "<resume xmlns='urn:xmpp:sm:3' previd='old' h='3'/>";
    let mut stream = receiving(MANAGED);
    stream.hear(xml);
    assert_eq!(stream.nonzas, [Nonza::Resume(was.clone())]);
    let answer = stream.manage(&Nonza::Resumed(was.clone())).unwrap();
    assert_eq!(
        answer,
        "<resumed xmlns='urn:xmpp:sm:3' previd='old' h='3'/>"
    );
    stream.hear(REQUEST);
    stream.open();

    let failed = Nonza::Failed {
        condition: StanzaCondition::ItemNotFound,
        handled: None,
    };
    let mut stream = receiving(MANAGED);
    stream.hear(xml);
    let answer = stream.manage(&failed).unwrap();
    stream.hear(ENABLE);
    stream.open();

    let mut stream = initiating(MANAGED, FEATURE);
    assert_eq!(stream.manage(&Nonza::Resume(was)).unwrap(), xml);
    stream.hear(&answer);
    assert_eq!(stream.nonzas, [failed]);
    assert!(
        stream
            .manage(&Nonza::Enable { resume: Some(None) })
            .is_some()
    );
}

#[test]
fn sm_01_acknowledging_too_much_closes_with_the_counts() {
    let mut sent = Unacknowledged::new();
    sent.push(());
    let wrong = sent.acknowledge(2).unwrap_err();
    let expected = "<handled-count-too-high xmlns='urn:xmpp:sm:3' h='2' send-count='1'/>\
                    </stream:error></stream:stream>";
    let mut stream = initiating(MANAGED, FEATURE);
    stream.machine.close_too_high(wrong);
    stream.run();
    assert!(stream.sent.ends_with(expected), "{}", stream.sent);
    stream.hear("</stream:stream>");
    assert_eq!(stream.end, Some(StreamEnd::Sent(wrong.error())));
    let mut stream = receiving(MANAGED);
    stream.machine.close_too_high(wrong);
    stream.run();
    stream.closed_with("undefined-condition");
    assert!(stream.sent.ends_with(expected), "{}", stream.sent);
}
