//! What a plugin reads of a stanza, and what it may change.

use super::*;

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
