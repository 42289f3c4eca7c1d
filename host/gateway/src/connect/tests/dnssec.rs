//! What DNSSEC says on the way to a partner whose record wants DANE (DANE-01).

use std::net::Ipv4Addr;

use hickory_server::proto::rr::RData;
use hickory_server::proto::rr::rdata::A;

use portcullis_xmpp::stream::{Need, Terms};

use portcullis_test_support::signed::{Signed, tlsa};

use super::signed::Dials as _;
use super::zone::Zone;
use super::{domain, listener};
use crate::connect::{Candidate, ConnectError, Dialer, Search, Tlsa};

const LOOSE: Terms = Terms {
    tls: Need::Optional,
    tls_dialback: true,
    tcp_dialback: true,
    ..Terms::CERTIFICATE
};
const DIGEST: [u8; 32] = [7; 32];

/// The first connection that comes of it.
async fn connected(dialer: &Dialer, name: &str) -> Result<Candidate, ConnectError> {
    let search = Search {
        proxy: None,
        dane: true,
    };
    let mut candidates = dialer.partner(&domain(name), search).await?;
    Ok(candidates.next().await?.candidate)
}

fn absent(tlsa: &Tlsa) -> &str {
    match tlsa {
        Tlsa::Absent(why) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn dane_01_trust_anchors_that_cannot_be_read_are_told() {
    let dir = tempfile::TempDir::new().unwrap();
    let file = dir.path().join("anchors");
    let settings = crate::connect::Settings {
        trust_anchors: Some(file.clone()),
        ..crate::connect::Settings::default()
    };
    for content in [
        None,
        Some("no zone file"),
        Some(". 60 IN DNSKEY 257 3 13 ???"),
    ] {
        if let Some(content) = content {
            std::fs::write(&file, content).unwrap();
        }
        let error = settings.check().unwrap_err().to_string();
        assert!(error.contains("trust_anchors"), "{error}");
    }
}

#[tokio::test]
async fn dane_01_signed_tlsa_records_come_with_the_address_and_demand_tls() {
    let (_listener, port) = listener("127.0.0.1").await;
    let dialer = Signed::new()
        .srv("alpha.test", port, "xmpp.alpha.test")
        .a("xmpp.alpha.test", "127.0.0.1")
        .tlsa("xmpp.alpha.test", port, [3, 1, 1], &DIGEST)
        .tlsa("xmpp.alpha.test", port, [9, 9, 9], &DIGEST)
        .dialer()
        .await;
    let candidate = connected(&dialer, "alpha.test").await.unwrap();
    let Tlsa::Records(records) = &candidate.tlsa else {
        panic!("{candidate:?}")
    };
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].host, Some(domain("xmpp.alpha.test")));
    assert_eq!(records[0].data.as_ref(), DIGEST);
    assert_eq!(candidate.narrowed(LOOSE).tls, Need::Required);
    assert!(!candidate.narrowed(LOOSE).tcp_dialback);

    // Who came in is one of the domain's servers.
    let all = dialer.associations(&domain("alpha.test")).await.unwrap();
    assert_eq!(all, candidate.tlsa);
}

#[tokio::test]
async fn dane_01_a_domain_without_srv_records_is_looked_for_at_its_own_port() {
    let dialer = Signed::new()
        .a("alpha.test", "127.0.0.1")
        .tlsa("alpha.test", 5269, [3, 1, 1], &DIGEST)
        .dialer()
        .await;
    let all = dialer.associations(&domain("alpha.test")).await.unwrap();
    assert!(matches!(all, Tlsa::Records(_)), "{all:?}");
}

#[tokio::test]
async fn dane_01_what_is_not_signed_from_end_to_end_does_not_count() {
    let (_listener, port) = listener("127.0.0.1").await;
    let dialer = Signed::new()
        // All of it unsigned.
        .srv("plain.test", port, "xmpp.plain.test")
        .a("xmpp.plain.test", "127.0.0.1")
        .tlsa("xmpp.plain.test", port, [3, 1, 1], &DIGEST)
        // The servers' names signed, their addresses not.
        .srv("half.test", port, "xmpp.plain.test")
        // An unsigned name that leads into the signed zone.
        .srv("other.plain.test", port, "xmpp.alpha.test")
        .a("xmpp.alpha.test", "127.0.0.1")
        .tlsa("xmpp.alpha.test", port, [3, 1, 1], &DIGEST)
        // A signed alias for an unsigned server.
        .srv("alias.test", port, "xmpp.alias.test")
        .cname("xmpp.alias.test", "xmpp.plain.test")
        // Signed, but without TLSA records.
        .srv("bare.test", port, "xmpp.bare.test")
        .a("xmpp.bare.test", "127.0.0.1")
        .dialer()
        .await;
    let cases = [
        ("plain.test", "SRV records are not signed"),
        (
            "half.test",
            "the addresses of xmpp.plain.test. are not signed",
        ),
        ("other.plain.test", "SRV records are not signed"),
        (
            "alias.test",
            "the addresses of xmpp.alias.test. are not signed",
        ),
        ("bare.test", "has no TLSA record"),
    ];
    for (name, why) in cases {
        let candidate = connected(&dialer, name).await.unwrap();
        let told = absent(&candidate.tlsa);
        assert!(told.contains(why), "{name}: {told}");
        assert_eq!(candidate.narrowed(LOOSE), LOOSE);
    }
    for name in ["plain.test", "other.plain.test", "bare.test"] {
        let all = dialer.associations(&domain(name)).await.unwrap();
        absent(&all);
    }
}

#[tokio::test]
async fn dane_01_nobody_connects_where_dnssec_is_bogus() {
    let (_listener, port) = listener("127.0.0.1").await;
    let zone = || {
        Signed::new()
            .srv("alpha.test", port, "xmpp.alpha.test")
            .a("xmpp.alpha.test", "127.0.0.1")
            .tlsa("xmpp.alpha.test", port, [3, 1, 1], &DIGEST)
            .a("evil.alpha.test", "127.0.0.1")
    };
    let place = format!("_{port}._tcp.xmpp.alpha.test");
    let forgeries = [
        ("xmpp.alpha.test", RData::A(A(Ipv4Addr::new(127, 0, 0, 3)))),
        (place.as_str(), tlsa([3, 1, 1], &[8; 32])),
        (
            "_xmpp-server._tcp.alpha.test",
            RData::SRV(hickory_server::proto::rr::rdata::SRV::new(
                0,
                0,
                port,
                hickory_server::proto::rr::Name::from_ascii("evil.alpha.test.").unwrap(),
            )),
        ),
    ];
    for (owner, data) in forgeries {
        let dialer = zone().forged(owner, data).dialer().await;
        let error = connected(&dialer, "alpha.test").await.unwrap_err();
        assert!(
            matches!(&error, ConnectError::Resolution(text) if text.contains("bogus") || text.contains("DNSSEC")),
            "{owner}: {error:?}"
        );
        if owner != "xmpp.alpha.test" {
            let error = dialer.associations(&domain("alpha.test")).await;
            assert!(
                matches!(error, Err(ConnectError::Resolution(_))),
                "{owner}: {error:?}"
            );
        }
        // Without DANE in its record, DNS is believed as ever.
        dialer.forget_failures();
        let alpha = domain("alpha.test");
        let plain = dialer.partner(&alpha, Search::default()).await;
        assert!(plain.is_ok(), "{owner}");
    }
}

#[tokio::test]
async fn dane_01_a_resolver_that_passes_no_signatures_on_proves_nothing() {
    let (_listener, port) = listener("127.0.0.1").await;
    let server = Zone::default()
        .srv("_xmpp-server._tcp.alpha.test", 0, port, "a.alpha.test")
        .a("a.alpha.test", "127.0.0.1")
        .serve()
        .await;
    let dialer = Dialer::new(crate::connect::Settings {
        servers: vec![server],
        allow_private: true,
        ..crate::connect::Settings::default()
    })
    .unwrap();
    let error = connected(&dialer, "alpha.test").await.unwrap_err();
    assert!(matches!(error, ConnectError::Resolution(_)), "{error:?}");
}

#[tokio::test]
async fn dns_07_who_was_proven_by_dane_sends_us_only_where_dane_proves_too() {
    let (_listener, port) = listener("127.0.0.1").await;
    let dialer = Signed::new()
        .srv("alpha.test", port, "xmpp.alpha.test")
        .a("xmpp.alpha.test", "127.0.0.1")
        .tlsa("xmpp.alpha.test", port, [3, 1, 1], &DIGEST)
        .a("good.alpha.test", "127.0.0.1")
        .tlsa("good.alpha.test", port, [3, 1, 1], &DIGEST)
        .a("bare.alpha.test", "127.0.0.1")
        .a("xmpp.plain.test", "127.0.0.1")
        .tlsa("xmpp.plain.test", port, [3, 1, 1], &DIGEST)
        .dialer()
        .await;
    let from = connected(&dialer, "alpha.test").await.unwrap();
    let ask = async |host: &str| {
        dialer
            .other_host(&domain("alpha.test"), &from, &format!("{host}:{port}"))?
            .next()
            .await
    };
    let connection = ask("good.alpha.test").await.unwrap();
    assert!(matches!(connection.candidate.tlsa, Tlsa::Records(_)));
    for host in ["bare.alpha.test", "xmpp.plain.test"] {
        let error = ask(host).await.unwrap_err();
        assert!(
            matches!(error, ConnectError::Forbidden(_)),
            "{host}: {error:?}"
        );
    }
    let error = ask("127.0.0.1").await.unwrap_err();
    assert!(matches!(error, ConnectError::Forbidden(_)), "{error:?}");
}
