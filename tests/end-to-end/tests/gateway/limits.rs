//! What one address, one partner and everybody together may take; and for whom a load balancer
//! speaks.

use std::net::{IpAddr, SocketAddr};

use portcullis_end_to_end::{Plan, World, prepare};
use portcullis_test_support::{Client, Item, Mode};
use tokio::time::Instant;

/// A gateway with a record for alpha.test and beta.test, and this at the end of its file.
async fn world(plan: Plan) -> World {
    let more = "[[partner]]\ndomain = 'alpha.test'\nalso = ['muc.alpha.test']\nproxy = '127.0.0.1:9'\n\
         [[partner]]\ndomain = 'beta.test'\nproxy = '127.0.0.1:9'\n";
    let more = format!("{more}{}", plan.more);
    prepare().start(Plan { more, ..plan }).await
}

fn limits(text: &str) -> Plan {
    Plan {
        more: format!("[limits]\n{text}\n"),
        ..Plan::default()
    }
}

fn federation(world: &World) -> SocketAddr {
    world.gateway.addresses().federation[0]
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn turned_away(world: &World, reason: &str) -> u64 {
    world.sum("portcullis_connections_turned_away_total", reason)
}

/// Says a header and whether it is answered; nothing else ever is the answer.
async fn is_answered(client: &mut Client) -> bool {
    client.try_header("alpha.test", "org.test").await;
    match client.next().await {
        Item::Open(_) => true,
        Item::End => false,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn dos_01_connections_of_one_address_are_limited_until_they_authenticate() {
    let world = world(limits("connections_per_address = 3")).await;
    let gateway = federation(&world);
    let mut alpha = world.outside("alpha.test", Mode::StartTls).await.unwrap();
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut client = Client::connect(gateway).await;
        assert!(is_answered(&mut client).await);
        held.push(client);
    }
    assert!(!is_answered(&mut Client::connect(gateway).await).await);
    assert_eq!(turned_away(&world, "reason=\"address\""), 1);
    let mut other = Client::connect_from(ip("127.0.0.9"), gateway).await;
    assert!(is_answered(&mut other).await);
    alpha
        .send("<message from='a@alpha.test' to='b@org.test'/>")
        .await;
    world.at_rest(1).await;

    drop(held.pop());
    let open = || world.sum("portcullis_connections", "side=\"federation\"");
    let state = || format!("{} connections", open());
    world.until(|| open() == 4, state).await;
    assert!(is_answered(&mut Client::connect(gateway).await).await);
}

#[tokio::test]
async fn dos_01_attempts_of_one_address_are_limited() {
    let world = world(limits("attempts_per_minute = 5")).await;
    let gateway = federation(&world);
    for _ in 0..5 {
        assert!(is_answered(&mut Client::connect(gateway).await).await);
    }
    assert!(!is_answered(&mut Client::connect(gateway).await).await);
    assert_eq!(turned_away(&world, "reason=\"attempts\""), 1);
    let mut other = Client::connect_from(ip("127.0.0.9"), gateway).await;
    assert!(is_answered(&mut other).await);
    // The inside has no such limit: a server that starts opens a stream for each partner.
    for _ in 0..10 {
        world.inside("alpha.test", Mode::Direct).await;
    }
}

#[tokio::test]
async fn connections_with_one_partner_are_limited() {
    let world = world(limits("connections_per_partner = 2")).await;
    let one = world.outside("alpha.test", Mode::StartTls).await.unwrap();
    let _two = world
        .outside("muc.alpha.test", Mode::StartTls)
        .await
        .unwrap();
    let mut three = world.outside("alpha.test", Mode::Direct).await.unwrap();
    let seen = format!("{:?}", three.rest().await);
    assert!(seen.contains("<resource-constraint"), "{seen}");
    assert!(seen.contains("more than 2 connections"), "{seen}");
    world.outside("beta.test", Mode::Direct).await.unwrap();
    one.close().await;
    let streams = || world.sum("portcullis_streams", "side=\"federation\"");
    let state = || format!("{} streams", streams());
    world.until(|| streams() <= 2, state).await;
    let mut again = world.outside("alpha.test", Mode::Direct).await.unwrap();
    again
        .send("<message from='a@alpha.test' to='b@org.test'/>")
        .await;
    world.at_rest(1).await;
}

#[tokio::test]
async fn connections_with_everybody_are_limited() {
    let world = world(limits("connections = 3\nconnections_per_partner = 3")).await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(world.outside("alpha.test", Mode::Direct).await.unwrap());
    }
    let gateway = federation(&world);
    assert!(!is_answered(&mut Client::connect(gateway).await).await);
    assert_eq!(turned_away(&world, "reason=\"full\""), 1);
    world.inside("alpha.test", Mode::Direct).await;
}

const HELLO: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:server' ";

#[tokio::test]
async fn v14_each_phase_of_a_negotiation_has_an_end_of_its_own() {
    let world = world(Plan {
        timeouts: "establish = 8",
        ..Plan::default()
    })
    .await;
    let gateway = federation(&world);
    let began = Instant::now();
    // No byte, half a header, and a header with no TLS after it.
    let mut silent = Client::connect(gateway).await;
    let mut half = Client::connect(gateway).await;
    half.send(HELLO).await;
    let mut plain = Client::connect(gateway).await;
    plain.header("alpha.test", "org.test").await;

    assert_eq!(silent.rest().await, [Item::End]);
    let first = began.elapsed().as_secs_f64();
    assert!((2.0..8.0).contains(&first), "{first}");
    half.rest().await;
    let second = began.elapsed().as_secs_f64();
    assert!((2.0..8.0).contains(&second), "{second}");
    plain.features().await.unwrap();
    let error = plain.element("<stream:error").await.unwrap();
    assert!(error.contains("<connection-timeout"), "{error}");
    let third = began.elapsed().as_secs_f64();
    assert!((4.0..8.0).contains(&third), "{third}");
}

#[tokio::test]
async fn v14_an_element_that_has_begun_must_come_at_a_rate() {
    let world = world(Plan {
        timeouts: "establish = 4",
        ..limits("minimum_rate = 1000000")
    })
    .await;
    // It may be silent between elements, but not inside one.
    let mut idle = world.outside("beta.test", Mode::StartTls).await.unwrap();
    let mut slow = world.outside("alpha.test", Mode::StartTls).await.unwrap();
    slow.send("<message from='a@alpha.test' to='b@org.test'><body>")
        .await;
    let seen = format!("{:?}", slow.rest().await);
    assert!(seen.contains("<policy-violation"), "{seen}");
    assert!(
        seen.contains("slower than 1000000 bytes per second"),
        "{seen}"
    );
    idle.send("<message from='a@beta.test' to='b@org.test'/>")
        .await;
    world.at_rest(1).await;
}

const VERSION_2: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x08\x0a\x00\x00\x05\x12\x68\x14\x95";

#[tokio::test]
async fn a_named_load_balancer_says_for_whom_it_speaks() {
    let world = world(Plan {
        federation: "proxy_protocol = ['127.0.0.4/31']",
        ..limits("connections_per_address = 1")
    })
    .await;
    let gateway = federation(&world);
    let alpha = world.pki.partner(&["alpha.test"]);
    for (header, address) in [
        (
            &b"PROXY TCP4 192.0.2.7 10.0.0.5 4711 5269\r\n"[..],
            "192.0.2.7:4711",
        ),
        (VERSION_2, "192.0.2.8:4712"),
    ] {
        for mode in [Mode::StartTls, Mode::Direct] {
            let mut client = Client::connect_from(ip("127.0.0.5"), gateway).await;
            client.send_bytes(header).await;
            let opened = client
                .negotiate(&alpha, "alpha.test", "org.test", mode)
                .await;
            let _client = opened.unwrap_or_else(|seen| panic!("{seen:?}"));
            let streams = world.gateway.status().streams;
            let addresses: Vec<_> = streams
                .iter()
                .filter_map(|s| s.address.as_deref())
                .collect();
            assert!(addresses.contains(&address), "{addresses:?}");
        }
    }
    // Each counts for the address that it has, not for the load balancer's.
    let speak = async |header: &[u8]| {
        let mut client = Client::connect_from(ip("127.0.0.4"), gateway).await;
        client.send_bytes(header).await;
        let answered = is_answered(&mut client).await;
        (client, answered)
    };
    let (_one, answered) = speak(b"PROXY TCP4 192.0.2.9 10.0.0.5 1 5269\r\n").await;
    assert!(answered);
    let (_two, answered) = speak(b"PROXY TCP4 192.0.2.10 10.0.0.5 1 5269\r\n").await;
    assert!(answered);
    let (_three, answered) = speak(b"PROXY TCP4 192.0.2.9 10.0.0.5 2 5269\r\n").await;
    assert!(!answered);
    assert_eq!(turned_away(&world, "reason=\"address\""), 1);
}

#[tokio::test]
async fn a_header_is_wanted_from_a_load_balancer_and_from_nobody_else() {
    let world = world(Plan {
        federation: "proxy_protocol = ['127.0.0.4']",
        ..Plan::default()
    })
    .await;
    let gateway = federation(&world);
    let mut bare = Client::connect_from(ip("127.0.0.4"), gateway).await;
    assert!(!is_answered(&mut bare).await);
    assert_eq!(turned_away(&world, "reason=\"proxy\""), 1);

    for header in [
        &b"PROXY TCP4 192.0.2.7 10.0.0.5 4711 5269\r\n"[..],
        VERSION_2,
    ] {
        let mut other = Client::connect_from(ip("127.0.0.6"), gateway).await;
        other.send_bytes(header).await;
        assert!(!is_answered(&mut other).await);
    }
    let mut other = Client::connect_from(ip("127.0.0.6"), gateway).await;
    assert!(is_answered(&mut other).await);
}
