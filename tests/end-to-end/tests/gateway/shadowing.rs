//! A plugin that only watches, in a whole gateway.

use portcullis::app::Trigger;
use portcullis_end_to_end::{Plan, default_plugins, prepare};
use portcullis_test_support::{Behaviour, Mode};

/// Refuses alpha.test, and shows nothing of anybody's presence.
const STRICT: &str = "
[[plugin]]
name = 'strict-allowlist'
component = 'partner_allowlist.wasm'
mode = 'MODE'
[plugin.config]
deny = ['alpha.test']
[[plugin]]
name = 'strict-presence'
component = 'presence_filter.wasm'
mode = 'MODE'
[plugin.config]
inbound = 'none'
";

#[tokio::test]
async fn a_policy_is_watched_before_it_rules() {
    let prepared = prepare();
    let alpha = prepared.partner("alpha.test", Behaviour::StartTls).await;
    let plan = Plan {
        partners: vec![("alpha.test", alpha.address)],
        more: STRICT.replace("MODE", "shadow"),
        plugins: Some(default_plugins()),
        ..Plan::default()
    };
    let mut world = prepared.start(plan).await;
    let outside = world.outside("alpha.test", Mode::StartTls).await;
    let mut outside = outside.expect("a shadow refuses nobody");
    outside
        .send("<presence from='b@alpha.test/x' to='a@org.test' id='p1'/>")
        .await;
    assert!(world.org.stanza().await.contains("p1"));
    let counted = |plugin: &str, difference: &str| {
        let metrics = world.metrics();
        let name =
            format!(r#"portcullis_shadow_total{{plugin="{plugin}",difference="{difference}"}}"#);
        metrics.get(&name).copied().unwrap_or_default()
    };
    let both = || {
        (
            counted("strict-allowlist", "would-refuse"),
            counted("strict-presence", "would-drop"),
        )
    };
    world
        .until(
            || both().0 >= 1 && both().1 == 1,
            || format!("{:?}", both()),
        )
        .await;
    let reports = world.gateway.shadows();
    let sample = &reports[1].samples[0];
    assert_eq!(sample.id.as_deref(), Some("p1"));
    assert_eq!(sample.from.as_deref(), Some("b@alpha.test/x"));
    let status = world.gateway.status();
    assert!(status.plugins.iter().all(|plugin| plugin.mode == "shadow"));

    // Made active it does what it would have done.
    world.rewrite_end(&STRICT.replace("MODE", "active"));
    world.rewrite(vec![("alpha.test", alpha.address)]);
    let _ = world.gateway.reload(Trigger::Call).await.unwrap();
    assert!(world.outside("alpha.test", Mode::StartTls).await.is_err());
}
