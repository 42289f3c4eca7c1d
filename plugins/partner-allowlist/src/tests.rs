//! Whom the lists let in, and how the others are told.

use portcullis_plugin::mock::Host;
use portcullis_plugin::prelude::*;
use serde_json::{Value, json};

use crate::PartnerAllowlist;

fn host() -> Host {
    Host::new()
        .own("org.test")
        .partner("alpha.test", PartnerType::Federated)
}

fn load(host: &mut Host, config: Value) -> PartnerAllowlist {
    host.load(config).unwrap()
}

fn knock(config: Value, domain: &str) -> Admission {
    let mut host = host();
    let mut plugin = load(&mut host, config);
    let answer = host.knock(&mut plugin, domain, Direction::Inbound);
    assert_eq!(host.knock(&mut plugin, domain, Direction::Outbound), answer);
    assert_eq!(
        host.admit(&mut plugin, domain, Direction::Inbound),
        answer,
        "admit differs"
    );
    answer
}

fn is_refused(config: Value, domain: &str) -> bool {
    matches!(knock(config, domain), Admission::Refuse(_))
}

#[test]
fn default_deny_refuses_and_names_the_domain() {
    let Admission::Refuse(text) = knock(json!({}), "Gamma.test") else {
        panic!("not refused")
    };
    assert!(text.contains("gamma.test"), "{text}");
}

#[test]
fn allow_takes_exact_domains_and_subdomains() {
    let config = json!({ "allow": ["beta.test", "*.delta.test"] });
    assert_eq!(knock(config.clone(), "beta.test"), Admission::Allow);
    assert_eq!(knock(config.clone(), "a.b.delta.test"), Admission::Allow);
    assert!(is_refused(config.clone(), "a.beta.test"));
    assert!(is_refused(config.clone(), "delta.test"));
    assert!(is_refused(config, "notdelta.test"));
}

#[test]
fn deny_beats_allow_and_partner_records() {
    let config = json!({ "allow": ["*.delta.test"], "deny": ["bad.delta.test", "alpha.test"] });
    assert!(is_refused(config.clone(), "bad.delta.test"));
    assert!(is_refused(config.clone(), "alpha.test"));
    assert_eq!(knock(config, "good.delta.test"), Admission::Allow);
}

#[test]
fn partner_records_count_unless_told_otherwise() {
    // The record opens the door by itself; the list only does not shut it.
    assert_eq!(knock(json!({}), "alpha.test"), Admission::Abstain);
    assert!(is_refused(json!({ "partners": false }), "alpha.test"));
    let both = json!({ "partners": false, "allow": ["alpha.test"] });
    assert_eq!(knock(both, "alpha.test"), Admission::Allow);
}

#[test]
fn case_trailing_dot_and_u_label_are_the_same_domain() {
    let config = json!({ "allow": ["BÜCHER.Example."], "deny": ["*.Gamma.Test"] });
    for domain in [
        "xn--bcher-kva.example",
        "Bücher.example",
        "XN--BCHER-KVA.EXAMPLE.",
    ] {
        assert_eq!(knock(config.clone(), domain), Admission::Allow, "{domain}");
    }
    assert!(is_refused(config, "x.gamma.test."));
}

#[test]
fn a_bad_pattern_refuses_the_configuration_and_is_named() {
    let error = host()
        .load::<PartnerAllowlist>(json!({ "allow": ["a.test", "b..test"] }))
        .unwrap_err();
    assert!(
        error.contains("allow[1]") && error.contains("`b..test`"),
        "{error}"
    );
}

#[test]
fn an_unknown_key_refuses_the_configuration_and_the_known_ones_are_listed() {
    let error = host()
        .load::<PartnerAllowlist>(json!({ "alow": [] }))
        .unwrap_err();
    assert!(
        error.contains("`alow`") && error.contains("`allow`, `deny`, `partners`"),
        "{error}"
    );
}

#[test]
fn a_list_that_lets_nobody_in_is_told_to_the_operator() {
    let mut host = host();
    load(&mut host, json!({ "partners": false }));
    assert!(
        host.log()
            .iter()
            .any(|(_, line)| line.contains("no domain is allowed"))
    );
}

#[test]
fn an_outbound_stanza_to_an_unlisted_domain_comes_back_as_not_allowed() {
    let mut host = host();
    let mut plugin = load(&mut host, json!({}));
    for stanza in [
        "<message from='a@org.test' to='b@gamma.test'><body>Hi</body></message>",
        "<iq from='a@org.test' to='gamma.test' id='1' type='get'><ping xmlns='urn:xmpp:ping'/></iq>",
    ] {
        let (verdict, _) = host.decide(&mut plugin, Direction::Outbound, stanza);
        assert_eq!(verdict.condition(), Some(Condition::NotAllowed));
        assert!(verdict.told().unwrap().contains("gamma.test"));
        assert!(verdict.why().contains("gamma.test"));
    }
}

#[test]
fn an_inbound_stanza_from_an_unlisted_domain_ends_silently() {
    let mut host = host();
    let mut plugin = load(&mut host, json!({}));
    let groupchat = "<message type='groupchat' from='r@muc.gamma.test/n' to='a@org.test/x'><body>Hi</body></message>";
    let (verdict, _) = host.decide(&mut plugin, Direction::Inbound, groupchat);
    assert!(
        verdict.is_drop() && verdict.why().contains("gamma.test"),
        "{verdict:?}"
    );
}

#[test]
fn a_listed_domain_is_left_alone_both_ways() {
    let mut host = host();
    let mut plugin = load(&mut host, json!({ "allow": ["beta.test"] }));
    for (direction, stanza) in [
        (
            Direction::Outbound,
            "<message from='a@org.test' to='b@Beta.test'><body>Hi</body></message>",
        ),
        (
            Direction::Inbound,
            "<message from='b@beta.test' to='a@org.test'><body>Hi</body></message>",
        ),
        (
            Direction::Inbound,
            "<presence from='b@alpha.test/x' to='a@org.test'/>",
        ),
    ] {
        assert!(
            host.decide(&mut plugin, direction, stanza).0.is_pass(),
            "{stanza}"
        );
    }
}
