//! What passes, what is taken away, and what cannot be hidden.

use portcullis_plugin::mock::Host;
use portcullis_plugin::prelude::*;
use serde_json::{Value, json};

use crate::ContentFilter;

const XHTML: &str = "http://jabber.org/protocol/xhtml-im";

/// The verdict, and the stanza that goes on.
fn judge(config: &Value, stanza: &str) -> (Verdict, String) {
    let mut host = Host::new().own("org.test");
    let mut plugin: ContentFilter = host.load(config.clone()).unwrap();
    let (verdict, stanza) = host.decide(&mut plugin, Direction::Inbound, stanza);
    (verdict, stanza.to_xml())
}

fn message(children: &str) -> String {
    format!("<message from='e@alpha.test' to='a@org.test' type='chat'>{children}</message>")
}

#[test]
fn each_kind_has_a_size_of_its_own() {
    let config = json!({ "all": { "size": { "message": "200B" } } });
    assert!(judge(&config, &message("<body>Hi</body>")).0.is_pass());
    let long = "x".repeat(200);
    let (verdict, _) = judge(&config, &message(&format!("<body>{long}</body>")));
    assert_eq!(verdict.condition(), Some(Condition::PolicyViolation));
    assert_eq!(verdict.told(), Some("a message may have 200 bytes here"));
    let presence = format!(
        "<presence from='e@alpha.test/1' to='a@org.test'><status>{long}</status></presence>"
    );
    assert!(judge(&config, &presence).0.is_pass());
}

#[test]
fn a_payload_is_taken_away_or_refused_by_its_namespace() {
    let config = json!({ "all": { "strip": [XHTML], "refuse": ["urn:xmpp:jingle:1"] } });
    let (verdict, stanza) = judge(
        &config,
        &message(&format!("<body>Hi</body><html xmlns='{XHTML}'/>")),
    );
    assert!(verdict.is_pass());
    assert!(
        stanza.contains("<body>Hi</body>") && !stanza.contains("html"),
        "{stanza}"
    );
    let call = "<iq from='e@alpha.test/1' to='a@org.test/2' id='1' type='set'><jingle xmlns='urn:xmpp:jingle:1'/></iq>";
    let (verdict, _) = judge(&config, call);
    assert_eq!(verdict.condition(), Some(Condition::NotAcceptable));
    assert!(verdict.told().unwrap().contains("urn:xmpp:jingle:1"));
}

#[test]
fn a_payload_that_hides_inside_another_one_does_not_pass() {
    let config = json!({ "all": { "strip": [XHTML], "refuse": ["urn:bad"] } });
    for namespace in [XHTML, "urn:bad"] {
        let hidden = format!("<f xmlns='urn:xmpp:forward:0'><x xmlns='{namespace}'/></f>");
        assert!(
            judge(&config, &message(&hidden)).0.is_reject(),
            "{namespace}"
        );
    }
    // Behind more children than a header lists.
    let many = "<a xmlns='urn:a'/>".repeat(70);
    let (verdict, _) = judge(&config, &message(&format!("{many}<x xmlns='urn:bad'/>")));
    assert!(verdict.is_reject());
}

#[test]
fn a_request_whose_payload_may_not_pass_goes_back() {
    let config = json!({ "all": { "strip": ["urn:q"] } });
    let iq = "<iq from='e@alpha.test' to='a@org.test' id='1' type='get'><q xmlns='urn:q'/></iq>";
    assert!(judge(&config, iq).0.is_reject());
}

#[test]
fn plain_text_keeps_what_a_reader_reads() {
    let config = json!({ "all": { "plain_text": true, "keep": ["urn:xmpp:delay"] } });
    let (verdict, stanza) = judge(
        &config,
        &message(&format!(
            "<subject>S</subject><body>Hi</body><body xml:lang='de'>Ho</body><thread>t</thread>\
             <delay xmlns='urn:xmpp:delay' stamp='2026-01-01T00:00:00Z'/>\
             <html xmlns='{XHTML}'/><x xmlns='jabber:x:oob'><url>http://alpha.test</url></x>"
        )),
    );
    assert!(verdict.is_pass(), "{verdict:?}");
    for kept in [
        "<subject>S<",
        ">Hi<",
        ">Ho<",
        "<thread>t<",
        "urn:xmpp:delay",
    ] {
        assert!(stanza.contains(kept), "{kept} {stanza}");
    }
    assert!(
        !stanza.contains("html") && !stanza.contains("oob"),
        "{stanza}"
    );

    let (verdict, _) = judge(
        &config,
        &message("<composing xmlns='http://jabber.org/protocol/chatstates'/>"),
    );
    assert_eq!(
        verdict,
        Verdict::drop("nothing is left of it as plain text")
    );
    let markup = "<body>Hi<b xmlns='http://www.w3.org/1999/xhtml'>!</b></body>";
    assert!(judge(&config, &message(markup)).0.is_reject());
    let second =
        format!("<body>Hi</body>{markup}").replacen("<body>Hi<b", "<body xml:lang='de'>Hi<b", 1);
    assert!(judge(&config, &message(&second)).0.is_reject());
}

#[test]
fn words_are_found_in_every_language_at_any_depth_and_between_invisible_characters() {
    let config = json!({ "all": { "words": ["*free money*"] } });
    for children in [
        "<body>Get your FREE  Money</body>",
        "<body>Hello</body><body xml:lang='fr'>free money</body>",
        "<body>Hello</body><subject>free money</subject>",
        "<body>fr<x xmlns='urn:x'>ee mo</x>ney</body>",
        "<body>fr\u{200b}ee\n\tmo\u{ad}ney</body>",
        "<html xmlns='http://jabber.org/protocol/xhtml-im'><body xmlns='http://www.w3.org/1999/xhtml'><p>free <b>money</b></p></body></html>",
    ] {
        let (verdict, _) = judge(&config, &message(children));
        assert_eq!(
            verdict.condition(),
            Some(Condition::PolicyViolation),
            "{children}"
        );
        assert!(
            !verdict.why().contains("free"),
            "no content in the audit record"
        );
    }
    assert!(
        judge(&config, &message("<body>money is never free</body>"))
            .0
            .is_pass()
    );
}

#[test]
fn the_first_rule_that_names_a_partner_holds_for_it() {
    let config = json!({
        "all": { "refuse": ["urn:x"] },
        "rule": [{ "partner": ["alpha.test", "*.alpha.test"], "content": {} }],
    });
    let stanza = message("<x xmlns='urn:x'/>");
    assert!(judge(&config, &stanza).0.is_pass());
    assert!(
        judge(&config, &stanza.replace("alpha", "beta"))
            .0
            .is_reject()
    );
}

#[test]
fn a_direction_that_is_left_out_passes() {
    let mut host = Host::new().own("org.test");
    let config = json!({ "direction": "outbound", "all": { "refuse": ["urn:x"] } });
    let mut plugin: ContentFilter = host.load(config).unwrap();
    let (verdict, _) = host.decide(
        &mut plugin,
        Direction::Inbound,
        &message("<x xmlns='urn:x'/>"),
    );
    assert!(verdict.is_pass());
}
