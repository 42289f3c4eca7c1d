//! What a generation still does after another one has taken over.

use portcullis::app::Trigger;
use portcullis_end_to_end::{Plan, build_plugin, prepare};
use portcullis_test_support::Mode;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_in_a_generation_that_retires_is_counted() {
    let component = build_plugin("host/policy/tests/guests/scripted");
    let mut world = prepare()
        .start(Plan {
            partners: vec![("alpha.test", "127.0.0.1:9".parse().unwrap())],
            plugins: Some(component.parent().unwrap().to_owned()),
            more: "[[plugin]]\nname = 'slow'\ncomponent = 'policy_guest_scripted.wasm'\nbudget = '1s'\n"
                .to_owned(),
            ..Plan::default()
        })
        .await;
    let mut inside = world.inside("alpha.test", Mode::StartTls).await;
    inside
        .send("<message from='a@org.test' to='b@alpha.test' id='1'><body>a:loop</body></message>")
        .await;
    let received = || world.sum("portcullis_stanzas_received_total", "");
    world
        .until(|| received() == 1, || format!("{} received", received()))
        .await;

    // While the plugin burns its second it is taken out of the chain.
    world.rewrite_end("");
    let told = world.gateway.reload(Trigger::Admin).await.unwrap();
    assert_eq!(told.generation, 2, "{told:?}");
    assert!(world.org.stanza().await.contains("internal-server-error"));
    let alive = || world.sum("portcullis_generations_alive", "");
    world
        .until(|| alive() == 1, || format!("{} alive", alive()))
        .await;
    let burnt = || world.sum("portcullis_plugin_failures_total", r#"cause="budget""#);
    world
        .until(|| burnt() == 1, || format!("{} counted", burnt()))
        .await;
}
