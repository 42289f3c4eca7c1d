//! Presence that nobody takes back: the gateway asks, and takes it back itself.

use portcullis::app::Trigger;
use portcullis_end_to_end::{Plan, World, default_plugins, prepare};
use portcullis_test_support::{Behaviour, Client, Mode, Server, attribute};

const PRESENCE: &str = "
[[plugin]]
name = 'presence'
component = 'presence_filter.wasm'
";

/// A partner with a contact who is shown to somebody inside.
async fn start(more: &str) -> (World, Server, Client) {
    let prepared = prepare();
    let alpha = prepared.partner("alpha.test", Behaviour::StartTls).await;
    let plan = Plan {
        partners: vec![("alpha.test", alpha.address)],
        timeouts: "establish = 20\nsubscription_refresh = 1",
        more: more.to_owned(),
        plugins: (!more.is_empty()).then(default_plugins),
        ..Plan::default()
    };
    let mut world = prepared.start(plan).await;
    let mut outside = world.outside("alpha.test", Mode::StartTls).await.unwrap();
    outside
        .send("<presence from='b@alpha.test/x' to='a@org.test'/>")
        .await;
    let shown = world.org.stanza().await;
    assert_eq!(attribute(&shown, "from"), Some("b@alpha.test/x"));
    (world, alpha, outside)
}

fn is(stanza: &str, subtype: &str, from: &str, to: &str) -> bool {
    attribute(stanza, "type") == Some(subtype)
        && attribute(stanza, "from") == Some(from)
        && attribute(stanza, "to") == Some(to)
}

#[tokio::test]
async fn prs_04_a_contact_that_answers_no_probe_is_shown_as_gone() {
    let (mut world, mut alpha, mut outside) = start("").await;
    // It answers the first probe, and stays.
    let probe = alpha.stanza().await;
    assert!(is(&probe, "probe", "a@org.test", "b@alpha.test"), "{probe}");
    outside
        .send("<presence from='b@alpha.test/x' to='a@org.test'><show>away</show></presence>")
        .await;
    let answer = world.org.stanza().await;
    assert!(answer.contains("<show>away</show>"), "{answer}");
    // It does not answer the second.
    let probe = alpha.stanza().await;
    assert!(is(&probe, "probe", "a@org.test", "b@alpha.test"), "{probe}");
    let gone = world.org.stanza().await;
    assert!(
        is(&gone, "unavailable", "b@alpha.test/x", "a@org.test"),
        "{gone}"
    );
    let made = |why: &str| {
        world.sum(
            "portcullis_gateway_stanzas_total",
            &format!(r#"why="{why}",outcome="delivered""#),
        )
    };
    world
        .until(
            || (made("probe"), made("unavailable")) == (2, 1),
            || format!("{:?}", (made("probe"), made("unavailable"))),
        )
        .await;
}

#[tokio::test]
async fn prs_06_an_occupant_of_a_room_is_not_probed() {
    let (mut world, mut alpha, mut outside) = start("").await;
    outside
        .send(
            "<presence from='b@alpha.test/x' to='a@org.test' type='unavailable'/>\
             <presence from='room@alpha.test/b' to='a@org.test/x'>\
             <x xmlns='http://jabber.org/protocol/muc#user'/></presence>\
             <presence from='c@alpha.test/y' to='a@org.test/x'/>\
             <presence from='d@alpha.test/z' to='a@org.test'/>",
        )
        .await;
    for _ in 0..4 {
        world.org.stanza().await;
    }
    let probe = alpha.stanza().await;
    let first = is(&probe, "probe", "a@org.test", "b@alpha.test");
    let probe = if first { alpha.stanza().await } else { probe };
    assert!(is(&probe, "probe", "a@org.test", "d@alpha.test"), "{probe}");
    let gone = world.org.stanza().await;
    assert!(
        is(&gone, "unavailable", "d@alpha.test/z", "a@org.test"),
        "{gone}"
    );
}

#[tokio::test]
async fn prs_04_a_partner_that_is_taken_from_the_records_takes_its_contacts_along() {
    // With the plugin that does the same by itself, and without: once.
    for more in ["", PRESENCE] {
        let (mut world, _alpha, _outside) = start(more).await;
        world.rewrite(Vec::new());
        world.gateway.reload(Trigger::Call).await.unwrap();
        let gone = world.org.stanza().await;
        assert!(
            is(&gone, "unavailable", "b@alpha.test/x", "a@org.test"),
            "{gone}"
        );
        let made = || {
            let of = |why: &str| world.sum("portcullis_gateway_stanzas_total", why);
            (of(r#"why="emitted""#), of(r#"why="unavailable""#))
        };
        let once = if more.is_empty() { (0, 1) } else { (1, 0) };
        world
            .until(|| made() == once, || format!("{:?}", made()))
            .await;
    }
}
