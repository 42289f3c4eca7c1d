use super::*;
use crate::{ns, xml::Element};

#[test]
fn every_stream_error_is_read_as_it_was_written() {
    for condition in StreamCondition::ALL {
        let error = StreamError::new(condition).with_text("because <of> that");
        assert_eq!(StreamError::from_element(&error.to_element()), Some(error));
    }
    let error = StreamError::too_big("more than 10000 bytes");
    assert_eq!(error.condition, StreamCondition::PolicyViolation);
    assert!(
        error
            .to_element()
            .child(ns::ERRORS, "stanza-too-big")
            .is_some()
    );
    assert_eq!(StreamError::from_element(&error.to_element()), Some(error));
}

#[test]
fn every_stanza_error_is_read_as_it_was_written() {
    for condition in StanzaCondition::ALL {
        let error = StanzaError::new(condition)
            .with_text("because")
            .with_by("gate.test");
        assert_eq!(StanzaError::from_element(&error.to_element()), Some(error));
    }
    let error = StanzaError::too_big("too long").with_type(ErrorType::Wait);
    assert_eq!(StanzaError::from_element(&error.to_element()), Some(error));
}

#[test]
fn an_unknown_received_condition_is_undefined() {
    for name in ["invalid-id", "xml-not-well-formed", "something-new"] {
        let element =
            Element::new(ns::STREAM, "error").with_child(Element::new(ns::STREAM_ERRORS, name));
        assert_eq!(
            StreamError::from_element(&element).unwrap().condition,
            StreamCondition::UndefinedCondition
        );
    }
    let nothing = Element::new(ns::STREAM, "error");
    assert_eq!(
        StreamError::from_element(&nothing),
        Some(StreamError::new(StreamCondition::UndefinedCondition))
    );
    assert_eq!(
        StreamError::from_element(&Element::new(ns::SERVER, "error")),
        None
    );
}

#[test]
fn the_text_before_the_condition_is_no_condition() {
    let element = Element::new(ns::STREAM, "error")
        .with_child(Element::new(ns::STREAM_ERRORS, "text").with_text("gone"))
        .with_child(Element::new(ns::STREAM_ERRORS, "host-gone"));
    let error = StreamError::from_element(&element).unwrap();
    assert_eq!(
        (error.condition, error.text.as_deref()),
        (StreamCondition::HostGone, Some("gone"))
    );
}

#[test]
fn a_received_text_is_cut_at_a_character() {
    let element = StreamError::new(StreamCondition::Reset)
        .with_text("é".repeat(400))
        .to_element();
    assert_eq!(
        StreamError::from_element(&element).unwrap().text,
        Some("é".repeat(256))
    );
    let element = StreamError::new(StreamCondition::Reset)
        .with_text(format!("x{}", "é".repeat(400)))
        .to_element();
    assert_eq!(
        StreamError::from_element(&element).unwrap().text,
        Some(format!("x{}", "é".repeat(255)))
    );
}

#[test]
fn a_text_that_xml_cannot_write_is_written_without_it() {
    let error = StreamError::new(StreamCondition::Reset).with_text("a\0b\u{1b}[2J\u{FFFE}c");
    assert_eq!(
        error
            .to_element()
            .child(ns::STREAM_ERRORS, "text")
            .unwrap()
            .text(),
        "ab[2Jc"
    );
    let named = StreamError {
        application: Some("x><evil/>".to_owned()),
        ..StreamError::new(StreamCondition::Reset)
    };
    assert!(!named.to_element().to_xml().contains("<evil"));
}

#[test]
fn dns_07_where_else_to_go_is_read() {
    let other = Element::new(ns::STREAM, "error").with_child(
        Element::new(ns::STREAM_ERRORS, "see-other-host").with_text("[2001:db8::1]:5269"),
    );
    let error = StreamError::from_element(&other).unwrap();
    assert_eq!(error.condition, StreamCondition::SeeOtherHost);
    assert_eq!(error.other_host.as_deref(), Some("[2001:db8::1]:5269"));
    let reset = Element::new(ns::STREAM, "error")
        .with_child(Element::new(ns::STREAM_ERRORS, "reset").with_text("elsewhere:1"));
    assert_eq!(StreamError::from_element(&reset).unwrap().other_host, None);
}

#[test]
fn a_reference_stands_in_an_element_of_its_own_and_in_the_text() {
    let error = StanzaError::new(StanzaCondition::PolicyViolation)
        .with_text("no")
        .with_reference("ABCDE-23456");
    let element = error.to_element();
    let refusal = element.child(ns::REFUSAL, "refusal").unwrap();
    assert_eq!(refusal.attribute("id"), Some("ABCDE-23456"));
    let text = element.child(ns::STANZA_ERRORS, "text").unwrap().text();
    assert_eq!(text, "no (reference ABCDE-23456)");

    let stream = StreamError::new(StreamCondition::PolicyViolation).with_reference("ABCDE-23456");
    let element = stream.to_element();
    assert!(element.child(ns::REFUSAL, "refusal").is_some());
    assert!(element.child(ns::STREAM_ERRORS, "text").is_none());
}

#[test]
fn an_error_has_one_application_condition_at_most() {
    let error = StanzaError::too_big("too long").with_reference("ABCDE-23456");
    let element = error.to_element();
    assert!(element.child(ns::ERRORS, "stanza-too-big").is_some());
    assert!(element.child(ns::REFUSAL, "refusal").is_none());
    assert_eq!(error.told().unwrap(), "too long (reference ABCDE-23456)");
}

#[test]
fn anothers_reference_is_not_taken_for_ours() {
    let stanza = StanzaError::new(StanzaCondition::Forbidden).with_reference("ABCDE-23456");
    let read = StanzaError::from_element(&stanza.to_element()).unwrap();
    assert_eq!((read.reference, read.application), (None, None));
    let stream = StreamError::new(StreamCondition::PolicyViolation).with_reference("ABCDE-23456");
    let read = StreamError::from_element(&stream.to_element()).unwrap();
    assert_eq!((read.reference, read.application), (None, None));
}
