//! Which servers the DNS of a domain names, and when its own addresses are tried instead.

use super::*;

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
