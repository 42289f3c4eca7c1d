//! PRS-04: a configuration that shows less takes back what was shown, both ways.

use super::*;

fn both_online() -> Door {
    let mut door = Door::new(json!({}));
    assert!(door.outbound(ONLINE).is_some());
    assert!(door.inbound(PARTNER_ONLINE).is_some());
    door
}

#[test]
fn prs_04_narrowing_to_none_takes_back_what_was_shown_in_that_direction() {
    let ours = unavailable("a@org.test/x", "b@alpha.test");
    let theirs = unavailable("b@alpha.test/y", "a@org.test");
    for (config, expected) in [
        (json!({ "outbound": "none" }), vec![ours.clone()]),
        (json!({ "inbound": "none" }), vec![theirs.clone()]),
        (
            json!({ "inbound": "none", "outbound": "none" }),
            vec![theirs, ours],
        ),
        (json!({ "inbound": "online", "outbound": "show" }), vec![]),
        (
            json!({ "rule": [{ "partner": "beta.test", "outbound": "none" }] }),
            vec![],
        ),
    ] {
        let mut door = both_online();
        door.reload(config.clone());
        assert_eq!(door.emitted(), expected, "{config}");
        door.reload(config);
        assert_eq!(door.emitted(), [], "once is enough");
    }
}

#[test]
fn prs_04_who_has_gone_already_is_not_taken_back() {
    let mut door = both_online();
    door.outbound(GONE);
    door.inbound(PARTNER_GONE);
    door.reload(json!({ "inbound": "none", "outbound": "none" }));
    assert_eq!(door.emitted(), []);
    assert!(
        !door
            .host
            .state_keys()
            .iter()
            .any(|key| key.starts_with("shown/"))
    );
}

#[test]
fn prs_04_a_partner_whose_record_is_gone_is_taken_back_both_ways() {
    let mut door = both_online();
    door.host.forget_partner("alpha.test");
    door.reload(json!({}));
    assert_eq!(door.emitted().len(), 2);
}

#[test]
fn prs_04_a_domain_that_never_had_a_record_is_not_taken_for_a_removed_one() {
    let mut door = Door::new(json!({}));
    door.outbound(&ONLINE.replace("alpha.test", "beta.test"));
    door.reload(json!({}));
    assert_eq!(door.emitted(), []);
}

#[test]
fn prs_04_a_client_of_thousands_of_contacts_is_taken_back_whole() {
    let mut door = Door::new(json!({}));
    for contact in 0..2500 {
        door.outbound(&ONLINE.replace("b@", &format!("b{contact}@")));
    }
    door.reload(json!({ "outbound": "none" }));
    assert_eq!(door.emitted().len(), 2500);
}

#[test]
fn presence_that_was_not_renewed_for_a_quarter_is_forgotten() {
    let mut door = both_online();
    door.host
        .advance(std::time::Duration::from_secs(91 * 24 * 3600));
    assert!(door.outbound(ONLINE).is_some());
    door.reload(json!({ "inbound": "none", "outbound": "none" }));
    assert_eq!(
        door.emitted(),
        [unavailable("a@org.test/x", "b@alpha.test")]
    );
}
