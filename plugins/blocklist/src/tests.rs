//! Who is blocked, until when, and who is not.

use std::time::Duration;

use portcullis_plugin::mock::Host;
use portcullis_plugin::prelude::*;
use serde_json::json;

use crate::Blocklist;

const LIST: &str = "
# shared with others
spam.test                # everybody there, but not below
*.spam.test
Eve@Alpha.test.          # one, however it is written
mallory@alpha.test  2026-12-31
info*@beta.test
bücher.example  2026-11-30T18:00:00Z
";

fn host(except: &str) -> (Host, Blocklist) {
    let mut host = Host::new()
        .own("org.test")
        .at("2026-11-22T12:00:00Z")
        .file("blocked", LIST)
        .file("friends", except);
    let config = json!({ "except": ["friends"] });
    let plugin = host.load(config).unwrap();
    (host, plugin)
}

fn blocks(host: &mut Host, plugin: &mut Blocklist, who: &str) -> bool {
    let inbound = format!("<message from='{who}/1' to='a@org.test'><body>Hi</body></message>");
    let outbound = format!("<message from='a@org.test/1' to='{who}'><body>Hi</body></message>");
    let (came, _) = host.decide(plugin, Direction::Inbound, &inbound);
    let (went, _) = host.decide(plugin, Direction::Outbound, &outbound);
    assert_eq!(
        came.is_drop(),
        went.condition() == Some(Condition::NotAllowed),
        "{who}"
    );
    assert_eq!(came.is_pass(), went.is_pass(), "{who}");
    !came.is_pass()
}

fn refuses(host: &mut Host, plugin: &mut Blocklist, domain: &str) -> bool {
    let answer = host.knock(plugin, domain, Direction::Inbound);
    assert_eq!(host.admit(plugin, domain, Direction::Inbound), answer);
    assert_ne!(
        answer,
        Admission::Allow,
        "a list of the blocked opens no door"
    );
    answer != Admission::Abstain
}

#[test]
fn a_line_means_a_domain_what_is_below_it_an_address_or_a_pattern() {
    let (mut host, mut plugin) = host("");
    for (who, blocked) in [
        ("x@spam.test", true),
        ("x@a.b.spam.test", true),
        ("x@notspam.test", false),
        ("eve@alpha.test", true),
        ("eva@alpha.test", false),
        ("INFO-desk@beta.test", true),
        ("desk@beta.test", false),
        ("x@xn--bcher-kva.example", true),
    ] {
        assert_eq!(blocks(&mut host, &mut plugin, who), blocked, "{who}");
    }
    for (domain, refused) in [
        ("spam.test", true),
        ("a.spam.test", true),
        ("alpha.test", false),
        ("beta.test", false),
        ("Bücher.example", true),
    ] {
        assert_eq!(refuses(&mut host, &mut plugin, domain), refused, "{domain}");
    }
}

#[test]
fn a_line_ends_when_it_says_so() {
    let (mut host, mut plugin) = host("");
    assert!(blocks(&mut host, &mut plugin, "mallory@alpha.test"));
    assert!(refuses(&mut host, &mut plugin, "bücher.example"));
    host.advance(Duration::from_secs((8 * 24 + 6) * 3600));
    assert!(!refuses(&mut host, &mut plugin, "bücher.example"));
    assert!(blocks(&mut host, &mut plugin, "mallory@alpha.test"));
    host.advance(Duration::from_secs(31 * 24 * 3600));
    assert!(!blocks(&mut host, &mut plugin, "mallory@alpha.test"));
    assert!(blocks(&mut host, &mut plugin, "eve@alpha.test"));
}

#[test]
fn a_local_exception_beats_every_list() {
    let (mut host, mut plugin) = host("good.spam.test\nbob@spam.test\n");
    assert!(!blocks(&mut host, &mut plugin, "x@good.spam.test"));
    assert!(!refuses(&mut host, &mut plugin, "good.spam.test"));
    // The door must be open for one, and stays shut for the others.
    assert!(!refuses(&mut host, &mut plugin, "spam.test"));
    assert!(!blocks(&mut host, &mut plugin, "Bob@spam.test"));
    assert!(blocks(&mut host, &mut plugin, "eve@spam.test"));
}

#[test]
fn a_line_that_means_nothing_refuses_the_list_and_is_named() {
    for (line, why) in [
        ("spam .test", "is not a date"),
        ("exa..mple", "domain"),
        ("a@b@c", "`a@b@c`"),
        ("a@b.test/r", "no resource"),
        ("spam.test tomorrow", "`tomorrow` is not a date"),
        ("spam.test 2026-12-31 really", "`really` behind the end"),
    ] {
        let mut host = Host::new().file("blocked", format!("good.test\n{line}\n"));
        let error = host.load::<Blocklist>(json!({})).unwrap_err();
        assert!(error.starts_with("file `blocked`, line 2: "), "{error}");
        assert!(error.contains(why), "{error}");
    }
    let error = Host::new().load::<Blocklist>(json!({})).unwrap_err();
    assert!(error.contains("there is no file `blocked`"), "{error}");
}

#[test]
fn a_changed_file_holds_from_the_next_load_on() {
    let (mut host, mut plugin) = host("");
    host.set_file("blocked", "other.test");
    assert!(blocks(&mut host, &mut plugin, "x@spam.test"));
    let mut plugin: Blocklist = host.load(json!({})).unwrap();
    assert!(!blocks(&mut host, &mut plugin, "x@spam.test"));
    assert!(blocks(&mut host, &mut plugin, "x@other.test"));
}

#[test]
fn the_operator_is_told_how_many_are_blocked() {
    let (mut host, mut plugin) = host("");
    host.advance(Duration::from_secs(60 * 24 * 3600));
    host.start(&mut plugin);
    let told: Vec<_> = host.log().into_iter().map(|(_, line)| line).collect();
    assert_eq!(
        told,
        ["6 blocked domains and addresses, 2 of them in the past"]
    );
}
