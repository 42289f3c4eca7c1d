//! The outer port: which certificate is shown to whom, and which handshakes are refused.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use portcullis_xmpp::stream::TlsMode;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{AlertDescription, ClientConfig, HandshakeKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio_rustls::{TlsConnector, client};

use super::pki::{self, Ca, House, domain};
use crate::tls::{Opening, Secured, Side, Tls, TlsError};

pub(super) const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const PIPE: usize = 64 * 1024;

pub(super) type Served = Result<Secured<DuplexStream>, TlsError>;
pub(super) type Connected = std::io::Result<client::TlsStream<DuplexStream>>;

/// One handshake between a client with `config` that asks for `sni`, and the gateway.
pub(super) async fn handshake(
    tls: &Tls,
    side: Side,
    opening: Opening,
    config: ClientConfig,
    sni: Option<&str>,
) -> (Served, Connected) {
    let (near, far) = duplex(PIPE);
    let name = match sni {
        Some(sni) => ServerName::try_from(sni.to_owned()).unwrap(),
        // rustls sends no SNI for an address.
        None => ServerName::IpAddress(PEER.into()),
    };
    let connector = TlsConnector::from(Arc::new(config));
    tokio::join!(
        tls.accept(side, near, opening, PEER),
        connector.connect(name, far)
    )
}

pub(super) fn to(name: &str) -> Opening {
    Opening::StartTls { to: domain(name) }
}

pub(super) fn shown(connected: Connected) -> CertificateDer<'static> {
    let stream = connected.unwrap();
    stream
        .get_ref()
        .1
        .peer_certificates()
        .unwrap()
        .first()
        .unwrap()
        .clone()
}

fn names(certificate: &CertificateDer<'_>) -> portcullis_xmpp::identity::Names {
    portcullis_xmpp::identity::Names::of(certificate).unwrap()
}

/// The alert that ended the handshake for the client.
fn alert(connected: Connected) -> AlertDescription {
    match TlsError::of_stream(&connected.unwrap_err()) {
        Some(TlsError::Alert(alert)) => alert,
        other => panic!("no alert but {other:?}"),
    }
}

#[tokio::test]
async fn on_direct_tls_the_sni_chooses_the_certificate() {
    let house = House::new();
    let tls = house.tls();
    for name in ["org.test", "chat.test"] {
        let (served, connected) = handshake(
            &tls,
            Side::Federation,
            Opening::Direct,
            pki::client(None, &[]),
            Some(name),
        )
        .await;
        let served = served.unwrap();
        assert_eq!(served.facts.sni, Some(domain(name)));
        assert_eq!(served.facts.mode, TlsMode::Direct);
        assert_eq!(served.facts.version, "TLSv1.3");
        assert!(names(&shown(connected)).proves(&domain(name)));
    }
}

#[tokio::test]
async fn on_direct_tls_without_sni_the_first_identity_is_shown() {
    let house = House::new();
    let (served, connected) = handshake(
        &house.tls(),
        Side::Federation,
        Opening::Direct,
        pki::client(None, &[]),
        None,
    )
    .await;
    assert_eq!(served.unwrap().facts.sni, None);
    assert!(names(&shown(connected)).proves(&domain("org.test")));
}

#[tokio::test]
async fn an_sni_that_is_not_ours_is_refused() {
    let house = House::new();
    let (served, connected) = handshake(
        &house.tls(),
        Side::Federation,
        Opening::Direct,
        pki::client(None, &[]),
        Some("alpha.test"),
    )
    .await;
    assert!(matches!(served.unwrap_err(), TlsError::UnknownName(name) if name == "alpha.test"));
    assert_eq!(alert(connected), AlertDescription::UnrecognisedName);
}

#[tokio::test]
async fn on_starttls_the_stream_chooses_the_certificate() {
    let house = House::new();
    let tls = house.tls();
    for sni in [None, Some("chat.test"), Some("CHAT.test")] {
        let (served, connected) = handshake(
            &tls,
            Side::Federation,
            to("chat.test"),
            pki::client(None, &[]),
            sni,
        )
        .await;
        assert_eq!(served.unwrap().facts.mode, TlsMode::StartTls);
        assert!(names(&shown(connected)).proves(&domain("chat.test")));
    }
}

#[tokio::test]
async fn v03_on_starttls_an_sni_that_differs_is_refused() {
    let house = House::new();
    let (served, connected) = handshake(
        &house.tls(),
        Side::Federation,
        to("chat.test"),
        pki::client(None, &[]),
        Some("org.test"),
    )
    .await;
    assert!(matches!(served.unwrap_err(), TlsError::NameMismatch { .. }));
    assert_eq!(alert(connected), AlertDescription::UnrecognisedName);
}

#[tokio::test]
async fn dns_03_no_alpn_and_xmpp_server_are_accepted_and_others_refused() {
    let house = House::new();
    let tls = house.tls();
    for alpn in [&[][..], &["xmpp-server"], &["h2", "xmpp-server"]] {
        let client = pki::client(None, alpn);
        let (served, _) = handshake(
            &tls,
            Side::Federation,
            Opening::Direct,
            client,
            Some("org.test"),
        )
        .await;
        served.unwrap();
    }
    let client = pki::client(None, &["xmpp-client"]);
    let (served, connected) = handshake(
        &tls,
        Side::Federation,
        Opening::Direct,
        client,
        Some("org.test"),
    )
    .await;
    assert!(matches!(served.unwrap_err(), TlsError::Handshake(_)));
    assert_eq!(alert(connected), AlertDescription::NoApplicationProtocol);
}

#[tokio::test]
async fn id_09_outside_tls_stands_with_any_certificate_or_none_and_is_judged_after_it() {
    let house = House::new();
    let tls = house.tls();
    let connect = |config| handshake(&tls, Side::Federation, to("org.test"), config, None);
    let (served, _) = connect(pki::client(None, &[])).await;
    assert!(served.unwrap().chain.is_empty());

    let stranger = Ca::new("Stranger CA").leaf(&["alpha.test"]);
    let (served, _) = connect(pki::client(Some(stranger.certified()), &[])).await;
    let served = served.unwrap();
    assert_eq!(served.chain.end_entity(), Some(&stranger.certificate));
    assert_eq!(
        served.facts.certificate.as_deref(),
        Some(stranger.certificate.as_ref())
    );
    tls.judge(Side::Federation, None, &served.chain, &domain("alpha.test"))
        .unwrap_err();

    let partner = house.public.leaf(&["alpha.test"]);
    let (served, _) = connect(pki::client(Some(partner.certified()), &[])).await;
    let served = served.unwrap();
    tls.judge(Side::Federation, None, &served.chain, &domain("alpha.test"))
        .unwrap();
    tls.judge(Side::Internal, None, &served.chain, &domain("alpha.test"))
        .unwrap_err();
}

#[tokio::test]
async fn the_handshake_signature_is_always_checked() {
    let house = House::new();
    let tls = house.tls();
    let victim = house.public.leaf(&["alpha.test"]);
    let thief = house.public.leaf(&["evil.test"]);
    for version in [&TLS12, &TLS13] {
        // Somebody else's certificate with a key of one's own, as a client ...
        let stolen = pki::certified(&victim, &thief.key);
        let client = pki::client_speaking(&[version], Some(stolen), &[]);
        let (served, _) = handshake(&tls, Side::Federation, to("org.test"), client, None).await;
        assert!(matches!(served.unwrap_err(), TlsError::Handshake(_)));

        // ... and as a server.
        let (near, far) = duplex(PIPE);
        let stolen = Arc::new(rustls::sign::SingleCertAndKey::from(pki::certified(
            &victim, &thief.key,
        )));
        let server = rustls::ServerConfig::builder_with_provider(pki::provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(stolen);
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
        let (local, remote) = (domain("org.test"), domain("alpha.test"));
        let (connected, _) = tokio::join!(
            tls.connect(Side::Federation, near, TlsMode::StartTls, &local, &remote,),
            acceptor.accept(far)
        );
        assert!(matches!(connected.unwrap_err(), TlsError::Handshake(_)));
    }
}

#[tokio::test]
async fn tls_08_version_1_2_is_spoken_with_forward_secrecy() {
    let house = House::new();
    let tls = house.tls();
    let config = pki::client_speaking(&[&TLS12], None, &[]);
    let (served, _) = handshake(&tls, Side::Federation, to("org.test"), config, None).await;
    let served = served.unwrap();
    assert_eq!(served.facts.version, "TLSv1.2");
    assert!(
        served.facts.cipher.contains("ECDHE"),
        "{}",
        served.facts.cipher
    );
}

#[tokio::test]
async fn tls_10_no_session_is_resumed_and_nothing_is_sent_early_as_a_server() {
    let house = House::new();
    let tls = house.tls();
    for version in [&TLS12, &TLS13] {
        for side in [Side::Federation, Side::Internal] {
            // One configuration: its session storage is shared by both connections.
            let server = house.internal.leaf(&["org.test"]).certified();
            let mut config = pki::client_speaking(&[version], Some(server), &[]);
            config.enable_early_data = true;
            for _ in 0..2 {
                let (served, connected) =
                    handshake(&tls, side, to("org.test"), config.clone(), Some("org.test")).await;
                let (mut served, mut connected) = (served.unwrap().stream, connected.unwrap());
                // Tickets would come with the first data.
                served.write_all(b"x").await.unwrap();
                served.flush().await.unwrap();
                connected.read_u8().await.unwrap();
                let (_, client) = connected.get_ref();
                assert_eq!(client.handshake_kind(), Some(HandshakeKind::Full));
                assert_eq!(client.tls13_tickets_received(), 0);
                assert!(!client.is_early_data_accepted());
            }
        }
    }
}

#[tokio::test]
async fn tls_10_no_session_is_resumed_as_a_client_of_a_server_that_would() {
    let house = House::new();
    let tls = house.tls();
    let partner = house.public.leaf(&["alpha.test"]).certified();
    let (local, remote) = (domain("org.test"), domain("alpha.test"));
    for version in [&TLS12, &TLS13] {
        // One configuration, with rustls' session storage and tickets.
        let server = rustls::ServerConfig::builder_with_provider(pki::provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(
                partner.clone(),
            )));
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
        for _ in 0..2 {
            let (near, far) = duplex(PIPE);
            let mode = TlsMode::Direct;
            let (connected, served) = tokio::join!(
                tls.connect(Side::Federation, near, mode, &local, &remote),
                acceptor.accept(far)
            );
            let (mut connected, mut served) = (connected.unwrap().stream, served.unwrap());
            served.write_all(b"x").await.unwrap();
            served.flush().await.unwrap();
            connected.read_u8().await.unwrap();
            let kind = served.get_ref().1.handshake_kind();
            assert_eq!(kind, Some(HandshakeKind::Full));
        }
    }
}

#[tokio::test]
async fn tls_11_an_end_without_close_notify_is_no_orderly_end() {
    let house = House::new();
    let tls = house.tls();
    for orderly in [true, false] {
        let client = pki::client(None, &[]);
        let (served, connected) =
            handshake(&tls, Side::Federation, to("org.test"), client, None).await;
        let (mut served, mut connected) = (served.unwrap().stream, connected.unwrap());
        if orderly {
            connected.shutdown().await.unwrap();
        }
        drop(connected);
        let read = served.read(&mut [0; 16]).await;
        let read = read.map_err(|error| error.kind());
        let expected = if orderly {
            Ok(0)
        } else {
            Err(std::io::ErrorKind::UnexpectedEof)
        };
        assert_eq!(read, expected);
    }
}

#[tokio::test]
async fn two_gateways_know_each_other_by_their_certificates() {
    let house = House::new();
    let tls = house.tls();
    for mode in [TlsMode::Direct, TlsMode::StartTls] {
        let opening = match mode {
            TlsMode::Direct => Opening::Direct,
            TlsMode::StartTls => to("chat.test"),
        };
        let (near, far) = duplex(PIPE);
        let (local, remote) = (domain("org.test"), domain("chat.test"));
        let (connected, served) = tokio::join!(
            tls.connect(Side::Federation, near, mode, &local, &remote),
            tls.accept(Side::Federation, far, opening, PEER)
        );
        let (connected, served) = (connected.unwrap(), served.unwrap());
        tls.judge(Side::Federation, None, &connected.chain, &remote)
            .unwrap();
        tls.judge(Side::Federation, None, &served.chain, &local)
            .unwrap();
        assert_eq!(served.facts.sni, Some(remote));
        let alpn = served.stream.get_ref().1.alpn_protocol();
        assert_eq!(
            alpn,
            (mode == TlsMode::Direct).then_some(&b"xmpp-server"[..])
        );
    }
}

#[tokio::test]
async fn a_peer_that_goes_away_is_no_fault_of_tls() {
    let house = House::new();
    let (near, far) = duplex(PIPE);
    drop(far);
    let served = house
        .tls()
        .accept(Side::Federation, near, Opening::Direct, PEER)
        .await;
    assert!(matches!(served.unwrap_err(), TlsError::Io(_)));
}
