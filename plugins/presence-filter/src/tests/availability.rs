//! Levels, and PRS-04 and PRS-05: no ghost, no leak.

use super::*;

#[test]
fn full_changes_nothing() {
    let mut door = Door::new(json!({}));
    let passed = door.outbound(RICH).unwrap();
    for part in [
        "away",
        "fishing",
        "caps",
        "vcard-temp",
        "nick",
        "idle",
        "delay",
    ] {
        assert!(passed.contains(part), "{part}");
    }
}

#[test]
fn show_keeps_how_available_someone_is_and_no_more() {
    let mut door = Door::new(json!({ "outbound": "show" }));
    let passed = door.outbound(RICH).unwrap();
    for kept in [
        "<show>away</show>",
        "<priority>5</priority>",
        "urn:xmpp:delay",
    ] {
        assert!(passed.contains(kept), "{kept}: {passed}");
    }
    for gone in ["fishing", "caps", "vcard-temp", "nick", "idle"] {
        assert!(!passed.contains(gone), "{gone}: {passed}");
    }
}

#[test]
fn show_takes_no_free_text_for_a_show() {
    let mut door = Door::new(json!({ "outbound": "show" }));
    for text in [
        "<show>gone fishing</show>",
        "<show>away</show><show>gone fishing</show>",
    ] {
        let passed = door
            .outbound(&ONLINE.replace("/>", &format!(">{text}</presence>")))
            .unwrap();
        assert!(!passed.contains("fishing"), "{passed}");
    }
}

#[test]
fn online_keeps_whether_someone_is_there() {
    let mut door = Door::new(json!({ "outbound": "online" }));
    let passed = door.outbound(RICH).unwrap();
    assert!(
        !passed.contains("away") && !passed.contains("delay"),
        "{passed}"
    );
    let passed = door.outbound(GONE).unwrap();
    assert!(
        passed.contains("unavailable") && !passed.contains("bye"),
        "{passed}"
    );
}

#[test]
fn none_shows_nothing_and_each_direction_has_its_own_level() {
    let mut door = Door::new(json!({ "outbound": "none" }));
    assert_eq!(door.outbound(ONLINE), None);
    assert!(door.inbound(PARTNER_ONLINE).is_some());
    let mut door = Door::new(json!({ "inbound": "none" }));
    assert!(door.outbound(ONLINE).is_some());
    assert_eq!(door.inbound(PARTNER_ONLINE), None);
}

#[test]
fn prs_04_unavailable_passes_unless_nothing_was_ever_shown() {
    let mut door = Door::new(json!({ "outbound": "online" }));
    assert!(
        door.outbound(GONE).is_some(),
        "above `none` it always passes"
    );

    let mut door = Door::new(json!({ "outbound": "none" }));
    assert_eq!(door.outbound(GONE), None, "nobody ever saw them");
}

#[test]
fn prs_04_what_was_shown_may_go_even_if_taking_it_back_was_missed() {
    let mut door = Door::new(json!({}));
    assert!(door.outbound(ONLINE).is_some());
    // Another instance with the new configuration, which nobody has told to start.
    door.plugin = door.host.load(json!({ "outbound": "none" })).unwrap();
    assert_eq!(door.outbound(ONLINE), None);
    assert!(door.outbound(GONE).is_some());
    assert_eq!(door.outbound(GONE), None, "once is enough");
}

#[test]
fn prs_04_addresses_that_differ_in_case_only_are_the_same() {
    let mut door = Door::new(json!({}));
    assert!(
        door.outbound(&ONLINE.replace("a@org.test", "A@Org.test"))
            .is_some()
    );
    door.plugin = door.host.load(json!({ "outbound": "none" })).unwrap();
    assert_eq!(
        door.outbound(&GONE.replace("/x", "/X")),
        None,
        "another client"
    );
    assert!(door.outbound(GONE).is_some());
}

#[test]
fn prs_04_the_longest_addresses_are_remembered_too() {
    let long = |part: &str| part.repeat(1023);
    let from = format!("{}@org.test/{}", long("a"), long("x"));
    let mut door = Door::new(json!({}));
    assert!(
        door.outbound(&ONLINE.replace("a@org.test/x", &from))
            .is_some()
    );
    door.reload(json!({ "outbound": "none" }));
    assert_eq!(door.emitted(), [unavailable(&from, "b@alpha.test")]);
}

#[test]
fn prs_04_when_the_state_fails_nothing_new_is_shown_and_everybody_may_go() {
    for (level, may_go) in [("full", true), ("none", true)] {
        let mut door = Door::new(json!({ "outbound": level }));
        door.host
            .fail_state(Some(state::StateError::Unavailable("disk".into())));
        let (verdict, _) = door
            .host
            .decide(&mut door.plugin, Direction::Outbound, ONLINE);
        assert!(verdict.is_drop(), "{level}");
        assert_eq!(door.outbound(GONE).is_some(), may_go, "{level}");
    }
}

#[test]
fn prs_05_a_probe_is_not_put_where_the_answer_would_be_hidden() {
    let probe = "<presence type='probe' from='b@alpha.test' to='a@org.test'/>";
    let ours = "<presence type='probe' from='a@org.test' to='b@alpha.test'/>";
    let mut door = Door::new(json!({ "outbound": "none" }));
    assert_eq!(door.inbound(probe), None);
    assert!(door.outbound(ours).is_some());
    assert_eq!(door.emitted(), []);
    let mut door = Door::new(json!({ "inbound": "none" }));
    assert_eq!(door.outbound(ours), None);
    assert!(door.inbound(probe).is_some());
}

#[test]
fn prs_05_the_answer_to_a_probe_is_reduced_whatever_address_it_goes_to() {
    let mut door = Door::new(json!({ "outbound": "show" }));
    let reply = RICH.replace("to='b@alpha.test'", "to='b@alpha.test/y'");
    assert!(!door.outbound(&reply).unwrap().contains("fishing"));
    let mut door = Door::new(json!({ "outbound": "none" }));
    assert_eq!(door.outbound(&reply), None);
}

#[test]
fn prs_05_an_error_tells_nothing_at_none() {
    let error = "<presence type='error' from='a@org.test' to='b@alpha.test/y'><error type='wait'><recipient-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>";
    assert_eq!(
        Door::new(json!({ "outbound": "none" })).outbound(error),
        None
    );
    assert!(
        Door::new(json!({ "outbound": "online" }))
            .outbound(error)
            .is_some()
    );
}
