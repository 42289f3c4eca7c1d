//! What passes, what does not, and what nobody forgets.

use std::time::Duration;

use portcullis_plugin::mock::Host;
use portcullis_plugin::prelude::*;
use portcullis_plugin::state::StateError;
use serde_json::{Value, json};

use crate::RateLimiter;

const MESSAGE: &str = "<message from='Eve@alpha.test/1' to='a@org.test'><body>Hi</body></message>";

fn judge(host: &mut Host, plugin: &mut RateLimiter, stanza: &str) -> Verdict {
    host.decide(plugin, Direction::Inbound, stanza).0
}

fn load(config: Value) -> (Host, RateLimiter) {
    let mut host = Host::new().own("org.test");
    let plugin = host.load(config).unwrap();
    (host, plugin)
}

#[test]
fn who_is_beyond_the_rate_is_told_to_try_again_until_the_window_is_over() {
    let (mut host, mut plugin) = load(json!({ "sender": { "messages": "2/1m" } }));
    assert!(judge(&mut host, &mut plugin, MESSAGE).is_pass());
    // The same user, whatever the spelling and the client.
    let again = MESSAGE.replace("Eve@alpha.test/1", "eve@ALPHA.test/2");
    assert!(judge(&mut host, &mut plugin, &again).is_pass());
    let verdict = judge(&mut host, &mut plugin, MESSAGE);
    assert_eq!(verdict.condition(), Some(Condition::ResourceConstraint));
    assert_eq!(
        verdict.told(),
        Some("you may send 2/1m messages, try again later")
    );
    let other = MESSAGE.replace("Eve@", "bob@");
    assert!(judge(&mut host, &mut plugin, &other).is_pass());
    host.advance(Duration::from_secs(60));
    assert!(judge(&mut host, &mut plugin, MESSAGE).is_pass());
}

#[test]
fn a_partners_users_share_its_rate_and_invented_senders_fill_no_more() {
    let (mut host, mut plugin) =
        load(json!({ "partner": { "messages": "3/1m" }, "sender": { "messages": "9/1m" } }));
    let passed = (0..50).filter(|n| {
        let message = MESSAGE.replace("Eve@", &format!("e{n}@"));
        judge(&mut host, &mut plugin, &message).is_pass()
    });
    assert_eq!(passed.count(), 3);
    assert_eq!(host.state_keys().len(), 4, "the partner and three senders");
    let beta = MESSAGE.replace("alpha", "beta");
    assert!(judge(&mut host, &mut plugin, &beta).is_pass());
}

#[test]
fn counts_are_exact_over_instances_and_configurations() {
    let config = json!({ "sender": { "messages": "10/1h" } });
    let (mut host, mut plugin) = load(config.clone());
    let mut passed = 0;
    for n in 0..40 {
        if n % 7 == 0 {
            plugin = host.load(config.clone()).unwrap();
        }
        passed += u32::from(judge(&mut host, &mut plugin, MESSAGE).is_pass());
    }
    assert_eq!(passed, 10);
}

#[test]
fn messages_presence_and_requests_are_counted_apart_and_ends_never() {
    let (mut host, mut plugin) = load(json!({ "sender": {
        "messages": "1/1m", "presence": "1/1m", "subscriptions": "1/1m"
    } }));
    let presence = |more: &str| format!("<presence from='e@alpha.test/1' to='a@org.test'{more}/>");
    for stanza in [MESSAGE, &presence(""), &presence(" type='subscribe'")] {
        assert!(judge(&mut host, &mut plugin, stanza).is_pass(), "{stanza}");
        assert!(!judge(&mut host, &mut plugin, stanza).is_pass(), "{stanza}");
    }
    for end in ["unavailable", "unsubscribe", "unsubscribed", "subscribed"] {
        let stanza = presence(&format!(" type='{end}'"));
        assert!(judge(&mut host, &mut plugin, &stanza).is_pass(), "{end}");
    }
}

#[test]
fn everybody_in_a_room_has_a_count_of_their_own() {
    let (mut host, mut plugin) =
        load(json!({ "sender": { "messages": "1/1m", "presence": "1/1m" } }));
    for n in 0..5 {
        let from = format!("from='room@muc.alpha.test/n{n}' to='a@org.test/x'");
        for stanza in [
            format!("<message type='groupchat' {from}><body>Hi</body></message>"),
            format!(
                "<presence {from}><x xmlns='{}'/></presence>",
                crate::IN_ROOM
            ),
        ] {
            assert!(judge(&mut host, &mut plugin, &stanza).is_pass(), "{stanza}");
        }
    }
}

#[test]
fn who_is_exempt_and_who_goes_the_other_way_is_not_limited() {
    let (mut host, mut plugin) =
        load(json!({ "sender": { "messages": "0/1m" }, "exempt": ["*.alpha.test"] }));
    assert!(!judge(&mut host, &mut plugin, MESSAGE).is_pass());
    let exempt = MESSAGE.replace("@alpha", "@a.alpha");
    assert!(judge(&mut host, &mut plugin, &exempt).is_pass());
    let out = "<message from='a@org.test' to='eve@alpha.test'/>";
    assert!(
        host.decide(&mut plugin, Direction::Outbound, out)
            .0
            .is_pass()
    );
}

#[test]
fn what_cannot_be_counted_does_not_pass() {
    let (mut host, mut plugin) = load(json!({ "sender": { "messages": "9/1m" } }));
    host.fail_state(Some(StateError::TooLarge));
    assert!(judge(&mut host, &mut plugin, MESSAGE).is_reject());
}

#[test]
fn a_configuration_that_limits_nothing_is_refused() {
    let mut host = Host::new();
    let mut refused = |config| host.load::<RateLimiter>(config).err().unwrap();
    assert!(refused(json!({})).contains("no rate is set"));
    let error = refused(json!({ "sender": { "messages": "5 a minute" } }));
    assert!(
        error.contains("sender.messages") && error.contains("600/1m"),
        "{error}"
    );
}
