//! How many may come, and how fast they have to speak.

use std::time::Duration;

use portcullis_conformance::{At, Peer, Plan, Show, Stage, bare};

async fn limited(keys: &str) -> Stage {
    let plan = Plan {
        keys: vec![("limits", keys.to_owned())],
        ..Plan::default()
    };
    bare().start(plan).await
}

/// Whether the gateway takes a connection from this address: it is open and says nothing, or closed
/// without a word.
async fn taken(stage: &Stage, source: &str) -> Option<Peer> {
    let mut peer = Peer::connect_from(source, stage.gateway.federation).await;
    peer.open("alpha.test", "org.test").await;
    match peer.read().await {
        Ok(bytes) if !bytes.is_empty() => Some(peer),
        _ => None,
    }
}

#[tokio::test]
async fn dos_01_one_address_has_so_many_connections_before_it_is_known() {
    let stage = limited("connections_per_address = 5").await;
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(
            taken(&stage, "127.0.5.1")
                .await
                .expect("it is within the limit"),
        );
    }
    // No XMPP error at that layer: it is closed without a word.
    assert!(taken(&stage, "127.0.5.1").await.is_none());
    // Others are not concerned, and who goes makes room.
    held.push(taken(&stage, "127.0.5.2").await.expect("another address"));
    drop(held);
    stage.gateway.at_rest().await;
    assert!(taken(&stage, "127.0.5.1").await.is_some());
    let turned_away = stage
        .gateway
        .sum("portcullis_connections_turned_away_total", "")
        .await;
    assert_eq!(turned_away, 1.0);
}

#[tokio::test]
async fn dos_01_one_address_has_so_many_attempts_in_a_minute() {
    let stage = limited("attempts_per_minute = 10").await;
    let mut refused = 0;
    for _ in 0..20 {
        if taken(&stage, "127.0.5.3").await.is_none() {
            refused += 1;
        }
    }
    // Some may come back within the time of the test, not many.
    assert!((5..=10).contains(&refused), "{refused}");
    assert!(taken(&stage, "127.0.5.4").await.is_some());
    stage.gateway.at_rest().await;
}

#[tokio::test]
async fn dos_01_one_partner_has_so_many_streams() {
    let plan = Plan {
        record: "connection_limit = 2",
        ..Plan::default()
    };
    let stage = bare().start(plan).await;
    let mut held = Vec::new();
    for n in 1..=2 {
        held.push(stage.outside(At::Established).await);
        stage
            .gateway
            .until("portcullis_streams", "side=\"federation\"", f64::from(n))
            .await;
    }
    let show = Show::Certificate(&stage.alpha_identity);
    let mut third = stage.outside_as("alpha.test", &show, At::Restarting).await;
    third.open("alpha.test", "org.test").await;
    let said = third.rest().await;
    assert!(
        format!("{said:?}").contains("resource-constraint"),
        "{said:?}"
    );
    drop(held);
    stage.gateway.at_rest().await;
}

#[tokio::test]
async fn v14_who_trickles_an_element_on_a_stream_that_stands_is_cut() {
    let stage = limited("minimum_rate = 1000").await;
    let mut peer = stage.outside(At::Established).await;
    peer.send("<message from='b@alpha.test' to='a@org.test'><body>")
        .await;
    let began = tokio::time::Instant::now();
    while peer.is_silent_for(Duration::from_millis(100)).await {
        assert!(began.elapsed() < Duration::from_secs(60), "nobody minds");
        if peer.try_send(b"x").await.is_err() {
            break;
        }
    }
    let said = peer.rest().await;
    assert!(format!("{said:?}").contains("policy-violation"), "{said:?}");
    stage.gateway.at_rest().await;
}
