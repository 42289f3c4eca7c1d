//! The default plugins in the gateway: who may come, what is seen of presence, what is on record.

use portcullis::admin::protocol::ReloadResult;
use portcullis::app::Trigger;
use portcullis_end_to_end::{Plan, World, default_chain, default_plugins, prepare};
use portcullis_test_support::{Behaviour, Incoming, Mode, Server, attribute};
use serde_json::Value;

/// The default plugins, of which the presence filter looks at what goes out.
fn chain(denied: &str, level: &str) -> String {
    default_chain(denied, &format!("outbound = '{level}'"))
}

/// Two partners and the default plugins.
async fn start(level: &str) -> (World, Server, Server) {
    let prepared = prepare();
    let alpha = prepared.partner("alpha.test", Behaviour::StartTls).await;
    let beta = prepared.partner("beta.test", Behaviour::StartTls).await;
    let plan = Plan {
        partners: vec![("alpha.test", alpha.address), ("beta.test", beta.address)],
        more: chain("", level),
        plugins: Some(default_plugins()),
        ..Plan::default()
    };
    (prepared.start(plan).await, alpha, beta)
}

fn records<'a>(journal: &'a [Value], key: &str, value: &str) -> Vec<&'a Value> {
    journal
        .iter()
        .filter(|record| record[key] == value)
        .collect()
}

#[tokio::test]
async fn presence_loses_its_status_text_and_everything_is_on_record() {
    let (world, mut alpha, _beta) = start("show").await;
    let mut inside = world.inside("alpha.test", Mode::StartTls).await;
    inside
        .send(
            "<presence from='a@org.test/x' to='b@alpha.test'>\
             <show>away</show><status>at the dentist</status></presence>",
        )
        .await;
    let presence = alpha.stanza().await;
    assert!(presence.contains("<show>away</show>"), "{presence}");
    assert!(!presence.contains("dentist"), "{presence}");

    inside
        .send(
            "<message from='a@org.test/x' to='b@alpha.test' id='m1'><body>secret</body></message>",
        )
        .await;
    alpha.stanza().await;
    let mut stranger = world.inside("gamma.test", Mode::StartTls).await;
    stranger
        .send("<message from='a@org.test/x' to='b@gamma.test' id='m2'><body>?</body></message>")
        .await;
    world.at_rest(3).await;

    let all = || world.journal();
    let seen = || records(&all(), "event", "stanza").len();
    world.until(|| seen() == 3, || format!("{:?}", all())).await;
    let journal = all();
    let passed = records(&journal, "id", "m1");
    assert_eq!(passed.len(), 1);
    assert_eq!(passed[0]["verdict"], "pass");
    assert_eq!(passed[0]["partner"], "alpha.test");
    assert_eq!(passed[0]["direction"], "outbound");
    assert_eq!(passed[0]["method"], "external");
    let refused = records(&journal, "id", "m2");
    assert_eq!(refused[0]["verdict"], "reject");
    assert_eq!(refused[0]["plugin"], "allowlist");
    assert_eq!(refused[0]["partner"], "gamma.test");
    assert!(!records(&journal, "verdict", "allow").is_empty());
    let text = format!("{journal:?}");
    assert!(
        !text.contains("secret") && !text.contains("dentist"),
        "{text}"
    );
}

#[tokio::test]
async fn a_malformed_stanza_is_on_record_too() {
    let (world, mut alpha, _beta) = start("full").await;
    let mut outside = world.outside("alpha.test", Mode::StartTls).await.unwrap();
    outside
        .send("<iq from='b@alpha.test' to='a@org.test' id='1' type='ask'><q xmlns='urn:q'/></iq>")
        .await;
    assert!(alpha.stanza().await.contains("<bad-request"));
    let of_it = || records(&world.journal(), "plugin", "gateway:malformed").len();
    world
        .until(|| of_it() == 1, || format!("{:?}", world.journal()))
        .await;
    let journal = world.journal();
    let record = records(&journal, "plugin", "gateway:malformed")[0];
    assert_eq!(record["kind"], "iq");
    assert_eq!(record["verdict"], "reject");
    assert_eq!(record["condition"], "bad-request");
    assert_eq!(record["partner"], "alpha.test");
}

#[tokio::test]
async fn a_list_that_changes_on_disk_while_messages_flow_loses_and_doubles_none() {
    const COUNT: usize = 400;
    let (mut world, mut alpha, mut beta) = start("full").await;
    let mut to_alpha = world.inside("alpha.test", Mode::StartTls).await;
    let mut to_beta = world.inside("beta.test", Mode::StartTls).await;
    to_beta
        .send("<presence from='a@org.test/x' to='b@beta.test'/>")
        .await;
    assert!(beta.stanza().await.starts_with("<presence"));
    let mut from_beta = world.outside("beta.test", Mode::StartTls).await.unwrap();

    for n in 0..COUNT {
        if n == COUNT / 4 {
            world.rewrite_end(&chain("'beta.test'", "full"));
        }
        to_alpha
            .send(&format!(
                "<message from='a@org.test' to='b@alpha.test'><body>n{n}n</body></message>"
            ))
            .await;
        if n == COUNT / 2 {
            let generation = || world.gateway.status().generation;
            world
                .until(
                    || generation() == 2,
                    || format!("generation {}", generation()),
                )
                .await;
        }
    }
    for n in 0..COUNT {
        let message = alpha.stanza().await;
        assert!(
            message.contains(&format!("<body>n{n}n</body>")),
            "{n}: {message}"
        );
    }
    assert_eq!(alpha.connections(), 1);

    let seen = from_beta.rest().await;
    assert!(
        format!("{seen:?}").contains("<policy-violation"),
        "{seen:?}"
    );
    loop {
        match beta.next().await {
            Incoming::Stanza(stanza) if stanza.starts_with("<stream:error") => {
                assert!(stanza.contains("<policy-violation"), "{stanza}");
                break;
            }
            Incoming::Stanza(_)
            | Incoming::Opened { .. }
            | Incoming::Key { .. }
            | Incoming::Asked(_) => {}
            Incoming::Closed => panic!("beta was not told why"),
        }
    }
    to_beta
        .send("<message from='a@org.test' to='b@beta.test' id='late'><body>?</body></message>")
        .await;
    let error = world.org.stanza().await;
    assert!(error.contains("<not-allowed"), "{error}");
    assert_eq!(attribute(&error, "id"), Some("late"));
    world.at_rest(COUNT as u64 + 2).await;
    world
        .until(
            || world.gateway.status().generations_alive == 1,
            || "a generation does not retire".to_owned(),
        )
        .await;
}

#[tokio::test]
async fn prs_narrowing_a_level_leaves_no_ghost() {
    let (mut world, mut alpha, _beta) = start("full").await;
    let mut inside = world.inside("alpha.test", Mode::StartTls).await;
    inside
        .send("<presence from='a@org.test/x' to='b@alpha.test'/>")
        .await;
    let shown = alpha.stanza().await;
    assert_eq!(attribute(&shown, "type"), None, "{shown}");
    world.rewrite_end(&chain("", "none"));
    let reload = world.gateway.reload(Trigger::Call).await.unwrap();
    assert!(
        matches!(reload.result, ReloadResult::Ok | ReloadResult::Unchanged),
        "{reload:?}"
    );
    let gone = alpha.stanza().await;
    assert_eq!(attribute(&gone, "type"), Some("unavailable"), "{gone}");
    assert_eq!(attribute(&gone, "from"), Some("a@org.test/x"));
    let made = || {
        world.sum(
            "portcullis_gateway_stanzas_total",
            r#"why="emitted",outcome="delivered""#,
        )
    };
    world.until(|| made() == 1, || made().to_string()).await;
}

#[tokio::test]
async fn prs_a_partner_that_is_taken_from_the_records_is_told_that_its_contacts_are_gone() {
    let (mut world, alpha, mut beta) = start("full").await;
    let mut inside = world.inside("beta.test", Mode::StartTls).await;
    inside
        .send("<presence from='a@org.test/x' to='b@beta.test'/>")
        .await;
    beta.stanza().await;
    world.rewrite(vec![("alpha.test", alpha.address)]);
    let reload = world.gateway.reload(Trigger::Call).await.unwrap();
    assert!(
        matches!(reload.result, ReloadResult::Ok | ReloadResult::Unchanged),
        "{reload:?}"
    );
    let gone = beta.stanza().await;
    assert_eq!(attribute(&gone, "type"), Some("unavailable"), "{gone}");
    assert!(beta.stanza().await.contains("<policy-violation"));
}

#[tokio::test]
async fn a_faulty_plugin_changes_nothing_and_the_reason_is_told() {
    let (mut world, mut alpha, _beta) = start("full").await;
    world.rewrite_end(&chain("'not a domain'", "full"));
    let reload = world.gateway.reload(Trigger::Call).await.unwrap();
    assert_eq!(
        (reload.result, reload.generation),
        (ReloadResult::Failed, 1),
        "{reload:?}"
    );
    assert!(
        reload.messages.join(" ").contains("allowlist"),
        "{reload:?}"
    );
    let mut inside = world.inside("alpha.test", Mode::StartTls).await;
    inside
        .send("<message from='a@org.test' to='b@alpha.test'><body>still</body></message>")
        .await;
    assert!(alpha.stanza().await.contains("<body>still</body>"));
}
