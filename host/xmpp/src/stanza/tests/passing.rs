//! What is a stanza, and what leaves of it on the other side.

use super::*;

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
