//! What is in the journal, and what is not.

use portcullis_plugin::mock::{Decision, Host, JournalError};

use serde_json::{Value, json};

use crate::AuditLog;

fn decision(partner: &str, id: u32) -> Decision {
    Decision::new(json!({
        "event": "stanza", "partner": partner, "direction": "inbound", "kind": "message",
        "id": id.to_string(), "verdict": "pass",
    }))
}

fn message(partner: &str) -> Decision {
    decision(partner, 1)
        .body("so \"secret\"\nä")
        .xml("<message xmlns='jabber:server'><body>so \"secret\"\nä</body></message>")
}

fn lines(config: Value, batch: &[Decision]) -> Vec<Value> {
    let mut host = Host::new().own("org.test");
    let mut plugin: AuditLog = host.load(config).unwrap();
    host.observe(&mut plugin, batch).unwrap();
    parsed(&host)
}

fn parsed(host: &Host) -> Vec<Value> {
    host.journal()
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn line(config: Value, decision: Decision) -> Value {
    lines(config, &[decision]).remove(0)
}

fn ids(host: &Host) -> Vec<String> {
    parsed(host)
        .iter()
        .map(|line| line["id"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn every_decision_is_one_line_in_order_with_all_its_keys() {
    let stream = Decision::new(json!({
        "event": "stream", "partner": "gamma.test", "direction": "inbound",
        "verdict": "refuse", "plugin": "allowlist", "reason": "not listed",
    }));
    let lines = lines(json!({}), &[decision("alpha.test", 1), stream]);
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["verdict"], "pass");
    assert_eq!(lines[1]["event"], "stream");
    assert_eq!(lines[1]["plugin"], "allowlist");
    assert_eq!(lines[1]["reason"], "not listed");
}

#[test]
fn bodies_never_unless_asked_for() {
    let line = line(json!({}), message("alpha.test"));
    assert!(!line.to_string().contains("secret"), "{line}");
    assert_eq!(line.get("body_length"), None);
}

#[test]
fn no_stanza_is_kept_for_a_journal_without_bodies() {
    for (config, records_only) in [
        (json!({}), true),
        (json!({ "bodies": false }), true),
        (json!({ "bodies": true }), false),
    ] {
        let mut host = Host::new();
        let _plugin: AuditLog = host.load(config).unwrap();
        assert_eq!(host.hears_records_only(), records_only);
    }
}

#[test]
fn a_body_is_whole_when_asked_for() {
    let line = line(json!({ "bodies": true }), message("alpha.test"));
    assert_eq!(line["body"], "so \"secret\"\nä");
    assert_eq!(line["id"], "1");
}

#[test]
fn what_has_no_body_has_no_body_key() {
    let line = line(json!({ "bodies": true }), decision("alpha.test", 1));
    assert_eq!(line.get("body"), None);
    assert_eq!(line.get("body_length"), None);
}

#[test]
fn redaction_is_per_partner() {
    let config = json!({
        "bodies": true, "length_only": ["*.beta.test", "both.test"], "omit": ["gamma.test", "both.test"],
    });
    let short = line(config.clone(), message("eu.beta.test"));
    assert_eq!(
        (&short["body"], &short["body_length"]),
        (&Value::Null, &json!(13))
    );
    for partner in ["gamma.test", "both.test"] {
        let none = line(config.clone(), message(partner));
        assert_eq!(none.get("body"), None, "{partner}");
        assert_eq!(none.get("body_length"), None, "{partner}");
    }
    assert!(line(config, message("alpha.test"))["body"].is_string());
}

#[test]
fn a_no_store_hint_is_honoured_unless_told_otherwise() {
    for hint in [
        "<no-store xmlns='urn:xmpp:hints'/>",
        "<no-permanent-store xmlns=\"urn:xmpp:hints\"/>",
    ] {
        let xml = format!("<message xmlns='jabber:server'><body>x</body>{hint}</message>");
        let hinted = || decision("alpha.test", 1).body("x").xml(&xml);
        assert_eq!(
            line(json!({ "bodies": true }), hinted())["body_length"],
            1,
            "{hint}"
        );
        let told = json!({ "bodies": true, "ignore_no_store": true });
        assert_eq!(line(told, hinted())["body"], "x", "{hint}");
    }
}

#[test]
fn other_hints_and_talk_about_hints_do_not_hide_a_body() {
    for xml in [
        "<message><body>no-store urn:xmpp:hints</body></message>",
        "<message><body>&lt;no-store/></body><store xmlns='urn:xmpp:hints'/></message>",
        "<message><body>x</body><no-store xmlns='urn:example:else'/></message>",
    ] {
        let line = line(
            json!({ "bodies": true }),
            decision("alpha.test", 1).body("x").xml(xml),
        );
        assert_eq!(line["body"], "x", "{xml}");
    }
}

#[test]
fn a_full_disk_is_said_and_the_same_batch_is_not_written_twice() {
    let mut host = Host::new();
    let mut plugin: AuditLog = host.load(json!({})).unwrap();
    let batch = [decision("alpha.test", 1), decision("alpha.test", 2)];
    host.fail_journal(Some(JournalError::Full));
    let error = host.observe(&mut plugin, &batch).unwrap_err();
    assert!(error.contains("no space"), "{error}");
    host.fail_journal(None);
    host.observe(&mut plugin, &batch).unwrap();
    assert_eq!(ids(&host), ["1", "2"]);
    host.observe(&mut plugin, &batch[..1]).unwrap();
    assert_eq!(
        ids(&host),
        ["1", "2", "1"],
        "a batch that succeeded is over"
    );
}

#[test]
fn a_retried_batch_goes_on_behind_its_last_line() {
    let mut host = Host::new();
    let mut plugin: AuditLog = host.load(json!({})).unwrap();
    let batch: Vec<_> = (1..=3).map(|id| decision("alpha.test", id)).collect();
    // As after a failure at the third line.
    plugin.written = vec![line_of(&batch[0]), line_of(&batch[1])];
    host.observe(&mut plugin, &batch).unwrap();
    assert_eq!(ids(&host), ["3"]);
}

#[test]
fn a_batch_that_was_given_up_hides_nothing_of_the_next() {
    let mut host = Host::new();
    let mut plugin: AuditLog = host.load(json!({})).unwrap();
    let next: Vec<_> = (4..=5).map(|id| decision("alpha.test", id)).collect();
    plugin.written = vec![line_of(&decision("alpha.test", 3)), line_of(&next[1])];
    host.observe(&mut plugin, &next).unwrap();
    assert_eq!(ids(&host), ["4", "5"]);
}

#[test]
fn rules_without_bodies_are_a_mistake() {
    let mut host = Host::new();
    for config in [
        json!({ "omit": ["beta.test"] }),
        json!({ "length_only": ["beta.test"] }),
        json!({ "ignore_no_store": true }),
    ] {
        let error = host.load::<AuditLog>(config).unwrap_err();
        assert!(error.contains("bodies = true"), "{error}");
    }
    assert!(host.load::<AuditLog>(json!({ "bodys": true })).is_err());
}

/// The line that the host makes of it.
fn line_of(decision: &Decision) -> String {
    let mut host = Host::new();
    let mut plugin: AuditLog = host.load(json!({})).unwrap();
    host.observe(&mut plugin, std::slice::from_ref(decision))
        .unwrap();
    host.journal().remove(0)
}
