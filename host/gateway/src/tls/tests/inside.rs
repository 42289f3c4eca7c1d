//! The inner port: mutual TLS, certificates in partners' names, the way back in.

use portcullis_xmpp::stream::TlsMode;
use rustls::AlertDescription;
use rustls::pki_types::UnixTime;
use tokio::io::AsyncReadExt;
use tokio::io::duplex;

use super::handshakes::{handshake, shown, to};
use super::pki::{self, House, domain};
use crate::tls::revocation::Lists;
use crate::tls::{Opening, PeerChain, Side, TlsError};

#[tokio::test]
async fn tls_05_inside_a_certificate_is_mandatory_and_its_absence_shows_on_the_first_read() {
    let house = House::new();
    let tls = house.tls();
    let (served, connected) = handshake(
        &tls,
        Side::Internal,
        Opening::Direct,
        pki::client(None, &[]),
        Some("alpha.test"),
    )
    .await;
    assert!(matches!(served.unwrap_err(), TlsError::Handshake(_)));
    // TLS 1.3: the client believed itself done.
    let error = connected.unwrap().read_u8().await.unwrap_err();
    let error = TlsError::of_stream(&error).unwrap();
    assert!(
        matches!(
            error,
            TlsError::Alert(AlertDescription::CertificateRequired)
        ),
        "{error:?}"
    );
    assert!(error.refused_our_certificate());
}

#[tokio::test]
async fn an_internal_server_is_shown_a_certificate_in_the_partners_name() {
    let house = House::new();
    let tls = house.tls();
    let server = house.internal.leaf(&["org.test"]);
    let ways = [
        (Opening::Direct, Some("conference.alpha.test")),
        (to("conference.alpha.test"), None),
        (to("conference.alpha.test"), Some("conference.alpha.test")),
    ];
    for (opening, sni) in ways {
        let client = pki::client(Some(server.certified()), &["xmpp-server"]);
        let (served, connected) = handshake(&tls, Side::Internal, opening, client, sni).await;
        tls.judge(
            Side::Internal,
            None,
            &served.unwrap().chain,
            &domain("org.test"),
        )
        .unwrap();
        let minted = PeerChain::new(&[shown(connected)]);
        let name = domain("conference.alpha.test");
        minted
            .proves(
                &house.mint_anchors(),
                &Lists::default(),
                &name,
                UnixTime::now(),
            )
            .unwrap();
        let parent = domain("alpha.test");
        minted
            .proves(
                &house.mint_anchors(),
                &Lists::default(),
                &parent,
                UnixTime::now(),
            )
            .unwrap_err();
    }
}

#[tokio::test]
async fn own_names_are_never_minted_the_gateways_own_certificate_is_shown() {
    let house = House::new();
    let tls = house.tls();
    let own = std::fs::read_to_string(&house.settings.internal.certificate).unwrap();
    let own: rustls::pki_types::CertificateDer<'static> =
        rustls::pki_types::pem::PemObject::from_pem_slice(own.as_bytes()).unwrap();
    for sni in [Some("chat.test"), Some("deep.below.org.test"), None] {
        let client = pki::client(Some(house.internal.leaf(&["org.test"]).certified()), &[]);
        let (served, connected) =
            handshake(&tls, Side::Internal, Opening::Direct, client, sni).await;
        served.unwrap();
        assert_eq!(shown(connected), own);
    }
}

#[tokio::test]
async fn without_a_mint_the_gateways_own_certificate_is_shown() {
    let mut house = House::new();
    house.settings.mint = None;
    let client = pki::client(Some(house.internal.leaf(&["org.test"]).certified()), &[]);
    let (served, connected) = handshake(
        &house.tls(),
        Side::Internal,
        Opening::Direct,
        client,
        Some("alpha.test"),
    )
    .await;
    served.unwrap();
    let fixed = PeerChain::new(&[shown(connected)]);
    fixed
        .proves(
            &house.internal.anchors(),
            &Lists::default(),
            &domain("gateway.org.test"),
            UnixTime::now(),
        )
        .unwrap();
}

#[tokio::test]
async fn going_in_the_gateway_stands_for_the_partner() {
    let house = House::new();
    let tls = house.tls();
    let server = house.internal.leaf(&["org.test"]);
    let config = rustls::ServerConfig::builder_with_provider(pki::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(crate::tls::verifier::AnyChain::of_clients(
            pki::provider(),
            crate::tls::verifier::ClientCertificate::Required,
        ))
        .with_cert_resolver(std::sync::Arc::new(rustls::sign::SingleCertAndKey::from(
            server.certified(),
        )));
    let (near, far) = duplex(64 * 1024);
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    let (local, remote) = (domain("alpha.test"), domain("org.test"));
    let (connected, served) = tokio::join!(
        tls.connect(Side::Internal, near, TlsMode::Direct, &local, &remote),
        acceptor.accept(far)
    );
    let (connected, served) = (connected.unwrap(), served.unwrap());
    tls.judge(Side::Internal, None, &connected.chain, &remote)
        .unwrap();
    tls.judge(Side::Federation, None, &connected.chain, &remote)
        .unwrap_err();
    let ours = PeerChain::new(served.get_ref().1.peer_certificates().unwrap());
    ours.proves(
        &house.mint_anchors(),
        &Lists::default(),
        &local,
        UnixTime::now(),
    )
    .unwrap();
}
