//! Who may speak, and how somebody becomes known.

use std::time::Duration;

use portcullis_plugin::mock::Host;
use portcullis_plugin::prelude::*;
use portcullis_plugin::state::StateError;
use serde_json::{Value, json};

use crate::StrangerGuard;

const IN: &str = "<message from='eve@public.test/1' to='a@org.test'><body>Hi</body></message>";
const ASK: &str = "<presence type='subscribe' from='eve@public.test' to='a@org.test'/>";
const IQ: &str = "<iq type='get' id='1' from='eve@public.test/1' to='a@org.test/x'><q xmlns='jabber:iq:version'/></iq>";

fn load(config: Value) -> (Host, StrangerGuard) {
    let mut host = Host::new()
        .own("org.test")
        .own("conference.org.test")
        .partner("friend.test", PartnerType::Federated)
        .partner("verified.test", PartnerType::PublicVerified);
    let plugin = host.load(config).unwrap();
    (host, plugin)
}

fn passes(host: &mut Host, plugin: &mut StrangerGuard, stanza: &str) -> bool {
    host.decide(plugin, Direction::Inbound, stanza).0.is_pass()
}

fn say(host: &mut Host, plugin: &mut StrangerGuard, stanza: &str) {
    assert!(host.decide(plugin, Direction::Outbound, stanza).0.is_pass());
}

#[test]
fn a_stranger_may_neither_speak_nor_ask() {
    let (mut host, mut plugin) = load(json!({}));
    for stanza in [IN, IQ] {
        let (verdict, _) = host.decide(&mut plugin, Direction::Inbound, stanza);
        assert_eq!(
            verdict.condition(),
            Some(Condition::SubscriptionRequired),
            "{stanza}"
        );
    }
    assert!(!passes(&mut host, &mut plugin, ASK));
    let [answer] = host.take_emitted().try_into().unwrap();
    assert_eq!(
        (answer.from.as_str(), answer.to.as_str()),
        ("a@org.test", "eve@public.test")
    );
}

#[test]
fn whoever_was_written_to_invited_or_accepted_may_answer_that_user() {
    for first in [
        "<message from='A@org.test/x' to='EVE@public.test'><body>Hi</body></message>",
        "<presence type='subscribe' from='a@org.test' to='eve@public.test'/>",
        "<presence type='subscribed' from='a@org.test' to='eve@public.test'/>",
        "<presence from='a@org.test/x' to='eve@public.test/nick'/>",
        "<iq type='get' id='1' from='a@org.test/x' to='eve@public.test/1'><q xmlns='urn:q'/></iq>",
    ] {
        let (mut host, mut plugin) = load(json!({}));
        say(&mut host, &mut plugin, first);
        for stanza in [IN, IQ, ASK] {
            assert!(passes(&mut host, &mut plugin, stanza), "{first} {stanza}");
        }
        let other_user = IN.replace("a@org", "b@org");
        let other_contact = IN.replace("eve@", "mallory@");
        assert!(!passes(&mut host, &mut plugin, &other_user));
        assert!(!passes(&mut host, &mut plugin, &other_contact));
    }
}

#[test]
fn what_a_client_answers_by_itself_makes_nobody_known() {
    let (mut host, mut plugin) = load(json!({}));
    for answer in [
        "<message type='error' from='a@org.test' to='eve@public.test'><error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>",
        "<iq type='result' id='1' from='a@org.test/x' to='eve@public.test/1'/>",
        "<presence type='unavailable' from='a@org.test/x' to='eve@public.test'/>",
        "<presence type='unsubscribed' from='a@org.test' to='eve@public.test'/>",
    ] {
        say(&mut host, &mut plugin, answer);
        assert!(!passes(&mut host, &mut plugin, IN), "{answer}");
    }
}

#[test]
fn who_is_taken_off_the_list_or_forgotten_is_a_stranger_again() {
    let (mut host, mut plugin) = load(json!({ "forget_after": "30d" }));
    let hello = "<message from='a@org.test/x' to='eve@public.test'><body>Hi</body></message>";
    say(&mut host, &mut plugin, hello);
    say(
        &mut host,
        &mut plugin,
        "<presence type='unsubscribed' from='a@org.test' to='eve@public.test'/>",
    );
    assert!(!passes(&mut host, &mut plugin, IN));
    say(&mut host, &mut plugin, hello);
    host.advance(Duration::from_secs(29 * 24 * 3600));
    assert!(passes(&mut host, &mut plugin, IN));
    host.advance(Duration::from_secs(24 * 3600));
    assert!(!passes(&mut host, &mut plugin, IN));
}

#[test]
fn the_partners_type_decides_what_strangers_may_do() {
    let (mut host, mut plugin) = load(json!({
        "rule": [{ "partner": "*.friend.test", "type": "federated" }]
    }));
    for (domain, speak, ask) in [
        ("friend.test", true, true),
        ("muc.friend.test", true, true),
        ("verified.test", false, true),
        ("public.test", false, false),
    ] {
        let at = |stanza: &str| stanza.replace("public.test", domain);
        assert_eq!(passes(&mut host, &mut plugin, &at(IN)), speak, "{domain}");
        assert_eq!(passes(&mut host, &mut plugin, &at(IQ)), speak, "{domain}");
        assert_eq!(passes(&mut host, &mut plugin, &at(ASK)), ask, "{domain}");
    }
}

#[test]
fn servers_rooms_and_help_desks_are_open() {
    let (mut host, mut plugin) = load(json!({ "open": ["conference.org.test", "help@org.test"] }));
    let to = |to: &str| IN.replace("a@org.test", to);
    assert!(passes(
        &mut host,
        &mut plugin,
        &to("room@conference.org.test")
    ));
    assert!(passes(&mut host, &mut plugin, &to("Help@org.test")));
    assert!(passes(
        &mut host,
        &mut plugin,
        &IQ.replace("a@org.test/x", "org.test")
    ));
    assert!(!passes(&mut host, &mut plugin, IN));
}

#[test]
fn without_the_state_users_go_on_and_nobody_is_known() {
    let (mut host, mut plugin) = load(json!({}));
    host.fail_state(Some(StateError::TooLarge));
    say(
        &mut host,
        &mut plugin,
        "<message from='a@org.test' to='eve@public.test'/>",
    );
    assert!(!passes(&mut host, &mut plugin, IN));
    assert_eq!(host.log().len(), 2);
}
