//! Where an element ends, however its bytes are cut.

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::xml::generate;

#[test]
fn v02_what_looks_like_an_end_is_none_in_quotes_and_cdata() {
    assert_eq!(
        elements("<a b='/>' c=\"'>\"><![CDATA[</a>]]]]><![CDATA[>]]>/&gt;</a><b/>"),
        [
            "<a b='/&gt;' c='&apos;&gt;'>&lt;/a&gt;]]&gt;/&gt;</a>",
            "<b/>"
        ]
    );
}

#[test]
fn v02_a_stream_inside_a_stanza_is_just_an_element() {
    assert_eq!(
        elements("<message><stream:stream><message/></stream:stream></message>"),
        [
            "<message><stream xmlns='http://etherx.jabber.org/streams'><message xmlns='jabber:server'/></stream></message>"
        ]
    );
    assert_eq!(
        condition("<message></stream:stream>"),
        StreamCondition::NotWellFormed
    );
}

#[test]
fn v02_a_truncated_character_swallows_no_markup() {
    for at in 0..4 {
        let text = ["<message><body>", "x", "</body>", "</message>"];
        let mut bytes = Vec::new();
        for (index, part) in text.iter().enumerate() {
            bytes.extend_from_slice(part.as_bytes());
            if index == at {
                bytes.extend_from_slice(b"\xEB<foo>");
            }
        }
        let (events, error) = after_open(&bytes);
        assert!(error.is_some() || events.is_empty(), "{at}: {events:?}");
    }
}

#[test]
fn the_end_of_the_stream_bears_the_headers_name() {
    assert!(matches!(
        &after_open(b"</stream:stream>ignored<").0[..],
        [Event::Close]
    ));
    for close in ["</stream>", "</x:stream>", "</ stream:stream>"] {
        assert_eq!(condition(close), StreamCondition::NotWellFormed, "{close}");
    }
}

#[test]
fn a_failed_framer_goes_on_failing_and_holds_nothing() {
    let mut framer = Framer::new(limits());
    framer.push(b"x");
    assert!(framer.next().is_err());
    framer.push(OPEN.as_bytes());
    assert!(framer.next().is_err());
    assert_eq!(framer.buffered(), 0);
}

#[test]
fn v03_what_came_before_a_restart_can_be_discarded() {
    let mut framer = Framer::new(limits());
    framer.push(OPEN.as_bytes());
    framer.push(b"<starttls/><auth/>");
    assert!(matches!(framer.next(), Ok(Some(Event::Open(_)))));
    assert!(matches!(framer.next(), Ok(Some(Event::Element(_)))));
    assert_eq!(framer.discard(), 7);
    framer.restart();
    assert_eq!(framer.next(), Ok(None));
    // What the old header declared is forgotten.
    framer.push(b"<stream xmlns='http://etherx.jabber.org/streams'><db:result/>");
    assert!(matches!(framer.next(), Ok(Some(Event::Open(_)))));
    assert!(framer.next().is_err());
}

/// A stream's content: elements, whitespace, and pieces that are nearly XML.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        4 => generate::element().prop_map(|element| element.to_xml().into_bytes()),
        1 => Just(b" \n".to_vec()),
        1 => generate::mutated(),
        1 => generate::soup(),
    ];
    vec(part, 1..6).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn events_do_not_depend_on_how_the_bytes_are_cut(content in content(), sizes in vec(1..40_usize, 1..20)) {
        let bytes = [OPEN.as_bytes(), &content].concat();
        let whole = read([&bytes[..]]);
        prop_assert_eq!(&read(bytes.chunks(1)), &whole);
        let mut rest = &bytes[..];
        let mut pieces = Vec::new();
        for size in sizes.iter().cycle() {
            let (piece, tail) = rest.split_at((*size).min(rest.len()));
            pieces.push(piece);
            rest = tail;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(read(pieces), whole);
    }

    #[test]
    fn xml_07_generated_streams_give_back_every_element(elements in vec(generate::element(), 0..5)) {
        let bytes = elements.iter().map(|element| Writer::new(ns::SERVER).to_xml(element)).collect::<Vec<_>>().join("\n");
        let (events, error) = after_open(bytes.as_bytes());
        prop_assert_eq!(error, None);
        let read: Vec<Element> = events.into_iter().filter_map(|event| match event {
            Event::Element(frame) => Some(frame.into_element()),
            _ => None,
        }).collect();
        prop_assert_eq!(read, elements);
    }
}
