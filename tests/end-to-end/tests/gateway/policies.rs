//! The policies beyond the default set in the gateway: rates, contents, strangers, lists.

use std::path::Path;

use portcullis::admin::protocol::ReloadResult;
use portcullis::app::Trigger;
use portcullis_end_to_end::{Plan, World, built_plugins, prepare};
use portcullis_test_support::{Behaviour, Mode, Server, attribute};

/// A partner, and a chain of this one plugin.
async fn start(plugin: &str, chain: &str, files: &[(&str, &str)]) -> (World, Server) {
    let prepared = prepare();
    for (name, content) in files {
        std::fs::write(prepared.dir().join(name), content).unwrap();
    }
    let alpha = prepared.partner("alpha.test", Behaviour::StartTls).await;
    let plan = Plan {
        partners: vec![("alpha.test", alpha.address)],
        more: chain.to_owned(),
        plugins: Some(built_plugins(&[plugin])),
        ..Plan::default()
    };
    (prepared.start(plan).await, alpha)
}

fn message(from: &str, to: &str, id: &str, children: &str) -> String {
    format!("<message from='{from}' to='{to}' id='{id}' type='chat'>{children}</message>")
}

#[tokio::test]
async fn a_rate_is_counted_exactly_while_the_policy_is_swapped() {
    const SENT: usize = 60;
    const PASS: usize = 25;
    let chain = |presence: usize| {
        format!(
            "[[plugin]]\nname = 'rates'\ncomponent = 'rate_limit.wasm'\n\
             [plugin.config.sender]\nmessages = '{PASS}/1h'\npresence = '{presence}/1h'\n"
        )
    };
    let (mut world, mut alpha) = start("rate-limit", &chain(1), &[]).await;
    let mut outside = world.outside("alpha.test", Mode::StartTls).await.unwrap();
    for n in 0..SENT {
        if n % 6 == 5 {
            world.rewrite_end(&chain(n));
            let reload = world.gateway.reload(Trigger::Call).await.unwrap();
            assert_eq!(reload.result, ReloadResult::Ok, "{reload:?}");
        }
        let from = ["eve@alpha.test/1", "EVE@alpha.test/2"][n % 2];
        let sent = message(from, "a@org.test", &format!("n{n}"), "<body>Hi</body>");
        outside.send(&sent).await;
    }
    for n in 0..PASS {
        let passed = world.org.stanza().await;
        assert_eq!(attribute(&passed, "id"), Some(format!("n{n}").as_str()));
    }
    for n in PASS..SENT {
        let back = alpha.stanza().await;
        assert_eq!(attribute(&back, "id"), Some(format!("n{n}").as_str()));
        assert!(back.contains("<resource-constraint"), "{back}");
        assert!(back.contains("you may send 25/1h messages"), "{back}");
    }
    world.at_rest(SENT as u64).await;
}

#[tokio::test]
async fn a_gatekeeper_is_asked_once_who_may_knock_and_once_who_is_proven() {
    let chain = "[[plugin]]\nname = 'door'\ncomponent = 'partner_allowlist.wasm'\n\
                 [plugin.config]\nallow = ['alpha.test']\n";
    let (world, _alpha) = start("partner-allowlist", chain, &[]).await;
    let calls = || world.sum("portcullis_plugin_calls_total", r#"plugin="door""#);
    for mode in [Mode::StartTls, Mode::Direct] {
        // Whatever the number of headers that say the name.
        let before = calls();
        let _outside = world.outside("alpha.test", mode).await.unwrap();
        assert_eq!(calls() - before, 2, "{mode:?}");
    }
}

#[tokio::test]
async fn contents_are_folded_and_no_text_is_overlooked() {
    let chain = "
[[plugin]]
name = 'content'
component = 'content_filter.wasm'
[plugin.config.all]
strip = ['http://jabber.org/protocol/xhtml-im']
words = ['*free money*']
[[plugin.config.rule]]
partner = ['*.alpha.test']
content = { plain_text = true }
";
    let (mut world, mut alpha) = start("content-filter", chain, &[]).await;
    let mut outside = world.outside("alpha.test", Mode::StartTls).await.unwrap();
    let (from, to) = ("eve@alpha.test/1", "a@org.test");
    let html = "<html xmlns='http://jabber.org/protocol/xhtml-im'><body xmlns='http://www.w3.org/1999/xhtml'>!</body></html>";
    outside
        .send(&message(
            from,
            to,
            "folded",
            &format!("<body>Hi</body>{html}"),
        ))
        .await;
    let passed = world.org.stanza().await;
    assert!(
        passed.contains("<body>Hi</body>") && !passed.contains("xhtml"),
        "{passed}"
    );

    let hidden = "<body>Hello</body><body xml:lang='fr'>fr<x xmlns='urn:x'>ee</x> MONEY</body>";
    outside.send(&message(from, to, "hidden", hidden)).await;
    let back = alpha.stanza().await;
    assert_eq!(attribute(&back, "id"), Some("hidden"));
    assert!(back.contains("<policy-violation"), "{back}");
    world.at_rest(2).await;
}

#[tokio::test]
async fn a_stranger_speaks_only_after_somebody_inside_did() {
    let chain = "
[[plugin]]
name = 'strangers'
component = 'stranger_guard.wasm'
[plugin.config]
open = ['help@org.test']
";
    let (mut world, mut alpha) = start("stranger-guard", chain, &[]).await;
    let mut outside = world.outside("alpha.test", Mode::StartTls).await.unwrap();
    let mut inside = world.inside("alpha.test", Mode::StartTls).await;
    let (contact, user) = ("bob@alpha.test/1", "a@org.test");
    outside
        .send(&message(contact, user, "too-early", "<body>?</body>"))
        .await;
    let back = alpha.stanza().await;
    assert_eq!(attribute(&back, "id"), Some("too-early"));
    assert!(back.contains("<subscription-required"), "{back}");
    outside
        .send(&message(contact, "help@org.test", "open", "<body>?</body>"))
        .await;
    assert_eq!(attribute(&world.org.stanza().await, "id"), Some("open"));

    let ask = "<presence type='subscribe' from='bob@alpha.test' to='a@org.test'/>";
    outside.send(ask).await;
    let answer = alpha.stanza().await;
    assert_eq!(attribute(&answer, "type"), Some("unsubscribed"), "{answer}");

    let first = message("A@org.test/x", "Bob@alpha.test", "first", "<body>Hi</body>");
    inside.send(&first).await;
    assert_eq!(attribute(&alpha.stanza().await, "id"), Some("first"));
    outside
        .send(&message(contact, user, "answer", "<body>Hi</body>"))
        .await;
    assert_eq!(attribute(&world.org.stanza().await, "id"), Some("answer"));
    outside.send(ask).await;
    let asked = world.org.stanza().await;
    assert_eq!(attribute(&asked, "type"), Some("subscribe"), "{asked}");
}

#[tokio::test]
async fn a_list_that_changes_on_disk_blocks_at_once_and_a_bad_one_changes_nothing() {
    let chain = "
[[plugin]]
name = 'blocklist'
component = 'blocklist.wasm'
[plugin.files]
blocked = 'blocked.txt'
";
    let (mut world, _alpha) = start("blocklist", chain, &[("blocked.txt", "")]).await;
    let list = world.dir().join("blocked.txt");
    let mut outside = world.outside("alpha.test", Mode::StartTls).await.unwrap();
    let (eve, bob, user) = ("eve@alpha.test/1", "bob@alpha.test/1", "a@org.test");
    outside
        .send(&message(eve, user, "before", "<body>Hi</body>"))
        .await;
    assert_eq!(attribute(&world.org.stanza().await, "id"), Some("before"));

    let generation = |world: &World| world.gateway.status().generation;
    std::fs::write(&list, "Eve@Alpha.test # too loud\n").unwrap();
    world
        .until(
            || generation(&world) == 2,
            || "the list is not read again".to_owned(),
        )
        .await;
    outside
        .send(&message(eve, user, "blocked", "<body>Hi</body>"))
        .await;
    outside
        .send(&message(bob, user, "other", "<body>Hi</body>"))
        .await;
    assert_eq!(attribute(&world.org.stanza().await, "id"), Some("other"));

    std::fs::write(&list, "eve@alpha.test\nno..domain\n").unwrap();
    let reload = world.gateway.reload(Trigger::Call).await.unwrap();
    assert_eq!(
        (reload.result, generation(&world)),
        (ReloadResult::Failed, 2)
    );
    let told = reload.messages.join("; ");
    assert!(told.contains("file `blocked`, line 2"), "{told}");

    std::fs::write(&list, "alpha.test\n").unwrap();
    world
        .until(
            || generation(&world) == 3,
            || "the list is not read again".to_owned(),
        )
        .await;
    // The stream ends, and there is no other.
    outside.rest().await;
    assert!(world.outside("alpha.test", Mode::StartTls).await.is_err());
}

#[tokio::test]
async fn the_example_of_each_readme_is_a_policy_that_starts() {
    for plugin in [
        "rate-limit",
        "content-filter",
        "stranger-guard",
        "blocklist",
    ] {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins");
        let readme = std::fs::read_to_string(crates.join(plugin).join("README.md")).unwrap();
        let example = readme.split("```toml\n").nth(1).unwrap();
        let example = example.split("```").next().unwrap();
        let lists = ["blocked.txt", "shared.txt", "friends.txt"];
        let (world, _alpha) = start(plugin, example, &lists.map(|list| (list, ""))).await;
        assert_eq!(world.gateway.status().generation, 1, "{plugin}");
    }
}
