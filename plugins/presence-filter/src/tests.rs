//! The rules of federation that a presence filter must not break, by their ids.

mod availability;
mod invitations;
mod narrowing;
mod rooms;

use portcullis_plugin::mock::{Emitted, Host};
use portcullis_plugin::prelude::*;
use serde_json::{Value, json};

use crate::PresenceFilter;

/// An organisation, `org.test`, with one partner, `alpha.test`, and the plugin between them.
struct Door {
    host: Host,
    plugin: PresenceFilter,
}

impl Door {
    fn new(config: Value) -> Self {
        Self::with(PartnerType::Federated, config)
    }

    fn with(partner_type: PartnerType, config: Value) -> Self {
        let mut host = Host::new()
            .own("org.test")
            .partner("alpha.test", partner_type);
        let plugin = host.load(config).unwrap();
        Self { host, plugin }
    }

    /// A new generation takes over.
    fn reload(&mut self, config: Value) {
        self.plugin = self.host.load(config).unwrap();
        self.host.start(&mut self.plugin);
    }

    fn inbound(&mut self, xml: &str) -> Option<String> {
        self.decide(Direction::Inbound, xml)
    }

    fn outbound(&mut self, xml: &str) -> Option<String> {
        self.decide(Direction::Outbound, xml)
    }

    /// What goes on, if anything does.
    fn decide(&mut self, direction: Direction, xml: &str) -> Option<String> {
        let (verdict, stanza) = self.host.decide(&mut self.plugin, direction, xml);
        // An error in answer to presence leaks, and throws users out of rooms (PRS-03, MSG-01).
        assert!(!verdict.is_reject(), "{verdict:?}");
        if verdict.is_drop() {
            assert!(
                verdict.why().contains("alpha.test"),
                "{verdict:?} names no partner"
            );
        }
        verdict.is_pass().then(|| stanza.to_xml())
    }

    fn emitted(&mut self) -> Vec<Emitted> {
        self.host.take_emitted()
    }
}

fn unavailable(from: &str, to: &str) -> Emitted {
    Emitted {
        subtype: Subtype::Unavailable,
        from: from.into(),
        to: to.into(),
    }
}

fn unsubscribed(from: &str, to: &str) -> Emitted {
    Emitted {
        subtype: Subtype::Unsubscribed,
        from: from.into(),
        to: to.into(),
    }
}

/// A presence of every sort, from us to them.
const RICH: &str = "<presence from='a@org.test/x' to='b@alpha.test'>\
    <show>away</show><status>gone fishing</status><priority>5</priority>\
    <c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='v'/>\
    <c xmlns='urn:xmpp:caps'><hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>aGk=</hash></c>\
    <x xmlns='vcard-temp:x:update'><photo>0011</photo></x>\
    <nick xmlns='http://jabber.org/protocol/nick'>Al</nick>\
    <idle xmlns='urn:xmpp:idle:1' since='2026-11-22T09:00:00Z'/>\
    <delay xmlns='urn:xmpp:delay' stamp='2026-11-22T09:00:00Z'/></presence>";

const ONLINE: &str = "<presence from='a@org.test/x' to='b@alpha.test'/>";
const GONE: &str = "<presence type='unavailable' from='a@org.test/x' to='b@alpha.test'><status>bye</status></presence>";
const PARTNER_ONLINE: &str = "<presence from='b@alpha.test/y' to='a@org.test'/>";
const PARTNER_GONE: &str = "<presence type='unavailable' from='b@alpha.test/y' to='a@org.test'/>";

#[test]
fn prs_01_every_type_of_presence_has_its_treatment() {
    let mut door = Door::new(json!({}));
    for subtype in [
        "unavailable",
        "subscribe",
        "subscribed",
        "unsubscribe",
        "unsubscribed",
        "probe",
    ] {
        let stanza = format!("<presence type='{subtype}' from='a@org.test' to='b@alpha.test'/>");
        assert!(door.outbound(&stanza).is_some(), "{subtype}");
    }
    assert!(door.outbound(ONLINE).is_some());
    let error = "<presence type='error' from='a@org.test' to='b@alpha.test'><error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>";
    assert!(door.outbound(error).is_some());
}

#[test]
fn messages_and_iqs_are_none_of_its_business() {
    let mut door = Door::new(json!({ "inbound": "none", "outbound": "none" }));
    assert!(
        door.outbound("<message from='a@org.test/x' to='b@alpha.test'><body>Hi</body></message>")
            .is_some()
    );
}

#[test]
fn the_first_rule_that_matches_holds_and_leaves_the_rest_as_it_was() {
    let mut door = Door::new(json!({
        "outbound": "none",
        "rule": [
            { "partner": "ALPHA.test", "outbound": "online" },
            { "partner": "*", "outbound": "full" },
        ],
    }));
    assert!(!door.outbound(RICH).unwrap().contains("away"));
    assert!(
        door.outbound(&RICH.replace("alpha.test", "beta.test"))
            .unwrap()
            .contains("fishing")
    );
}

#[test]
fn a_bad_configuration_is_refused_by_name() {
    for (config, words) in [
        (
            json!({ "outbund": "none" }),
            vec!["`outbund`", "`inbound`, `outbound`, `directed`, `rule`"],
        ),
        (
            json!({ "outbound": "some" }),
            vec!["`outbound`", "`some`", "`full`, `show`, `online`, `none`"],
        ),
        (
            json!({ "rule": [{ "partner": "a..b" }] }),
            vec!["rule[0].partner", "`a..b`"],
        ),
        (
            json!({ "rule": [{ "partner": "a.test", "type": "public" }] }),
            vec!["rule[0].type", "`federated`"],
        ),
    ] {
        let error = Host::new().load::<PresenceFilter>(config).unwrap_err();
        for word in words {
            assert!(error.contains(word), "{error} lacks {word}");
        }
    }
}
