use super::*;
use crate::{
    error::{StanzaCondition, StanzaError, StreamCondition},
    frame::{Event, Framer, Limits},
    jid::{Domain, Strictness},
};

const OPEN: &str = "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' xml:lang='de'>";
const LIMIT: usize = 10_000;

fn parse(text: &str) -> Result<Stanza, StanzaFault> {
    parse_as(text, Strictness::Tolerant)
}

fn parse_as(text: &str, addresses: Strictness) -> Result<Stanza, StanzaFault> {
    let mut framer = Framer::new(Limits {
        unauthenticated_bytes: LIMIT,
        stanza_bytes: LIMIT,
        addresses,
        ..Limits::default()
    });
    framer.push(OPEN.as_bytes());
    framer.push(text.as_bytes());
    assert!(matches!(framer.next(), Ok(Some(Event::Open(_)))));
    match framer.next() {
        Ok(Some(Event::Element(frame))) => Stanza::parse(frame),
        other => panic!("{text}: {other:?}"),
    }
}

fn stanza(kind: &str, inside: &str) -> Stanza {
    parse(&format!(
        "<{kind} from='a@alpha.test/r' to='b@beta.test' id='7' {inside}"
    ))
    .unwrap()
}

fn closes(text: &str) -> StreamCondition {
    match parse(text) {
        Err(StanzaFault::Stream(error)) => error.condition,
        other => panic!("{text}: {other:?}"),
    }
}

fn bad(text: &str) -> Box<BadStanza> {
    match parse(text) {
        Err(StanzaFault::Stanza(bad)) => bad,
        other => panic!("{text}: {other:?}"),
    }
}

fn written(stanza: &Stanza) -> String {
    String::from_utf8(stanza.to_bytes()).unwrap()
}

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
fn str_11_another_content_namespace_closes_the_stream() {
    assert_eq!(
        closes("<message xmlns='jabber:client' from='a@alpha.test' to='b@beta.test'/>"),
        StreamCondition::InvalidNamespace
    );
}

#[test]
fn str_12_what_is_no_stanza_closes_the_stream() {
    for text in [
        "<foo/>",
        "<message xmlns='urn:x'/>",
        "<x:message xmlns:x='urn:x' from='a@alpha.test' to='b@beta.test'/>",
        "<Message/>",
    ] {
        assert_eq!(
            closes(text),
            StreamCondition::UnsupportedStanzaType,
            "{text}"
        );
    }
}

#[test]
fn adr_05_a_stanza_is_written_as_it_came() {
    let text = "<message from='A@ALPHA.test./r' to='b@beta.test' id='7' type='strange' xml:lang='en'><body>hi</body></message>";
    let stanza = parse(text).unwrap();
    assert_eq!(written(&stanza), text);
    assert_eq!(stanza.subtype(), Subtype::Normal);
    assert_eq!(stanza.wire_size(), text.len());
}

/// XEP-0297, XEP-0280 and XEP-0313 carry a client's stanza inside; only our own namespace is left out
/// where the stream declares it.
#[test]
fn str_13_what_is_forwarded_keeps_its_namespaces_to_the_byte() {
    let text = "<message from='a@alpha.test' to='b@beta.test' xml:lang='en'>\
                <result xmlns='urn:xmpp:mam:2' id='1'><forwarded xmlns='urn:xmpp:forward:0'>\
                <delay xmlns='urn:xmpp:delay' stamp='2026-11-22T10:00:00Z'/>\
                <message xmlns='jabber:client' from='a@alpha.test/r' to='b@beta.test' type='chat' xml:lang='de'>\
                <body>hi</body><x xmlns='jabber:server'/><y xmlns=''/></message></forwarded></result></message>";
    let stanza = parse(text).unwrap();
    assert_eq!(written(&stanza), text);
    assert!(stanza.contains("body", ns::CLIENT) && !stanza.contains("body", ns::SERVER));
    // The same, from a stream that writes prefixes.
    let prefixed = "<message from='a@alpha.test' to='b@beta.test' xml:lang='en' xmlns:f='urn:xmpp:forward:0' xmlns:c='jabber:client'>\
                    <f:forwarded><c:message><c:body>hi</c:body></c:message></f:forwarded></message>";
    assert_eq!(
        written(&parse(prefixed).unwrap()),
        "<message from='a@alpha.test' to='b@beta.test' xml:lang='en'><forwarded xmlns='urn:xmpp:forward:0'>\
         <message xmlns='jabber:client'><body>hi</body></message></forwarded></message>"
    );
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
fn adr_08_an_error_says_who_found_it_where_that_is_known() {
    let message = stanza("message", "/>");
    let by = |error: StanzaError| {
        let reply = message.error_reply(&error).unwrap();
        let element = reply.root().child(ns::SERVER, "error").unwrap();
        element.attribute("by").map(str::to_owned)
    };
    let denied = StanzaError::new(StanzaCondition::PolicyViolation);
    assert_eq!(
        by(denied.clone().with_by("gate.test")),
        Some("gate.test".to_owned())
    );
    // What a peer's own limit forbids (XEP-0478 §4) has none.
    assert_eq!(
        by(StanzaError::too_big("longer than the server takes")),
        None
    );
}

#[test]
fn str_14_the_streams_language_goes_with_the_stanza() {
    let without = stanza("message", "/>");
    assert_eq!(without.lang(), Some("de"));
    assert_eq!(
        written(&without),
        "<message from='a@alpha.test/r' to='b@beta.test' id='7' xml:lang='de'/>"
    );
    assert_eq!(
        without.to_xml(),
        "<message xmlns='jabber:server' from='a@alpha.test/r' to='b@beta.test' id='7' xml:lang='de'/>"
    );
    let with = stanza("message", "xml:lang='fr'/>");
    assert_eq!(with.lang(), Some("fr"));
    assert!(written(&with).contains("xml:lang='fr'") && !written(&with).contains("'de'"));
    let empty = stanza("message", "xml:lang=''/>");
    assert!(written(&empty).contains("xml:lang=''") && !written(&empty).contains("'de'"));
}

#[test]
fn adr_06_an_iq_needs_an_id_a_type_and_one_child() {
    for text in [
        "<iq from='a@alpha.test' to='b@beta.test' type='get'><x/></iq>",
        "<iq from='a@alpha.test' to='b@beta.test' type='get' id=''><x/></iq>",
        "<iq from='a@alpha.test' to='b@beta.test' id='1'><x/></iq>",
        "<iq from='a@alpha.test' to='b@beta.test' type='ask' id='1'><x/></iq>",
        "<iq from='a@alpha.test' to='b@beta.test' type='get' id='1'/>",
        "<iq from='a@alpha.test' to='b@beta.test' type='set' id='1'><x/><y/></iq>",
        "<presence from='a@alpha.test' to='b@beta.test' type='available'/>",
    ] {
        let bad = bad(text);
        assert_eq!(bad.error.condition, StanzaCondition::BadRequest, "{text}");
        let reply = bad.reply.unwrap_or_else(|| panic!("{text}"));
        assert_eq!(
            (reply.from().as_str(), reply.to().as_str()),
            ("b@beta.test", "a@alpha.test")
        );
        assert_eq!(reply.subtype(), Subtype::Error);
    }
    for text in [
        "<iq from='a@alpha.test' to='b@beta.test' type='result'/>",
        "<iq from='a@alpha.test' to='b@beta.test' type='error'/>",
        "<iq from='a@alpha.test' to='b@beta.test' type='result' id='1'><x/><y/></iq>",
    ] {
        assert!(bad(text).reply.is_none(), "{text}");
    }
}

#[test]
fn adr_07_an_error_goes_back_with_the_addresses_swapped_and_no_payload() {
    let iq = stanza(
        "iq",
        "type='get'><query xmlns='urn:secret'>secret</query></iq>",
    );
    let error = StanzaError::new(StanzaCondition::NotAllowed)
        .with_text("no")
        .with_by("gate.test");
    let reply = iq.error_reply(&error).unwrap();
    assert_eq!(
        written(&reply),
        "<iq from='b@beta.test' to='a@alpha.test/r' id='7' type='error'><error by='gate.test' type='cancel'>\
         <not-allowed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
         <text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' xml:lang='en'>no</text></error></iq>"
    );
    assert_eq!(
        StanzaError::from_element(reply.root().child(ns::SERVER, "error").unwrap()),
        Some(error)
    );
    assert_eq!(parse(&written(&reply)).unwrap().id(), Some("7"));
}

#[test]
fn adr_07_what_must_not_be_answered_is_not() {
    let error = StanzaError::new(StanzaCondition::ServiceUnavailable);
    for (kind, inside) in [
        ("message", "type='error'/>"),
        ("iq", "type='error'/>"),
        ("iq", "type='result'/>"),
        ("presence", "/>"),
        ("presence", "type='unavailable'/>"),
        ("presence", "type='probe'/>"),
        ("presence", "type='error'/>"),
    ] {
        assert!(
            stanza(kind, inside).error_reply(&error).is_none(),
            "{kind} {inside}"
        );
    }
    for (kind, inside) in [
        ("message", "/>"),
        ("message", "type='groupchat'/>"),
        ("presence", "type='subscribe'/>"),
    ] {
        assert!(
            stanza(kind, inside).error_reply(&error).is_some(),
            "{kind} {inside}"
        );
    }
}

#[test]
fn msg_01_a_room_gets_no_error_for_what_it_sends_to_an_occupant() {
    let from_room =
        parse("<message from='room@alpha.test/n' to='b@beta.test/r' type='groupchat'/>").unwrap();
    assert!(
        from_room
            .error_reply(&StanzaError::new(StanzaCondition::PolicyViolation))
            .is_none()
    );
}

#[test]
fn xml_06_a_stanza_that_would_be_too_long_anew_is_answered() {
    let namespace = "u".repeat(4_000);
    let bad = bad(&format!(
        "<message from='a@alpha.test' to='b@beta.test' xmlns:p='{namespace}'>{}</message>",
        "<p:a/>".repeat(10)
    ));
    assert_eq!(bad.error.condition, StanzaCondition::PolicyViolation);
    assert_eq!(bad.error.application.as_deref(), Some("stanza-too-big"));
    assert!(
        bad.reply
            .unwrap()
            .root()
            .child(ns::SERVER, "error")
            .unwrap()
            .child(ns::ERRORS, "stanza-too-big")
            .is_some()
    );
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

const MESSAGE: &str = "type='chat'><body>one &amp; two</body><x xmlns='urn:x' a='1'><y xmlns='urn:y'/></x><x xmlns='urn:x'/>text</message>";

#[test]
fn reads_find_direct_children_and_any_element_below() {
    let message = stanza("message", MESSAGE);
    assert_eq!(message.body().as_deref(), Some("one & two"));
    assert_eq!(
        message.payloads().collect::<Vec<_>>(),
        [("body", ns::SERVER), ("x", "urn:x"), ("x", "urn:x")]
    );
    assert_eq!(
        (
            message.count("x", "urn:x"),
            message.count("", "urn:x"),
            message.count("x", ""),
            message.count("", "")
        ),
        (2, 2, 2, 3)
    );
    assert_eq!(message.count("y", "urn:y"), 0);
    assert!(
        message.contains("y", "urn:y")
            && message.contains("", "urn:y")
            && !message.contains("z", "")
    );
    assert_eq!(message.child_text("body", "").as_deref(), Some("one & two"));
    assert_eq!(message.child_attribute("x", "urn:x", "a"), Some("1"));
    assert_eq!(
        message.child_xml("", "urn:x").as_deref(),
        Some("<x xmlns='urn:x' a='1'><y xmlns='urn:y'/></x>")
    );
    assert_eq!(message.attribute("type"), Some("chat"));
    assert_eq!(
        stanza("presence", "><body>x</body></presence>").body(),
        None
    );
}

#[test]
fn an_edit_leaves_clones_alone() {
    let before = stanza("message", MESSAGE);
    let mut after = before.clone();
    assert_eq!(after.remove("x", "urn:x"), Ok(2));
    assert_eq!(after.remove("x", "urn:x"), Ok(0));
    assert_eq!(before.count("x", "urn:x"), 2);
    assert!(written(&after).ends_with("<body>one &amp; two</body>text</message>"));
}

#[test]
fn retain_keeps_the_list_and_no_text() {
    let mut message = stanza("message", MESSAGE);
    assert_eq!(message.retain(&[("body", ns::SERVER)]), Ok(2));
    assert!(written(&message).ends_with("xml:lang='de'><body>one &amp; two</body></message>"));
}

#[test]
fn text_and_attributes_are_replaced_in_the_first_match() {
    let mut message = stanza("message", MESSAGE);
    message.set_text("x", "urn:x", "<new>", LIMIT).unwrap();
    message
        .set_child_attribute("x", "urn:x", "b", "'2'", LIMIT)
        .unwrap();
    assert!(
        written(&message)
            .contains("<x xmlns='urn:x' a='1' b='&apos;2&apos;'>&lt;new&gt;</x><x xmlns='urn:x'/>")
    );
    assert!(matches!(
        message.set_text("z", "", "t", LIMIT),
        Err(EditError::Forbidden(_))
    ));
    assert!(matches!(
        message.set_text("x", "", "\0", LIMIT),
        Err(EditError::Malformed(_))
    ));
    assert!(matches!(
        message.set_child_attribute("x", "", "a", "\u{FFFE}", LIMIT),
        Err(EditError::Malformed(_))
    ));
    for name in ["xmlns", "xmlns:p", "p:a", "", "1", "a b"] {
        assert!(
            matches!(
                message.set_child_attribute("x", "", name, "v", LIMIT),
                Err(EditError::Malformed(_))
            ),
            "{name}"
        );
    }
}

#[test]
fn an_inserted_element_is_parsed_as_strictly_as_any() {
    let mut message = stanza("message", MESSAGE);
    message
        .insert(" <note xmlns='urn:n'>x</note>\n", LIMIT)
        .unwrap();
    message.insert("<subject>s</subject>", LIMIT).unwrap();
    assert!(
        written(&message)
            .ends_with("text<note xmlns='urn:n'>x</note><subject>s</subject></message>")
    );
    let before = written(&message);
    for xml in [
        "",
        "text",
        "<a/><b/>",
        "<a>",
        "<!-- --><a/>",
        "<a>&x;</a>",
        "<p:a/>",
        "<?xml version='1.0'?><a/>",
        "</message><message>",
    ] {
        assert!(
            matches!(message.insert(xml, LIMIT), Err(EditError::Malformed(_))),
            "{xml}"
        );
    }
    let deep = format!("{}{}", "<a>".repeat(64), "</a>".repeat(64));
    assert!(matches!(
        message.insert(&deep, LIMIT),
        Err(EditError::Malformed(_))
    ));
    assert!(matches!(
        message.insert("<error/>", LIMIT),
        Err(EditError::Forbidden(_))
    ));
    assert_eq!(written(&message), before);
}

#[test]
fn no_edit_makes_a_stanza_too_long() {
    let mut message = stanza("message", MESSAGE);
    let now = message.to_bytes().len();
    assert_eq!(message.insert("<a/>", now + 3), Err(EditError::TooLarge));
    assert_eq!(message.insert("<a/>", now + 4), Ok(()));
    assert_eq!(message.to_bytes().len(), now + 4);
    assert_eq!(
        message.set_text("body", "", "one & three", now + 4),
        Err(EditError::TooLarge)
    );
    // What grows shorter may stay too long.
    assert_eq!(message.set_text("body", "", "one", 10), Ok(()));
}

#[test]
fn no_edit_makes_an_iq_illegal() {
    let mut request = stanza("iq", "type='get'><query xmlns='urn:q'><item/></query></iq>");
    assert!(matches!(
        request.remove("query", ""),
        Err(EditError::Forbidden(_))
    ));
    assert!(matches!(
        request.retain::<&str, &str>(&[]),
        Err(EditError::Forbidden(_))
    ));
    assert!(matches!(
        request.insert("<x/>", LIMIT),
        Err(EditError::Forbidden(_))
    ));
    assert_eq!(request.set_text("query", "urn:q", "", LIMIT), Ok(()));
    let mut result = stanza("iq", "type='result'><query xmlns='urn:q'/></iq>");
    assert!(matches!(
        result.insert("<x/>", LIMIT),
        Err(EditError::Forbidden(_))
    ));
    assert_eq!(result.remove("query", ""), Ok(1));
    assert_eq!(result.insert("<x/>", LIMIT), Ok(()));
    let mut error = stanza("message", "type='error'><body/><error/></message>");
    assert!(matches!(
        error.remove("", ns::SERVER),
        Err(EditError::Forbidden(_))
    ));
    assert_eq!(error.remove("body", ns::SERVER), Ok(1));
}

#[test]
fn a_type_changes_within_its_group_only() {
    let mut message = stanza("message", "type='chat'/>");
    assert_eq!(message.set_subtype(Subtype::Headline), Ok(()));
    assert_eq!(message.attribute("type"), Some("headline"));
    assert_eq!(message.set_subtype(Subtype::Normal), Ok(()));
    assert_eq!(message.attribute("type"), None);
    for (kind, inside, to) in [
        ("message", "/>", Subtype::Error),
        ("message", "/>", Subtype::Available),
        ("presence", "/>", Subtype::Subscribe),
        ("presence", "type='subscribe'/>", Subtype::Subscribed),
        ("iq", "type='get'><x/></iq>", Subtype::Result),
        ("iq", "type='result'/>", Subtype::Set),
        ("iq", "type='result'/>", Subtype::Error),
    ] {
        let mut stanza = stanza(kind, inside);
        assert!(
            matches!(stanza.set_subtype(to), Err(EditError::Forbidden(_))),
            "{kind} {inside} {to}"
        );
    }
    for (kind, inside, to) in [
        ("presence", "/>", Subtype::Unavailable),
        ("presence", "type='subscribe'/>", Subtype::Unsubscribe),
        ("iq", "type='get'><x/></iq>", Subtype::Set),
    ] {
        let mut stanza = stanza(kind, inside);
        assert_eq!(stanza.set_subtype(to), Ok(()));
        assert_eq!(stanza.subtype(), to);
        assert_eq!(parse(&written(&stanza)).unwrap().subtype(), to);
    }
}

#[test]
fn a_path_reaches_every_text_in_every_language_at_any_depth() {
    let message = stanza(
        "message",
        "xml:lang='en'><body>one</body><body xml:lang='fr'>t<x xmlns='urn:x'>w</x>o</body>\
         <html xmlns='urn:h'><body><p a='1'>thr</p><p a='2'>ee</p></body></html></message>",
    );
    let text = |lang, text: &str| (lang, text.to_owned());
    assert_eq!(
        message.texts(&[("body", ns::SERVER)]),
        [text("en", "one"), text("fr", "two")]
    );
    assert_eq!(
        message.texts(&[("html", "urn:h"), ("body", "")]),
        [text("en", "three")]
    );
    assert_eq!(message.texts::<&str>(&[]), [text("en", "onetwothree")]);
    assert_eq!(message.texts(&[("none", "")]), []);
    let p = [("html", ""), ("body", ""), ("p", "urn:h")];
    assert_eq!(message.attributes(&p, "a"), ["1", "2"]);
    assert_eq!(message.attributes::<&str>(&[], "id"), ["7"]);
}
