//! From whom and to whom: what is refused, what is answered, what is the same.

use super::*;

#[test]
fn adr_01_a_stanza_without_good_addresses_closes_the_stream() {
    for text in [
        "<message to='b@beta.test'/>",
        "<message from='a@alpha.test'/>",
        "<message from='' to='b@beta.test'/>",
        "<message from='a@alpha.test' to=''/>",
        "<message from='@alpha.test' to='b@beta.test'/>",
        "<message from='a@alpha.test' to='b@beta..test'/>",
        "<message from='a@127.0.0.1' to='b@beta.test'/>",
        "<iq from='a@alpha.test' to='b@c@beta.test' type='get' id='1'><x/></iq>",
    ] {
        assert_eq!(closes(text), StreamCondition::ImproperAddressing, "{text}");
    }
}

#[test]
fn jid_02_an_odd_localpart_is_answered_without_an_echo() {
    let bad_to = bad("<message from='a@alpha.test' to='b b@beta.test' id='1'/>");
    assert_eq!(bad_to.error.condition, StanzaCondition::JidMalformed);
    assert_eq!(bad_to.to.as_str(), "beta.test");
    let reply = bad_to.reply.unwrap();
    assert_eq!(
        (reply.from().as_str(), reply.to().as_str()),
        ("beta.test", "a@alpha.test")
    );
    let bad_from = bad("<message from='a a@alpha.test' to='b@beta.test'/>");
    assert_eq!(bad_from.from.as_str(), "alpha.test");
    assert!(bad_from.reply.is_none());
}

#[test]
fn the_answer_to_a_bad_stanza_says_by_which_reference_to_ask() {
    let mut answered = bad("<message from='a@alpha.test' to='b b@beta.test' id='1'/>");
    answered.refer("ABCDE-23456");
    let reply = answered.reply.unwrap();
    let errors: Vec<_> = reply.root().children().collect();
    assert_eq!(errors.len(), 1);
    let refusal = errors[0].child(ns::REFUSAL, "refusal").unwrap();
    assert_eq!(refusal.attribute("id"), Some("ABCDE-23456"));
    assert_eq!(reply.id(), Some("1"));
    let mut silent = bad("<message from='a a@alpha.test' to='b@beta.test'/>");
    silent.refer("ABCDE-23456");
    assert!(silent.reply.is_none());
}

#[test]
fn jid_02_an_older_servers_localpart_passes_as_it_was_written_unless_strict() {
    let text = "<message from='A\u{2665}b@alpha.test' to='b@beta.test' id='1'/>";
    let passed = parse_as(text, Strictness::Tolerant).unwrap();
    assert_eq!(passed.from().as_str(), "A\u{2665}b@alpha.test");
    match parse_as(text, Strictness::Strict) {
        Err(StanzaFault::Stanza(bad)) => {
            assert_eq!(bad.error.condition, StanzaCondition::JidMalformed);
            assert!(bad.reply.is_none());
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn v23_one_domain_is_judged_as_one_however_it_is_written() {
    for spelling in [
        "alpha.test",
        "ALPHA.test",
        "alpha.test.",
        "alpha\u{3002}test",
        "\u{FF41}lpha.test",
        "\u{FF21}LPHA\u{FF0E}TEST",
        "al\u{AD}pha.test",
    ] {
        for address in [
            spelling.to_owned(),
            format!("a@{spelling}"),
            format!("a@{spelling}/r@beta.test/x"),
        ] {
            let stanza = parse(&format!("<message from='{address}' to='b@beta.test'/>"));
            let stanza = stanza.unwrap_or_else(|fault| panic!("{address}: {fault}"));
            assert_eq!(stanza.from().domain().as_str(), "alpha.test", "{address}");
            assert_eq!(stanza.from().as_str(), address);
        }
    }
    for other in [
        "\u{430}lpha.test",
        "alpha.test.beta.test",
        "xalpha.test",
        "alpha-test",
    ] {
        let stanza = parse(&format!("<message from='a@{other}' to='b@beta.test'/>")).unwrap();
        assert_ne!(stanza.from().domain().as_str(), "alpha.test", "{other}");
    }
}

#[test]
fn made_presence_is_addressed() {
    let (from, to) = (
        Jid::parse("a@alpha.test/r").unwrap(),
        Jid::parse("b@beta.test/s").unwrap(),
    );
    assert_eq!(
        written(&Stanza::unavailable(from.clone(), to.clone())),
        "<presence from='a@alpha.test/r' to='b@beta.test/s' type='unavailable'/>"
    );
    let denied = Stanza::unsubscribed(&from, &to);
    assert_eq!(
        written(&denied),
        "<presence from='a@alpha.test' to='b@beta.test' type='unsubscribed'/>"
    );
    assert_eq!(
        (denied.from().as_str(), denied.from().resource()),
        ("a@alpha.test", None)
    );
    assert_eq!(
        written(&Stanza::probe(&from, &to)),
        "<presence from='a@alpha.test' to='b@beta.test' type='probe'/>"
    );
}

#[test]
fn ping_01_a_ping_goes_from_domain_to_domain() {
    let (from, to) = (Domain::parse("org.test"), Domain::parse("alpha.test"));
    let ping = Stanza::ping(from.unwrap(), to.unwrap(), "7");
    assert!(ping.is_request());
    assert_eq!(
        written(&ping),
        "<iq from='org.test' to='alpha.test' id='7' type='get'><ping xmlns='urn:xmpp:ping'/></iq>"
    );
}
