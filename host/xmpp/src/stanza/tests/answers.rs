//! What is answered with an error, and how.

use super::*;

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
