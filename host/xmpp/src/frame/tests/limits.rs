//! What an element may cost, while it arrives and afterwards.

use super::*;

#[test]
fn xml_06_an_element_may_have_just_so_many_bytes() {
    let sized = |bytes: usize| format!("<message>{}</message>", "x".repeat(bytes - 19));
    let most = limits().stanza_bytes;
    assert_eq!(sized(most).len(), most);
    let (events, _) = after_open(sized(most).as_bytes());
    assert!(matches!(&events[..], [Event::Element(frame)] if frame.wire_size() == most));
    let (_, error) = after_open(sized(most + 1).as_bytes());
    assert_eq!(error, Some(FrameError::TooBig(most)));
    let told = error.unwrap().stream_error();
    assert_eq!(told.condition, StreamCondition::PolicyViolation);
    assert_eq!(told.application.as_deref(), Some("stanza-too-big"));
}

#[test]
fn v11_an_endless_element_ends_at_the_limit_before_authentication() {
    let endless = ["<a b='", "<a>", "<a b='1' ", "<a", "<a/", "<a><![CDATA["];
    for begin in endless {
        let mut framer = Framer::new(Limits {
            attributes: usize::MAX,
            elements: usize::MAX,
            depth: usize::MAX,
            ..Limits::default()
        });
        framer.push(OPEN.as_bytes());
        assert!(matches!(framer.next(), Ok(Some(Event::Open(_)))));
        framer.push(begin.as_bytes());
        let mut pushed = begin.len();
        let error = loop {
            match framer.next() {
                Ok(None) => {}
                Ok(event) => panic!("{event:?}"),
                Err(error) => break error,
            }
            framer.push(b"x");
            pushed += 1;
        };
        assert!(
            matches!(error, FrameError::TooBig(_) | FrameError::Xml(_)),
            "{error}"
        );
        assert!(pushed <= 16 * 1024, "{pushed}");
        assert_eq!(framer.buffered(), 0);
    }
}

#[test]
fn v11_a_header_and_what_is_before_it_have_a_limit_too() {
    for text in ["<stream:stream to='", " ", "<?xml ", "\n\n"] {
        let (events, error) = read([text.as_bytes(), &[b' '; 20_000]]);
        assert!(events.is_empty());
        assert_eq!(error, Some(FrameError::TooBig(16 * 1024)), "{text}");
    }
}

#[test]
fn v10_attribute_and_namespace_floods_are_stopped_while_they_arrive() {
    let flood = |one: &str| format!("<a{}", one.repeat(2_000)).into_bytes();
    for one in [" a=''", " xmlns:a=''", " xmlns:a = \"\""] {
        let content = flood(one);
        let (_, error) = after_open(&content[..2_000]);
        assert!(
            matches!(error, Some(FrameError::Xml(XmlError::Limit(_)))),
            "{one}"
        );
    }
    let many = "<b xmlns='u'/>".repeat(300);
    assert_eq!(
        after_open(format!("<a>{many}").as_bytes()).1,
        Some(XmlError::Limit("namespace declarations").into())
    );
}

#[test]
fn v13_nesting_is_stopped_while_it_arrives() {
    assert_eq!(
        condition("<a>".repeat(65)),
        StreamCondition::PolicyViolation
    );
    assert_eq!(
        elements(&format!("{}{}", "<a>".repeat(64), "</a>".repeat(64))).len(),
        1
    );
}

#[test]
fn memory_is_given_back_after_a_big_stanza() {
    let mut framer = Framer::new(Limits::default());
    framer.authenticated();
    framer.push(OPEN.as_bytes());
    assert!(matches!(framer.next(), Ok(Some(Event::Open(_)))));
    framer.push(format!("<message>{}</message><iq", "x".repeat(400_000)).as_bytes());
    assert!(matches!(framer.next(), Ok(Some(Event::Element(_)))));
    assert_eq!(framer.next(), Ok(None));
    assert_eq!(framer.buffered(), 3);
    assert!(
        framer.buffer.capacity() <= KEPT_BYTES,
        "{}",
        framer.buffer.capacity()
    );
}

#[test]
fn a_slow_trickle_is_scanned_once() {
    // A scanner that began anew with each byte would look at 10^11 bytes here.
    let mut framer = Framer::new(Limits::default());
    framer.authenticated();
    framer.push(OPEN.as_bytes());
    assert!(matches!(framer.next(), Ok(Some(Event::Open(_)))));
    framer.push(b"<message a='");
    for _ in 0..500_000 {
        framer.push(b"x");
        assert_eq!(framer.next(), Ok(None));
    }
    framer.push(b"'/>");
    assert!(matches!(framer.next(), Ok(Some(Event::Element(_)))));
}

#[test]
fn v02_long_namespaces_used_often_do_not_outgrow_the_limit() {
    let ns = "u".repeat(5_000);
    let (events, _) = after_open(
        format!(
            "<message xmlns:p='{ns}'>{}</message>",
            "<p:a/>".repeat(1_000)
        )
        .as_bytes(),
    );
    assert!(matches!(&events[..], [Event::Element(frame)] if frame.rewritten == Rewritten::TooBig));
    let (events, _) =
        after_open(format!("<message>{}</message>", "<![CDATA[<<<<<]]>".repeat(1_000)).as_bytes());
    assert!(matches!(&events[..], [Event::Element(frame)] if frame.rewritten == Rewritten::TooBig));
    let (events, _) = after_open(format!("<message>{}</message>", "x".repeat(15_000)).as_bytes());
    assert!(matches!(&events[..], [Event::Element(frame)] if frame.rewritten == Rewritten::Fits));
}
