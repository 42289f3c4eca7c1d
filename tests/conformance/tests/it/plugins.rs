//! Rules that only a policy can try: the scripted plugin of the policy engine's tests, which does what
//! a message tells it to, and the allowlist.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use portcullis_conformance::{At, Peer, Plan, Show, Stage, bare, program};

/// Builds a plugin with the program's own command, and returns the directory that it is in.
pub(crate) fn built(plugin: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output = Command::new(program())
        .args(["plugin", "build", "--json"])
        .arg(root.join(plugin))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let told: serde_json::Value = serde_json::from_str(&told)
        .unwrap_or_else(|_| panic!("{told}{}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(told["result"], "built", "{told}");
    let component = PathBuf::from(told["component"].as_str().unwrap());
    component.parent().unwrap().to_owned()
}

pub(crate) async fn scripted(more: &str) -> Stage {
    let plan = Plan {
        plugins: Some(built("host/policy/tests/guests/scripted")),
        more: format!(
            "[[plugin]]\nname = 'scripted'\ncomponent = 'policy_guest_scripted.wasm'\n{more}"
        ),
        ..Plan::default()
    };
    bare().start(plan).await
}

pub(crate) fn message(id: &str, script: &str) -> String {
    format!(
        "<message from='b@alpha.test' to='a@org.test' id='{id}'><body>{script}</body></message>"
    )
}

#[tokio::test]
async fn ord_02_nothing_overtakes_a_stanza_that_is_still_judged() {
    let mut stage = scripted("budget = '1s'").await;
    let mut peer = stage.outside(At::Established).await;
    for n in 0..10 {
        let script = if n % 2 == 0 { "a:spin:100" } else { "a:pass" };
        peer.send(&message(&n.to_string(), script)).await;
    }
    for n in 0..10 {
        let message = stage.org_gets().await;
        assert_eq!(message.attribute("id"), Some(&n.to_string()[..]));
    }
}

#[tokio::test]
async fn ord_04_a_request_that_a_plugin_drops_is_answered() {
    let mut stage = scripted("[plugin.config]\ndrop_iq = true").await;
    let mut peer = stage.outside(At::Established).await;
    for kind in ["get", "set"] {
        peer.send(&format!(
            "<iq from='b@alpha.test' to='a@org.test' id='{kind}' type='{kind}'><q xmlns='urn:q'/></iq>"
        ))
        .await;
        let error = stage.alpha_gets().await;
        assert_eq!(error.attribute("id"), Some(kind));
        assert!(error.stanza_error().is_some(), "{error:?}");
    }
    // A message may go without a word.
    peer.send(&message("dropped", "a:drop:silently")).await;
    peer.send(&message("behind", "a:pass")).await;
    assert_eq!(stage.org_gets().await.attribute("id"), Some("behind"));
    assert!(stage.alpha.try_next().is_none());
}

#[tokio::test]
async fn v23_no_spelling_gets_around_a_list() {
    let bare = bare();
    let identity = bare.pki.partner(&["gamma.test", "xn--mller-kva.test"]);
    let plan = Plan {
        plugins: Some(built("plugins/partner-allowlist")),
        more: "[[plugin]]\nname = 'allowlist'\ncomponent = 'partner_allowlist.wasm'\n[plugin.config]\n\
               allow = ['*.test']\ndeny = ['gamma.test', 'müller.test']\n"
            .to_owned(),
        ..Plan::default()
    };
    let stage = bare.start(plan).await;
    let show = Show::Certificate(&identity);
    for from in [
        "gamma.test",
        "GAMMA.test",
        "gamma.test.",
        "ｇａｍｍａ.test",
        "gamma。test",
        "ga\u{ad}mma.test",
        "müller.test",
        "mu\u{308}ller.test",
        "xn--mller-kva.test",
        "XN--MLLER-KVA.TEST",
    ] {
        for at in [At::Connected, At::Secured] {
            let mut peer = Peer::connect(stage.gateway.federation).await;
            if at == At::Secured {
                peer.secure(show.client(), "org.test").await.unwrap();
            }
            peer.open(from, "org.test").await;
            peer.refused("policy-violation").await;
        }
        // From inside the same names are refused too.
        let mut inside = stage.inside_to(from, At::Connected).await;
        inside.open("org.test", from).await;
        inside.features().await;
    }
    // Another name is another name.
    let delta = stage.pki.partner(&["delta.test"]);
    stage
        .outside_as("delta.test", &Show::Certificate(&delta), At::Established)
        .await
        .close()
        .await;
    stage.gateway.at_rest().await;
}

#[tokio::test]
async fn v24_a_plugin_that_goes_wild_harms_its_own_verdicts_only() {
    let mut stage = scripted("budget = '10ms'\nmemory = '16MiB'").await;
    let mut peer = stage.outside(At::Established).await;
    peer.send(&message("warm", "a:pass")).await;
    assert_eq!(stage.org_gets().await.attribute("id"), Some("warm"));
    stage.gateway.forget_peak();
    let before = stage.gateway.usage();
    for wild in [
        "panic",
        "loop",
        "memory",
        "recurse",
        "exit",
        "leak",
        "edit-and-panic",
    ] {
        peer.send(&message(wild, &format!("a:{wild}"))).await;
        let error = stage.alpha_gets().await;
        assert_eq!(error.attribute("id"), Some(wild));
        // Fail closed; what it did before it failed is not seen.
        let (condition, _) = error.stanza_error().unwrap();
        assert_eq!(condition, "internal-server-error", "{wild}");
        // After some failures in a row it is not asked about this partner, and the answer is the same.
    }
    let after = stage.gateway.usage();
    assert!(
        after.cpu - before.cpu < Duration::from_secs(3),
        "{before:?} {after:?}"
    );
    let grown = after.peak.saturating_sub(before.resident);
    assert!(grown < 64 * 1024 * 1024, "{grown}");
    let status = stage.gateway.status().await;
    // Status and metrics say what failed why, and whom it is not asked about since the fifth in a row. On
    // a slow machine the budget may end what memory or handles would have ended.
    let plugin = &status["plugins"][0];
    for cause in ["panic", "budget", "trap", "exit"] {
        let count = plugin["failures_by_cause"][cause].as_u64();
        assert!(count.is_some_and(|count| count >= 1), "{cause}: {plugin}");
    }
    let resting = &plugin["resting"][0];
    assert_eq!(resting["sender"], "alpha.test", "{plugin}");
    for time in ["since", "until"] {
        assert!(resting[time].as_str().unwrap().ends_with('Z'), "{plugin}");
    }
    assert!(
        plugin["quarantined"].is_null(),
        "nobody else's loss: {plugin}"
    );
    let failures = plugin["failures"].as_f64().unwrap();
    let calls = plugin["calls"].as_f64().unwrap();
    assert!(failures >= 5.0 && calls >= failures, "{plugin}");
    for (name, label, value) in [
        ("portcullis_plugin_failures_total", "cause", failures),
        ("portcullis_plugin_failures_total", "panic", 1.0),
        ("portcullis_plugin_sender_rests_total", "scripted", 1.0),
        ("portcullis_plugin_senders_resting", "scripted", 1.0),
        ("portcullis_plugin_quarantined", "scripted", 0.0),
        ("portcullis_plugin_state_keys", "scripted", 1.0),
    ] {
        let told = stage.gateway.sum(name, label).await;
        assert!((told - value).abs() < 0.5, "{name} {label}: {told}");
    }
    let sum = async |name, label| stage.gateway.sum(name, label).await;
    let count = sum("portcullis_plugin_call_seconds_count", "scripted").await;
    let bucket = sum("portcullis_plugin_call_seconds_bucket", "+Inf").await;
    assert!(count >= calls && bucket >= count, "{count} {bucket}");
    assert!(sum("portcullis_plugin_memory_bytes", "scripted").await >= 65_536.0);
}

#[tokio::test]
async fn v24_a_plugins_chatter_is_bounded_and_makes_no_lines_of_its_own() {
    let mut stage = scripted("budget = '1s'").await;
    let mut peer = stage.outside(At::Established).await;
    for script in ["a:print", "a:chatter"] {
        peer.send(&message("1", script)).await;
        // The next one is judged behind it.
        peer.send(&message("2", "a:pass")).await;
        while stage.org_gets().await.attribute("id") != Some("2") {}
    }
    let log = stage.gateway.log();
    assert!(log.len() < 1024 * 1024, "{} bytes", log.len());
    assert!(!log.contains('\u{1b}'), "a terminal would obey this log");
    for line in log.lines() {
        assert!(
            !line.starts_with("two") && !line.starts_with("oops"),
            "{line}"
        );
        assert!(line.len() < 16 * 1024, "{} bytes in a line", line.len());
    }
}
