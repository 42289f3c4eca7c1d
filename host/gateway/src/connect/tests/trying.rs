//! In which order addresses are tried, how many, and how long one may hold up the next.

use super::*;

#[tokio::test]
async fn dns_02_both_services_are_tried_in_one_order_until_the_caller_is_content() {
    let (_first, first) = listener("127.0.0.1").await;
    let (_second, second) = listener("127.0.0.1").await;
    let (_third, third) = listener("127.0.0.1").await;
    let dialer = Zone::default()
        .srv("_xmpp-server._tcp.alpha.test", 10, second, "b.alpha.test")
        .srv("_xmpps-server._tcp.alpha.test", 0, first, "a.alpha.test")
        .srv("_xmpps-server._tcp.alpha.test", 20, third, "a.alpha.test")
        .a("a.alpha.test", "127.0.0.1")
        .a("b.alpha.test", "127.0.0.1")
        .dialer()
        .await;
    let mut candidates = partner(&dialer, "alpha.test").await.unwrap();
    let mut tried = Vec::new();
    let end = loop {
        match candidates.next().await {
            Ok(connection) => {
                assert_eq!(
                    connection.stream.peer_addr().unwrap(),
                    connection.candidate.address
                );
                tried.push((
                    connection.candidate.address.port(),
                    connection.candidate.mode,
                ));
            }
            Err(error) => break error,
        }
    };
    assert_eq!(
        tried,
        [
            (first, TlsMode::Direct),
            (second, TlsMode::StartTls),
            (third, TlsMode::Direct)
        ]
    );
    assert!(matches!(end, ConnectError::Exhausted(_)), "{end:?}");
}

#[tokio::test]
async fn dns_04_a_dead_server_is_passed_over() {
    let (_alive, alive) = listener("127.0.0.1").await;
    let dialer = Zone::default()
        .srv(
            "_xmpp-server._tcp.alpha.test",
            0,
            closed_port().await,
            "dead.alpha.test",
        )
        .srv(
            "_xmpp-server._tcp.alpha.test",
            1,
            5269,
            "nowhere.alpha.test",
        )
        .srv("_xmpp-server._tcp.alpha.test", 2, alive, "alive.alpha.test")
        .a("dead.alpha.test", "127.0.0.1")
        .a("alive.alpha.test", "127.0.0.1")
        .dialer()
        .await;
    let connection = partner(&dialer, "alpha.test")
        .await
        .unwrap()
        .next()
        .await
        .unwrap();
    assert_eq!(connection.candidate.target.as_ref(), "alive.alpha.test");
}

#[tokio::test]
async fn dns_05_a_silent_address_does_not_hold_up_its_sibling_and_is_tried_again_later() {
    // A queue that is full answers no SYN.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let silent = socket.listen(1).unwrap();
    let port = silent.local_addr().unwrap().port();
    let fillers = [fill(port).await, fill(port).await];
    let _sibling = TcpListener::bind(("127.0.0.3", port)).await.unwrap();
    let dialer = Zone::default()
        .srv("_xmpp-server._tcp.alpha.test", 0, port, "a.alpha.test")
        .a("a.alpha.test", "127.0.0.2")
        .a("a.alpha.test", "127.0.0.3")
        .dialer()
        .await;
    let mut candidates = partner(&dialer, "alpha.test").await.unwrap();
    let began = Instant::now();
    let connection = candidates.next().await.unwrap();
    assert_eq!(connection.candidate.address.ip(), ip("127.0.0.3"));
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );

    for _ in &fillers {
        silent.accept().await.unwrap();
    }
    let connection = candidates.next().await.unwrap();
    assert_eq!(connection.candidate.address.ip(), ip("127.0.0.2"));
}

async fn fill(port: u16) -> TcpStream {
    TcpStream::connect(("127.0.0.2", port)).await.unwrap()
}

#[tokio::test]
async fn dns_05_the_families_alternate_and_ipv6_comes_first() {
    let port = closed_port().await;
    let dialer = Zone::default()
        .srv("_xmpp-server._tcp.alpha.test", 0, port, "a.alpha.test")
        .a("a.alpha.test", "127.0.0.2")
        .a("a.alpha.test", "127.0.0.3")
        .aaaa("a.alpha.test", "::1")
        .dialer()
        .await;
    let text = failure(&dialer, "alpha.test").await.to_string();
    let at = |address: &str| text.find(address).unwrap_or_else(|| panic!("{text}"));
    assert!(at("[::1]") < at("127.0.0.2"), "{text}");
    assert!(at("127.0.0.2") < at("127.0.0.3"), "{text}");
}

#[tokio::test]
async fn dns_05_ipv4_does_not_wait_for_an_answer_about_ipv6_that_does_not_come() {
    let (_listener, port) = listener("127.0.0.1").await;
    let dialer = Zone::default()
        .srv("_xmpp-server._tcp.alpha.test", 0, port, "a.alpha.test")
        .a("a.alpha.test", "127.0.0.1")
        .silent("a.alpha.test", RecordType::AAAA)
        .dialer()
        .await;
    let mut candidates = partner(&dialer, "alpha.test").await.unwrap();
    // Two seconds are what one unanswered question takes.
    let connection = timeout(Duration::from_millis(1900), candidates.next()).await;
    assert_eq!(
        connection.unwrap().unwrap().candidate.address.ip(),
        ip("127.0.0.1")
    );
}

#[tokio::test]
async fn dns_06_v16_a_domain_that_cannot_be_reached_is_tried_once_for_all() {
    let dialer = Zone::default()
        .srv(
            "_xmpp-server._tcp.alpha.test",
            0,
            closed_port().await,
            "a.alpha.test",
        )
        .a("a.alpha.test", "127.0.0.1")
        .dialer()
        .await;
    let first = failure(&dialer, "alpha.test").await;
    assert!(matches!(first, ConnectError::Unreachable(_)), "{first:?}");
    for _ in 0..100 {
        let error = failure(&dialer, "alpha.test").await;
        assert!(
            matches!(&error, ConnectError::Resting { failure, .. } if **failure == first),
            "{error:?}"
        );
    }
    dialer.forget_failures();
    assert_eq!(failure(&dialer, "alpha.test").await, first);
}

#[tokio::test]
async fn however_many_records_there_are_few_are_tried() {
    let port = closed_port().await;
    let mut zone = Zone::default();
    for n in 0..20_u16 {
        zone = zone.srv(
            "_xmpp-server._tcp.alpha.test",
            n,
            port,
            &format!("h{n}.alpha.test"),
        );
        for m in 1..=20 {
            zone = zone.a(&format!("h{n}.alpha.test"), &format!("127.1.{n}.{m}"));
        }
    }
    let dialer = zone.dialer().await;
    let error = failure(&dialer, "alpha.test").await;
    let ConnectError::Unreachable(text) = error else {
        panic!("{error:?}")
    };
    assert!(text.contains("28 more"), "{text}");
}

#[tokio::test]
async fn a_dialer_is_shared_between_tasks() {
    let (_listener, port) = listener("127.0.0.1").await;
    let dialer = Zone::default()
        .srv("_xmpp-server._tcp.alpha.test", 0, port, "a.alpha.test")
        .a("a.alpha.test", "127.0.0.1")
        .dialer()
        .await;
    let shared = Arc::new(dialer);
    let other = Arc::clone(&shared);
    let task = tokio::spawn(async move { partner(&other, "alpha.test").await?.next().await });
    task.await.unwrap().unwrap();
}
