//! From where and how far connections go, whoever names the place.

use super::*;

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
