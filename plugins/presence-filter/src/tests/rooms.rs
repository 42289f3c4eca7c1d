//! PRS-06 and MSG-01: directed presence keeps working, and nobody is thrown out of a room.

use super::*;

const JOIN: &str = "<presence from='a@org.test/x' to='room@alpha.test/al'><show>away</show><status>gone fishing</status>\
    <x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x></presence>";
const OCCUPANT: &str = "<presence from='room@alpha.test/bo' to='a@org.test/x'><status>there</status>\
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='member' role='participant'/></x>\
    <occupant-id xmlns='urn:xmpp:occupant-id:0' id='7'/></presence>";
const LEAVE: &str = "<presence type='unavailable' from='a@org.test/x' to='room@alpha.test/al'/>";
const KICKED: &str = "<presence type='unavailable' from='room@alpha.test/al' to='a@org.test/x'>\
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='none'/><status code='307'/></x></presence>";

fn closed() -> Value {
    json!({ "inbound": "none", "outbound": "none" })
}

#[test]
fn prs_06_a_room_works_at_level_none() {
    let mut door = Door::new(closed());
    assert!(door.outbound(JOIN).unwrap().contains("maxstanzas"));
    let seen = door.inbound(OCCUPANT).unwrap();
    assert!(
        seen.contains("affiliation") && seen.contains("occupant-id"),
        "{seen}"
    );
    let nick = "<presence from='a@org.test/x' to='room@alpha.test/al2'/>";
    assert!(door.outbound(nick).is_some(), "a new nickname");
    assert!(door.outbound(LEAVE).is_some());
    assert!(door.outbound(LEAVE).is_none(), "nobody is there any more");
}

#[test]
fn prs_06_a_room_of_ours_works_for_a_partner() {
    let mut door = Door::new(closed());
    let turn = |xml: &str| {
        xml.replace("a@org.test", "b@alpha.test")
            .replace("room@alpha.test", "room@conference.org.test")
    };
    assert!(door.inbound(&turn(JOIN)).is_some());
    assert!(door.outbound(&turn(OCCUPANT)).is_some());
    assert!(door.inbound(&turn(LEAVE)).is_some());
}

#[test]
fn prs_06_directed_presence_is_reduced_like_any_other() {
    let mut door = Door::new(json!({ "outbound": "show" }));
    let passed = door.outbound(JOIN).unwrap();
    assert!(
        passed.contains("away") && passed.contains("maxstanzas"),
        "{passed}"
    );
    assert!(!passed.contains("fishing"), "{passed}");
    assert!(!Door::new(closed()).outbound(JOIN).unwrap().contains("away"));
}

#[test]
fn prs_06_filter_makes_it_presence_like_any_other() {
    let mut door = Door::new(json!({ "outbound": "none", "directed": "filter" }));
    assert_eq!(door.outbound(JOIN), None);
}

#[test]
fn prs_06_the_mark_of_a_room_alone_opens_nothing() {
    let mut door = Door::new(closed());
    assert_eq!(door.inbound(OCCUPANT), None, "nobody joined");
    door.outbound(JOIN);
    assert_eq!(
        door.inbound(&OCCUPANT.replace("/x'", "/other'")),
        None,
        "another client did"
    );
    assert_eq!(
        door.inbound(&OCCUPANT.replace("room@", "other@")),
        None,
        "another room"
    );
    // A partner "joins" a user: that user's presence stays hidden all the same.
    let trick = "<presence from='b@alpha.test/y' to='a@org.test/x'><x xmlns='http://jabber.org/protocol/muc'/></presence>";
    door.inbound(trick);
    assert_eq!(
        door.outbound("<presence from='a@org.test/x' to='b@alpha.test/y'/>"),
        None
    );
}

#[test]
fn prs_06_a_reload_throws_nobody_out_of_a_room() {
    let mut door = Door::new(json!({}));
    door.outbound(JOIN);
    door.inbound(OCCUPANT);
    door.reload(closed());
    assert_eq!(door.emitted(), []);
    assert!(door.inbound(OCCUPANT).is_some());
    door.reload(json!({ "outbound": "none", "directed": "filter" }));
    assert_eq!(
        door.emitted(),
        [unavailable("a@org.test/x", "room@alpha.test/al")]
    );
}

#[test]
fn prs_06_why_joining_failed_is_told() {
    let mut door = Door::new(closed());
    door.outbound(JOIN);
    let conflict = "<presence type='error' from='room@alpha.test/al' to='a@org.test/x'><x xmlns='http://jabber.org/protocol/muc'/><error type='cancel'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>";
    assert!(door.inbound(conflict).is_some());
}

#[test]
fn msg_01_what_a_room_sends_is_never_answered_with_an_error() {
    // `Door::decide` asserts it for each stanza of these tests; here for what a room sends unasked.
    let mut door = Door::new(closed());
    assert_eq!(door.inbound(OCCUPANT), None);
    door.outbound(JOIN);
    assert!(door.inbound(KICKED).is_some());
    assert_eq!(door.emitted(), []);
}
