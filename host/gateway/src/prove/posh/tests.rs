//! POSH against a web server of our own: TLS on a loopback port, one answer for each path.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{RootCertStore, ServerConfig};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::connect::tests::signed::Dials as _;
use portcullis_test_support::signed::Signed;

const WELL_KNOWN: &str = "/.well-known/posh/xmpp-server.json";

fn domain(name: &str) -> Domain {
    Domain::parse(name).unwrap()
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// An authority, and a client that believes it.
pub(in crate::prove) struct Ca {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    pub(in crate::prove) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Self {
            certificate: params.self_signed(&key).unwrap().into(),
            issuer: Issuer::new(params, key),
        }
    }

    pub(in crate::prove) fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    fn client(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let client = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Arc::new(client)
    }
}

/// Serves whole HTTP answers by host and path; everything else is not found.
pub(in crate::prove) struct Web {
    port: u16,
    requests: Arc<AtomicUsize>,
}

impl Web {
    pub(in crate::prove) async fn new(
        ca: &Ca,
        names: &[&str],
        answers: &[(&str, &str, String)],
    ) -> Self {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(names)
            .unwrap()
            .signed_by(&key, &ca.issuer)
            .unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.into()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let answers: Arc<HashMap<_, _>> = Arc::new(
            answers
                .iter()
                .map(|(host, path, answer)| {
                    let answer = answer.replace("PORT", &port.to_string());
                    (((*host).to_owned(), (*path).to_owned()), answer)
                })
                .collect(),
        );
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, answers) = (acceptor.clone(), Arc::clone(&answers));
                let counted = Arc::clone(&counted);
                tokio::spawn(async move {
                    // A client that does not believe us hangs up.
                    let Ok(mut stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        match stream.read_u8().await {
                            Ok(byte) => head.push(byte),
                            Err(_) => return,
                        }
                    }
                    counted.fetch_add(1, Ordering::SeqCst);
                    let head = String::from_utf8(head).unwrap();
                    let path = head.split(' ').nth(1).unwrap().to_owned();
                    let host = (head.lines())
                        .find_map(|line| line.strip_prefix("host: "))
                        .and_then(|host| host.split(':').next())
                        .unwrap()
                        .to_owned();
                    let none = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned();
                    let answer = answers.get(&(host, path)).unwrap_or(&none);
                    let _ = stream.write_all(answer.as_bytes()).await;
                    let _ = stream.shutdown().await;
                });
            }
        });
        Self { port, requests }
    }

    async fn posh(&self) -> Posh {
        let dialer = Signed::new()
            .a("alpha.test", "127.0.0.1")
            .a("hoster.test", "127.0.0.1")
            .dialer()
            .await;
        self.posh_over(dialer)
    }

    pub(in crate::prove) fn posh_over(&self, dialer: Dialer) -> Posh {
        Posh {
            port: Some(self.port),
            ..Posh::new(dialer)
        }
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn answer(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn peer() -> PeerChain {
    PeerChain::new(&[CertificateDer::from(b"the peer's certificate".to_vec())])
}

/// The answer of a web server that names a certificate, at the place where it should be.
pub(in crate::prove) fn naming(certificate: &[u8]) -> (&'static str, String) {
    (WELL_KNOWN, answer(&document(certificate, 600)))
}

/// A document that names the peer.
fn good(expires: u64) -> String {
    document(b"the peer's certificate", expires)
}

fn document(certificate: &[u8], expires: u64) -> String {
    let digest = BASE64_STANDARD.encode(Sha256::digest(certificate));
    format!(r#"{{"fingerprints":[{{"sha-256":"{digest}"}}],"expires":{expires}}}"#)
}

/// Without a length, since `PORT` and its number differ in theirs.
fn elsewhere(url: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n\r\n{{\"url\":\"{url}\",\"expires\":600}}")
}

async fn judged(posh: &Posh, ca: &Ca) -> Result<(), Unproven> {
    posh.judge(|| Ok(ca.client()), &peer(), &domain("alpha.test"))
        .await
}

#[tokio::test]
async fn posh_01_a_certificate_that_the_web_server_names_is_good_and_asked_for_once() {
    let ca = Ca::new();
    let own = [("alpha.test", WELL_KNOWN, answer(&good(600)))];
    let web = Web::new(&ca, &["alpha.test"], &own).await;
    let posh = web.posh().await;
    for result in [
        tokio::join!(judged(&posh, &ca), judged(&posh, &ca)),
        tokio::join!(judged(&posh, &ca), judged(&posh, &ca)),
    ] {
        assert_eq!(result, (Ok(()), Ok(())));
    }
    assert_eq!(web.requests(), 1);
    let other = PeerChain::new(&[CertificateDer::from(b"another".to_vec())]);
    let refused = posh
        .judge(|| Ok(ca.client()), &other, &domain("alpha.test"))
        .await
        .unwrap_err();
    assert!(refused.reason().contains("none of those"), "{refused}");
    posh.forget();
    judged(&posh, &ca).await.unwrap();
    assert_eq!(web.requests(), 2);
}

#[tokio::test]
async fn posh_01_one_delegation_is_followed() {
    let ca = Ca::new();
    let answers = [
        (
            "alpha.test",
            WELL_KNOWN,
            elsewhere("https://hoster.test:PORT/posh/alpha?v=1"),
        ),
        ("hoster.test", "/posh/alpha?v=1", answer(&good(600))),
    ];
    let web = Web::new(&ca, &["alpha.test", "hoster.test"], &answers).await;
    let posh = web.posh().await;
    judged(&posh, &ca).await.unwrap();
    assert_eq!(web.requests(), 2);
}

#[tokio::test]
async fn posh_01_whatever_is_not_a_good_document_proves_nothing_and_is_not_asked_for_again() {
    let ca = Ca::new();
    let moved = "HTTP/1.1 302 Found\r\nlocation: https://hoster.test:PORT/good\r\ncontent-length: 0\r\n\r\n";
    let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}", " ".repeat(200_000));
    let heads = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(100_000));
    let twice = elsewhere("https://hoster.test:PORT/again");
    let cases = [
        (
            "not found",
            "HTTP/1.1 404 Not Found\r\n\r\n".to_owned(),
            "404",
        ),
        ("a redirect", moved.to_owned(), "302"),
        ("no JSON", answer("<html/>"), "no POSH document"),
        ("never to be used", answer(&good(0)), "expires"),
        ("too long", endless, "cannot be read"),
        ("too long a head", heads, "HTTP failed"),
        ("no HTTP", "hello".to_owned(), "HTTP failed"),
        (
            "cut off",
            "HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{".to_owned(),
            "cannot be read",
        ),
        ("delegated twice", twice, "twice"),
        (
            "delegated to http",
            elsewhere("http://hoster.test/good"),
            "not https",
        ),
        (
            "delegated to an address",
            elsewhere("https://127.0.0.1/good"),
            "IP address",
        ),
        (
            "delegated to nowhere",
            elsewhere("https://nowhere.test/good"),
            "nowhere.test",
        ),
    ];
    for (case, text, why) in cases {
        let answers = [
            ("alpha.test", WELL_KNOWN, text),
            ("hoster.test", "/good", answer(&good(600))),
            (
                "hoster.test",
                "/again",
                elsewhere("https://hoster.test/good"),
            ),
        ];
        let web = Web::new(&ca, &["alpha.test", "hoster.test"], &answers).await;
        let posh = web.posh().await;
        let refused = judged(&posh, &ca).await.unwrap_err();
        assert!(refused.reason().contains(why), "{case}: {refused}");
        let requests = web.requests();
        judged(&posh, &ca).await.unwrap_err();
        assert_eq!(web.requests(), requests, "{case}");
    }
}

#[tokio::test]
async fn posh_01_the_web_server_must_prove_its_name_to_an_authority_that_is_trusted() {
    let (ca, other) = (Ca::new(), Ca::new());
    let own = [("alpha.test", WELL_KNOWN, answer(&good(600)))];
    for (believed, name) in [(&other, "alpha.test"), (&ca, "hoster.test")] {
        let web = Web::new(&ca, &[name], &own).await;
        let posh = web.posh().await;
        let refused = judged(&posh, believed).await.unwrap_err();
        assert!(refused.reason().contains("TLS failed"), "{name}: {refused}");
        assert_eq!(web.requests(), 0);
    }
}

#[tokio::test]
async fn posh_01_dns_09_no_web_server_inside_is_asked() {
    let ca = Ca::new();
    let own = [("alpha.test", WELL_KNOWN, answer(&good(600)))];
    let web = Web::new(&ca, &["alpha.test"], &own).await;
    let posh = Posh {
        port: Some(web.port),
        ..Posh::new(
            Signed::new()
                .a("alpha.test", "127.0.0.1")
                .public_dialer()
                .await,
        )
    };
    let refused = judged(&posh, &ca).await.unwrap_err();
    assert!(refused.reason().contains("loopback"), "{refused}");
    assert_eq!(web.requests(), 0);
}

#[tokio::test]
async fn posh_01_without_a_certificate_nobody_is_asked() {
    let ca = Ca::new();
    let web = Web::new(&ca, &["alpha.test"], &[]).await;
    let posh = web.posh().await;
    posh.judge(
        || Ok(ca.client()),
        &PeerChain::default(),
        &domain("alpha.test"),
    )
    .await
    .unwrap_err();
    assert_eq!(web.requests(), 0);
}
