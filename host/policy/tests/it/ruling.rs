//! Streams before the gatekeepers.

use portcullis_policy::{OnFailure, Ruling};
use portcullis_xmpp::stanza::Direction;
use serde_json::json;

use crate::support::{Stream, World, domain, plugin};

/// `admitted by X` or `refused by X: TEXT`.
fn told(ruling: Ruling) -> String {
    match ruling {
        Ruling::Admitted { by } => format!("admitted by {by}"),
        Ruling::Refused { by, text } => format!("refused by {by}: {text}"),
    }
}

async fn knock(world: &World, plugins: Vec<portcullis_policy::PluginSpec>, name: &str) -> String {
    let generation = world.build(plugins).await.unwrap();
    let address = "192.0.2.7:40000".parse().unwrap();
    told(
        generation
            .knock(&domain(name), Direction::Inbound, Some(address))
            .await,
    )
}

#[tokio::test]
async fn without_a_record_and_an_allowing_plugin_the_door_stays_shut() {
    let world = World::new();
    let denied = "refused by gateway:default-deny: gamma.test is not a partner of this server";
    assert_eq!(knock(&world, vec![], "gamma.test").await, denied);
    assert_eq!(
        knock(&world, vec![plugin("a", json!({}))], "gamma.test").await,
        denied,
        "abstaining opens no door"
    );
}

#[tokio::test]
async fn a_record_or_one_allowing_plugin_opens_it() {
    let world = World::new();
    assert_eq!(
        knock(&world, vec![], "alpha.test").await,
        "admitted by gateway:partner-record"
    );
    let plugins = vec![
        plugin("a", json!({})),
        plugin("b", json!({ "allow": ["gamma.test"] })),
    ];
    assert_eq!(
        knock(&world, plugins, "gamma.test").await,
        "admitted by plugin-b"
    );
}

#[tokio::test]
async fn one_refusal_outweighs_every_permission() {
    let world = World::new();
    let plugins = || {
        vec![
            plugin("a", json!({ "allow": ["gamma.test"] })),
            plugin("b", json!({ "refuse": ["gamma.test", "alpha.test"] })),
        ]
    };
    assert_eq!(
        knock(&world, plugins(), "gamma.test").await,
        "refused by plugin-b: gamma.test is refused by b"
    );
    assert_eq!(
        knock(&world, plugins(), "alpha.test").await,
        "refused by plugin-b: alpha.test is refused by b"
    );
}

#[tokio::test]
async fn a_gatekeeper_that_fails_refuses_unless_it_is_open() {
    let world = World::new();
    let failing = || plugin("a", json!({ "panic": ["alpha.test"] }));
    let ruling = knock(&world, vec![failing()], "alpha.test").await;
    assert_eq!(
        ruling,
        "refused by plugin-a: this server's policy cannot be asked at present"
    );
    let mut open = failing();
    open.on_failure = OnFailure::Open;
    assert_eq!(
        knock(&world, vec![open], "alpha.test").await,
        "admitted by gateway:partner-record"
    );
}

#[tokio::test]
async fn the_authenticated_peer_is_ruled_on_too() {
    let world = World::new();
    let generation = world
        .build(vec![plugin("a", json!({ "refuse": ["alpha.test"] }))])
        .await
        .unwrap();
    let ruling = generation
        .admit(&Stream::from_partner("alpha.test").peer)
        .await;
    assert_eq!(
        told(ruling),
        "refused by plugin-a: alpha.test is refused by a"
    );
    let ruling = generation
        .admit(&Stream::from_partner("gamma.test").peer)
        .await;
    assert_eq!(
        told(ruling),
        "refused by gateway:default-deny: gamma.test is not a partner of this server"
    );
}
