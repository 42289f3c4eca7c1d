//! The dialer against a DNS server of our own and listeners on loopback addresses.

mod dnssec;
pub(crate) mod signed;
mod zone;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_resolver::proto::rr::RecordType;
use portcullis_xmpp::error::{ErrorType, StanzaCondition};
use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::stream::TlsMode;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::time::timeout;

use zone::Zone;

use super::{Candidates, ConnectError, Dialer, Search, Settings};
use crate::config::{Host, HostPort, Server, ServerTls};

fn domain(name: &str) -> Domain {
    Domain::parse(name).unwrap()
}

fn ip(address: &str) -> IpAddr {
    address.parse().unwrap()
}

async fn listener(address: &str) -> (TcpListener, u16) {
    let listener = TcpListener::bind((address, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// A port on which nobody listens.
async fn closed_port() -> u16 {
    listener("127.0.0.1").await.1
}

async fn partner(dialer: &Dialer, name: &str) -> Result<Candidates, ConnectError> {
    dialer.partner(&domain(name), Search::default()).await
}

/// The error with which finding `name` ends.
async fn failure(dialer: &Dialer, name: &str) -> ConnectError {
    match partner(dialer, name).await {
        Err(error) => error,
        Ok(mut candidates) => candidates.next().await.unwrap_err(),
    }
}

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
async fn dns_01_a_domain_that_offers_nothing_is_not_found_and_no_fallback_is_tried() {
    for service in [
        "_xmpp-server._tcp.alpha.test",
        "_xmpps-server._tcp.alpha.test",
    ] {
        let dialer = Zone::default()
            .srv(service, 0, 0, ".")
            .a("alpha.test", "127.0.0.1")
            .dialer()
            .await;
        let error = partner(&dialer, "alpha.test").await.err().unwrap();
        assert!(
            matches!(&error, ConnectError::NotFound(text) if text.contains("offers no")),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn dns_02_direct_tls_that_is_not_available_leaves_starttls() {
    let (_listener, port) = listener("127.0.0.1").await;
    let dialer = Zone::default()
        .srv("_xmpps-server._tcp.alpha.test", 0, 0, ".")
        .srv("_xmpp-server._tcp.alpha.test", 0, port, "a.alpha.test")
        .a("a.alpha.test", "127.0.0.1")
        .dialer()
        .await;
    let connection = partner(&dialer, "alpha.test")
        .await
        .unwrap()
        .next()
        .await
        .unwrap();
    assert_eq!(connection.candidate.mode, TlsMode::StartTls);
}

#[tokio::test]
async fn dns_01_without_srv_records_the_domains_own_addresses_are_tried() {
    // Nobody listens there; the error says which address it was.
    let dialer = Zone::default().a("alpha.test", "127.77.3.9").dialer().await;
    let error = failure(&dialer, "alpha.test").await;
    assert!(
        matches!(&error, ConnectError::NotFound(text) if text.contains("127.77.3.9:5269")),
        "{error:?}"
    );
    assert_eq!(
        error.stanza_error().condition,
        StanzaCondition::RemoteServerNotFound
    );
}

#[tokio::test]
async fn dns_01_02_no_such_name_and_no_such_record_lead_to_the_fallback_and_so_does_silence() {
    let with_domain = || Zone::default().a("alpha.test", "127.77.3.9");
    let (xmpps, xmpp) = (
        "_xmpps-server._tcp.alpha.test",
        "_xmpp-server._tcp.alpha.test",
    );
    let zones = [
        ("NXDOMAIN", with_domain()),
        // The names exist, with records of another kind.
        (
            "NODATA",
            with_domain().a(xmpp, "127.0.0.1").a(xmpps, "127.0.0.1"),
        ),
        ("silence", with_domain().silent(xmpp, RecordType::SRV)),
    ];
    for (case, zone) in zones {
        let error = failure(&zone.dialer().await, "alpha.test").await;
        assert!(
            matches!(&error, ConnectError::NotFound(text) if text.contains("127.77.3.9:5269")),
            "{case}: {error:?}"
        );
    }
}

#[tokio::test]
async fn dns_01_records_that_cannot_be_used_are_no_reason_for_the_fallback() {
    let dialer = Zone::default()
        .srv("_xmpp-server._tcp.alpha.test", 0, 0, "a.alpha.test")
        .a("alpha.test", "127.77.3.9")
        .dialer()
        .await;
    let error = failure(&dialer, "alpha.test").await;
    assert!(matches!(error, ConnectError::Resolution(_)), "{error:?}");
}

#[tokio::test]
async fn dns_01_records_behind_an_alias_are_found() {
    let (_listener, port) = listener("127.0.0.1").await;
    let dialer = Zone::default()
        .cname(
            "_xmpp-server._tcp.alpha.test",
            "_xmpp-server._tcp.hoster.test",
        )
        .srv("_xmpp-server._tcp.hoster.test", 0, port, "a.hoster.test")
        .a("a.hoster.test", "127.0.0.1")
        .dialer()
        .await;
    let mut candidates = partner(&dialer, "alpha.test").await.unwrap();
    let connection = candidates.next().await.unwrap();
    assert_eq!(connection.candidate.address.port(), port);
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
async fn dns_07_another_host_is_vetted_like_any_that_a_partner_names() {
    let (_listener, port) = listener("127.0.0.1").await;
    let zone = || {
        Zone::default()
            .srv("_xmpp-server._tcp.alpha.test", 0, port, "a.alpha.test")
            .a("a.alpha.test", "127.0.0.1")
            .a("b.alpha.test", "127.0.0.1")
    };
    let dialer = zone().dialer().await;
    let mut candidates = partner(&dialer, "alpha.test").await.unwrap();
    let from = candidates.next().await.unwrap().candidate;
    let remote = domain("alpha.test");
    for place in [
        format!("b.alpha.test:{port}"),
        format!(" B.alpha.test:{port}\n"),
        format!("127.0.0.1:{port}"),
    ] {
        let mut other = dialer.other_host(&remote, &from, &place).unwrap();
        let connection = other.next().await.unwrap();
        assert_eq!(connection.candidate.address.port(), port, "{place}");
        assert_eq!(connection.candidate.mode, TlsMode::StartTls);
    }
    let long = "a.".repeat(200);
    for place in [
        "",
        "b.alpha.test:0",
        "b.alpha.test:65536",
        "a b",
        "[::1",
        &long,
    ] {
        let error = dialer.other_host(&remote, &from, place).err().unwrap();
        assert!(matches!(error, ConnectError::NotFound(_)), "{place:?}");
    }

    let strict = Dialer::new(Settings {
        servers: vec![zone().serve().await],
        ..Settings::default()
    })
    .unwrap();
    for place in [
        format!("b.alpha.test:{port}"),
        "127.0.0.1".to_owned(),
        "[::1]:5269".to_owned(),
        "10.0.0.1:5269".to_owned(),
        "169.254.169.254:80".to_owned(),
        "[::ffff:8.8.8.8]:5269".to_owned(),
    ] {
        let error = strict
            .other_host(&remote, &from, &place)
            .unwrap()
            .next()
            .await
            .unwrap_err();
        assert!(
            matches!(error, ConnectError::Forbidden(_)),
            "{place}: {error:?}"
        );
    }
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_not_found() {
    let dialer = Zone::default().dialer().await;
    let error = failure(&dialer, "alpha.test").await;
    assert!(matches!(error, ConnectError::NotFound(_)), "{error:?}");
    assert_eq!(error.stanza_error().error_type, ErrorType::Cancel);
}

#[tokio::test]
async fn dns_01_a_broken_zone_is_no_reason_for_the_fallback_and_may_be_better_later() {
    let dialer = Zone::default()
        .broken("_xmpp-server._tcp.alpha.test")
        .broken("_xmpps-server._tcp.alpha.test")
        .a("alpha.test", "127.0.0.1")
        .dialer()
        .await;
    let error = partner(&dialer, "alpha.test").await.err().unwrap();
    assert!(matches!(error, ConnectError::Resolution(_)), "{error:?}");
    let told = error.stanza_error();
    assert_eq!(
        (told.condition, told.error_type),
        (StanzaCondition::RemoteServerNotFound, ErrorType::Wait)
    );
}

#[tokio::test]
async fn a_resolver_that_is_not_there_is_a_passing_failure() {
    let gone = UdpSocket::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let dialer = Dialer::new(Settings {
        servers: vec![gone],
        ..Settings::default()
    })
    .unwrap();
    let error = failure(&dialer, "alpha.test").await;
    assert!(matches!(error, ConnectError::Resolution(_)), "{error:?}");
}

#[tokio::test]
async fn servers_that_do_not_answer_are_a_passing_failure_that_names_them() {
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
    let error = failure(&dialer, "alpha.test").await;
    assert!(
        matches!(&error, ConnectError::Unreachable(text) if text.contains("a.alpha.test") && text.contains("127.0.0.1")),
        "{error:?}"
    );
    let told = error.stanza_error();
    assert_eq!(
        (told.condition, told.error_type),
        (StanzaCondition::RemoteServerTimeout, ErrorType::Wait)
    );
}

#[tokio::test]
async fn dns_09_a_partner_whose_dns_points_inside_is_not_contacted() {
    let (listener, port) = listener("127.0.0.1").await;
    let servers = vec![
        Zone::default()
            .srv("_xmpp-server._tcp.alpha.test", 0, port, "a.alpha.test")
            .a("a.alpha.test", "127.0.0.1")
            .serve()
            .await,
    ];
    let dialer = Dialer::new(Settings {
        servers,
        ..Settings::default()
    })
    .unwrap();
    let error = failure(&dialer, "alpha.test").await;
    assert!(
        matches!(&error, ConnectError::Forbidden(text) if text.contains("127.0.0.1") && text.contains("loopback")),
        "{error:?}"
    );
    drop(listener);
}

#[tokio::test]
async fn dns_09_the_gateway_does_not_call_itself() {
    let (_exact, port) = listener("127.0.0.1").await;
    let everywhere = TcpListener::bind("0.0.0.0:0").await.unwrap();
    for listening in [
        SocketAddr::new(ip("127.0.0.1"), port),
        everywhere.local_addr().unwrap(),
    ] {
        let servers = vec![
            Zone::default()
                .srv(
                    "_xmpp-server._tcp.alpha.test",
                    0,
                    listening.port(),
                    "a.alpha.test",
                )
                .a("a.alpha.test", "127.0.0.1")
                .serve()
                .await,
        ];
        let settings = Settings {
            servers,
            allow_private: true,
            listeners: vec![listening],
            ..Settings::default()
        };
        let error = failure(&Dialer::new(settings).unwrap(), "alpha.test").await;
        assert!(
            matches!(&error, ConnectError::Forbidden(text) if text.contains("this gateway itself")),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn streams_start_from_the_configured_source_address() {
    let (listener, port) = listener("127.0.0.1").await;
    let zone = Zone::default()
        .srv("_xmpp-server._tcp.alpha.test", 0, port, "a.alpha.test")
        .a("a.alpha.test", "127.0.0.1");
    let servers = vec![zone.serve().await];
    let settings = |source: &str| Settings {
        servers: servers.clone(),
        allow_private: true,
        source: Some(ip(source)),
        ..Settings::default()
    };
    let dialer = Dialer::new(settings("127.0.0.9")).unwrap();
    let connection = partner(&dialer, "alpha.test")
        .await
        .unwrap()
        .next()
        .await
        .unwrap();
    let (_, from) = listener.accept().await.unwrap();
    assert_eq!(from.ip(), ip("127.0.0.9"));
    drop(connection);

    // An address of the documentation range is none of this machine's.
    let error = failure(&Dialer::new(settings("192.0.2.1")).unwrap(), "alpha.test").await;
    assert!(
        matches!(&error, ConnectError::Source { address, .. } if *address == ip("192.0.2.1")),
        "{error:?}"
    );
    assert_eq!(error.stanza_error().text, None);

    let error = failure(&Dialer::new(settings("::1")).unwrap(), "alpha.test").await;
    assert!(error.to_string().contains("family"), "{error:?}");
}

#[tokio::test]
async fn a_partners_proxy_is_used_instead_of_dns_and_may_be_anywhere() {
    let (_listener, port) = listener("127.0.0.1").await;
    let servers = vec![
        Zone::default()
            .a("proxy.inner.test", "127.0.0.1")
            .serve()
            .await,
    ];
    let dialer = Dialer::new(Settings {
        servers,
        ..Settings::default()
    })
    .unwrap();
    for host in [
        Host::Address(ip("127.0.0.1")),
        Host::Name(domain("proxy.inner.test")),
    ] {
        let proxy = HostPort { host, port };
        let mut candidates = dialer
            .partner(
                &domain("alpha.test"),
                Search {
                    proxy: Some(&proxy),
                    dane: false,
                },
            )
            .await
            .unwrap();
        let connection = candidates.next().await.unwrap();
        assert_eq!(connection.candidate.mode, TlsMode::StartTls);
        assert_eq!(connection.candidate.address.port(), port);
    }
}

#[tokio::test]
async fn an_internal_server_is_tried_in_its_order_of_preference() {
    let (_listener, port) = listener("127.0.0.1").await;
    let place = |port| HostPort {
        host: Host::Address(ip("127.0.0.1")),
        port,
    };
    let server = Server {
        domains: vec![domain("org.test")],
        connect: vec![place(closed_port().await), place(port)],
        tls: ServerTls::Direct,
    };
    let dialer = Zone::default().dialer().await;
    let mut candidates = dialer.internal(&domain("org.test"), &server).unwrap();
    let connection = candidates.next().await.unwrap();
    assert_eq!(connection.candidate.address.port(), port);
    assert_eq!(connection.candidate.mode, TlsMode::Direct);
    assert!(matches!(
        candidates.next().await,
        Err(ConnectError::Exhausted(_))
    ));
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
async fn what_dns_says_can_be_told_to_an_operator() {
    let dialer = Zone::default()
        .srv("_xmpp-server._tcp.alpha.test", 5, 5269, "xmpp.alpha.test")
        .broken("_xmpps-server._tcp.alpha.test")
        .dialer()
        .await;
    let lines = dialer.explain(&domain("alpha.test")).await;
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(
        lines
            .iter()
            .any(|line| line.contains("xmpp.alpha.test. port 5269 (priority 5")),
        "{lines:?}"
    );
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("_xmpps-server._tcp.alpha.test: DNS answers")),
        "{lines:?}"
    );
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
