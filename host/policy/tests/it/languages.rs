//! A policy that is not written in Rust.

use portcullis_policy::BuildStep;
use serde_json::json;

use crate::support::{Stream, World, plugin, status, told};

/// Run by `tests/other-languages/run`, which builds the component first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a component that another language's tool has built"]
async fn a_policy_in_python_judges() {
    let component = std::env::var_os("PORTCULLIS_PYTHON_COMPONENT").unwrap();
    let world = World::new();
    let mut spec = plugin("a", json!({}));
    spec.component = component.into();
    spec.config = json!({ "limit": 5 });

    // It carries an interpreter, so it comes in only if the operator says so by name.
    let error = world.build(vec![spec.clone()]).await.map(drop).unwrap_err();
    assert_eq!(error.step, BuildStep::Read);
    assert!(error.reason.contains("component_size"), "{error}");
    spec.limits.component_bytes = 32 << 20;
    spec.memory = 128 << 20;

    let mut wrong = spec.clone();
    wrong.config = json!({ "limit": "short" });
    let error = world.build(vec![wrong]).await.map(drop).unwrap_err();
    assert_eq!(
        (error.step, error.reason.as_str()),
        (BuildStep::Init, "`limit`, a whole number, is the only key")
    );

    let generation = world.build(vec![spec]).await.unwrap();
    generation.started().await;
    let mut stream = Stream::from_partner("alpha.test");
    for (children, answer) in [
        ("<body>12345</body>", "pass"),
        ("<body>1</body><body xml:lang='fr'>12345</body>", "pass"),
        ("<body>123456</body>", "reject policy-violation: too long"),
        (
            "<body>1</body><body xml:lang='fr'>123456</body>",
            "reject policy-violation: too long",
        ),
    ] {
        let judged = generation.judge(stream.message_of(children)).await;
        assert_eq!(told(&judged), answer, "{children}");
    }
    let outbound = generation
        .judge(Stream::from_inside("alpha.test").message("123456"))
        .await;
    assert_eq!(told(&outbound), "pass", "only what comes in is wanted");
    assert_eq!(status(&generation, "a").counts.failures, 0);
}
