//! PRS-02 and PRS-03: who may invite whom, and that a request which was stopped is answered.

use super::*;

fn request(subtype: &str, from: &str, to: &str) -> String {
    format!("<presence type='{subtype}' from='{from}' to='{to}' id='s1'/>")
}

fn from_us(subtype: &str) -> String {
    request(subtype, "a@org.test", "b@alpha.test")
}

fn from_them(subtype: &str) -> String {
    request(subtype, "b@alpha.test", "a@org.test")
}

#[test]
fn federated_and_public_verified_partners_may_invite() {
    for partner_type in [PartnerType::Federated, PartnerType::PublicVerified] {
        let mut door = Door::with(partner_type, json!({}));
        assert!(door.inbound(&from_them("subscribe")).is_some());
        assert!(door.outbound(&from_us("subscribe")).is_some());
        assert_eq!(door.emitted(), []);
    }
}

#[test]
fn prs_03_an_uninvited_request_is_answered_with_unsubscribed() {
    let mut door = Door::with(PartnerType::PublicUnverified, json!({}));
    assert_eq!(door.inbound(&from_them("subscribe")), None);
    assert_eq!(door.emitted(), [unsubscribed("a@org.test", "b@alpha.test")]);
}

#[test]
fn prs_02_the_answer_goes_between_bare_addresses() {
    let mut door = Door::with(PartnerType::PublicUnverified, json!({}));
    assert_eq!(
        door.inbound(&request("subscribe", "b@alpha.test/y", "a@org.test/x")),
        None
    );
    assert_eq!(door.emitted(), [unsubscribed("a@org.test", "b@alpha.test")]);
}

#[test]
fn an_invited_contact_may_invite_back_for_as_long_as_it_is_welcome() {
    let mut door = Door::with(PartnerType::PublicUnverified, json!({}));
    assert!(door.outbound(&from_us("subscribe")).is_some());
    assert!(door.inbound(&from_them("subscribed")).is_some());
    assert!(door.inbound(&from_them("subscribe")).is_some());
    assert!(door.outbound(&from_us("subscribed")).is_some());
    // It outlives reloads and years.
    door.reload(json!({}));
    door.host
        .advance(std::time::Duration::from_secs(5 * 365 * 24 * 3600));
    assert!(door.inbound(&from_them("subscribe")).is_some());
    // Not to want to see the contact any more does not mean that it may not see us.
    assert!(door.outbound(&from_us("unsubscribe")).is_some());
    assert!(door.inbound(&from_them("subscribe")).is_some());
    assert!(door.outbound(&from_us("unsubscribed")).is_some());
    assert_eq!(door.inbound(&from_them("subscribe")), None);
}

#[test]
fn an_invitation_is_for_one_contact_of_one_user() {
    let mut door = Door::with(PartnerType::PublicUnverified, json!({}));
    door.outbound(&from_us("subscribe"));
    assert_eq!(
        door.inbound(&request("subscribe", "c@alpha.test", "a@org.test")),
        None
    );
    assert_eq!(
        door.inbound(&request("subscribe", "b@alpha.test", "d@org.test")),
        None
    );
}

#[test]
fn what_was_invited_under_another_type_stays_invited() {
    let mut door = Door::new(json!({}));
    door.outbound(&from_us("subscribe"));
    door.reload(json!({ "rule": [{ "partner": "alpha.test", "type": "public-unverified" }] }));
    assert!(door.inbound(&from_them("subscribe")).is_some());
    assert_eq!(
        door.inbound(&request("subscribe", "c@alpha.test", "a@org.test")),
        None
    );
}

#[test]
fn the_type_is_that_of_the_rule_then_of_the_record_then_public_unverified() {
    let mut door = Door::with(
        PartnerType::PublicUnverified,
        json!({ "rule": [{ "partner": "*.test", "type": "federated" }] }),
    );
    assert!(door.inbound(&from_them("subscribe")).is_some());
    let mut door = Door::new(json!({}));
    let stranger = from_them("subscribe").replace("alpha.test", "beta.test");
    let (verdict, _) = door
        .host
        .decide(&mut door.plugin, Direction::Inbound, &stranger);
    assert!(
        verdict.is_drop() && verdict.why().contains("beta.test"),
        "{verdict:?}"
    );
}

#[test]
fn answers_and_the_end_of_a_subscription_always_pass() {
    let mut door = Door::with(
        PartnerType::PublicUnverified,
        json!({ "inbound": "none", "outbound": "none" }),
    );
    for subtype in ["subscribed", "unsubscribe", "unsubscribed"] {
        assert!(door.inbound(&from_them(subtype)).is_some(), "{subtype}");
        assert!(door.outbound(&from_us(subtype)).is_some(), "{subtype}");
    }
}

#[test]
fn when_the_state_fails_nobody_is_invited_and_our_requests_pass() {
    let mut door = Door::with(PartnerType::PublicUnverified, json!({}));
    door.outbound(&from_us("subscribe"));
    door.host
        .fail_state(Some(state::StateError::Unavailable("disk".into())));
    assert_eq!(door.inbound(&from_them("subscribe")), None);
    assert!(door.outbound(&from_us("subscribe")).is_some());
}
