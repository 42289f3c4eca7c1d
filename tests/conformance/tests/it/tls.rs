//! STARTTLS and direct TLS.

use std::io::{Read as _, Write as _};
use std::process::Stdio;

use portcullis_conformance::{At, End, Listener, Part, Peer, Plan, Show, Stage, bare, ns};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{Refusal, TO_ALPHA, playing_alpha, refused};

const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";

/// alpha.test is played by the test; org.test has a message for it.
async fn wanted(record: &'static str) -> (Stage, Listener, Peer) {
    let (stage, listener, _) = playing_alpha(Plan {
        record,
        ..Plan::default()
    })
    .await;
    let mut inside = stage.inside(At::Established).await;
    inside.send(TO_ALPHA).await;
    (stage, listener, inside)
}

#[tokio::test]
async fn tls_01_starttls_is_required_and_stands_alone() {
    let stage = Stage::usual().await;
    for mut peer in [
        stage.outside(At::Connected).await,
        stage.inside(At::Connected).await,
    ] {
        peer.open_with("to='org.test' version='1.0'").await;
        if let Part::Open(_) = peer.next().await
            && let Part::Element(features) = peer.next().await
            && features.is(ns::STREAM, "features")
        {
            assert_eq!(features.children.len(), 1, "{features:?}");
            let starttls = features.child(ns::TLS, "starttls").unwrap();
            assert!(starttls.child(ns::TLS, "required").is_some());
        }
    }
    let mut peer = stage.outside(At::Connected).await;
    peer.open("alpha.test", "org.test").await;
    let (_, features) = peer.features().await;
    assert_eq!(features.children.len(), 1, "{features:?}");
    let starttls = features.child(ns::TLS, "starttls").unwrap();
    assert!(starttls.child(ns::TLS, "required").is_some());
}

#[tokio::test]
async fn tls_02_a_stripped_offer_is_asked_for_and_then_the_stream_fails() {
    for features in [
        "",
        Peer::EXTERNAL,
        "<dialback xmlns='urn:xmpp:features:dialback'/>",
    ] {
        let (mut stage, listener, _inside) = wanted("").await;
        let mut alpha = listener.accept().await;
        alpha.header().await;
        alpha.respond("alpha.test", "org.test", features).await;
        alpha.expect(ns::TLS, "starttls").await;
        alpha
            .send("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>")
            .await;
        // Nothing else is said in the clear.
        let rest = alpha.rest().await;
        assert!(
            rest.iter()
                .all(|part| matches!(part, Part::Close | Part::End(_))),
            "{features}: {rest:?}"
        );
        let error = stage.org_gets().await;
        assert_eq!(
            error.stanza_error(),
            Some(("remote-server-timeout", "cancel"))
        );
    }
}

#[tokio::test]
async fn tls_03_bytes_in_the_clear_never_count_inside() {
    let stage = Stage::usual().await;
    for behind in [
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>",
        " ",
        "<?xml version='1.0'?>",
    ] {
        let mut peer = stage.outside(At::Clear).await;
        peer.send(&format!("{STARTTLS}{behind}")).await;
        let rest = peer.rest().await;
        let proceeds = |part: &Part| matches!(part, Part::Element(e) if e.is(ns::TLS, "proceed"));
        assert!(!rest.iter().any(proceeds), "{behind:?}: {rest:?}");
    }
    stage.gateway.at_rest().await;
}

#[tokio::test]
async fn tls_03_bytes_behind_proceed_end_our_stream() {
    let (mut stage, listener, _inside) = wanted("").await;
    let mut alpha = listener.accept().await;
    alpha.header().await;
    alpha
        .respond("alpha.test", "org.test", Peer::STARTTLS)
        .await;
    alpha.expect(ns::TLS, "starttls").await;
    alpha
        .send("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><stream:features/>")
        .await;
    assert!(matches!(alpha.next().await, Part::End(_)));
    let error = stage.org_gets().await;
    assert_eq!(
        error.stanza_error(),
        Some(("remote-server-timeout", "cancel"))
    );
}

#[tokio::test]
async fn tls_04_after_a_failed_handshake_nothing_is_said() {
    let stage = Stage::usual().await;
    for mut peer in [
        stage.outside(At::Clear).await,
        stage.inside(At::Clear).await,
    ] {
        peer.send(STARTTLS).await;
        peer.expect(ns::TLS, "proceed").await;
        peer.send("<stream:stream this is no TLS at all, but long enough to be read as a record>")
            .await;
        let mut said = Vec::new();
        while let Ok(bytes) = peer.read().await {
            if bytes.is_empty() {
                break;
            }
            said.extend(bytes);
        }
        // At most a TLS alert (RFC 8446 §6): content type 21.
        assert!(said.is_empty() || said[0] == 21, "{said:?}");
        assert!(said.len() < 16, "{said:?}");
    }
    stage.gateway.at_rest().await;
}

#[tokio::test]
async fn tls_04_failure_ends_stream_and_connection() {
    let stage = Stage::usual().await;
    let mut peer = stage.outside(At::Clear).await;
    peer.send(&format!("{STARTTLS}<injected/>")).await;
    peer.expect(ns::TLS, "failure").await;
    assert_eq!(peer.next().await, Part::Close);
    peer.ended().await;
}

#[tokio::test]
async fn tls_05_the_certificate_is_that_of_the_domain_and_both_sides_show_one() {
    let bare = bare();
    let listener = Listener::bind().await;
    let first = bare.pki.partner(&["first.org.test"]);
    let alpha_identity = bare.pki.partner(&["alpha.test"]);
    let identity = format!(
        "[[federation.identity]]\ndomains = ['first.org.test']\ncertificate = '{}'\nkey = '{}'\n\
         [[internal.server]]\ndomains = ['first.org.test']\nconnect = ['127.0.0.1:1']\n",
        first.file.display(),
        first.key_file.display()
    );
    let stage = bare
        .start(Plan {
            alpha_at: Some(listener.address),
            domains: vec!["org.test", "first.org.test"],
            more: identity,
            ..Plan::default()
        })
        .await;
    let show = Show::Certificate(&stage.alpha_identity);
    let mut shown = Vec::new();
    for to in ["org.test", "first.org.test"] {
        // STARTTLS: the header says whom we want, without SNI's help.
        let mut peer = stage.outside(At::Connected).await;
        peer.open("alpha.test", to).await;
        peer.features().await;
        peer.send(STARTTLS).await;
        peer.expect(ns::TLS, "proceed").await;
        let mut config = show.client_config();
        config.enable_sni = false;
        peer.secure(config.into(), to).await.unwrap();
        shown.push(peer.certificate.clone().unwrap());
        // Direct TLS: SNI says it.
        let mut direct = stage.outside(At::Connected).await;
        direct.secure(show.client(), to).await.unwrap();
        assert_eq!(direct.certificate, peer.certificate, "{to}");
    }
    assert_ne!(shown[0], shown[1]);
    assert_eq!(shown[1], first.shown().0[0]);

    // As an initiator we show ours too.
    let mut inside = stage.inside(At::Established).await;
    inside.send(TO_ALPHA).await;
    let alpha = listener
        .accept_secure(&Show::Certificate(&alpha_identity))
        .await;
    assert_eq!(alpha.certificate.as_ref(), Some(&shown[0]));
}

#[tokio::test]
async fn tls_05_outside_a_certificate_is_asked_for_and_inside_it_is_demanded() {
    let stage = Stage::usual().await;
    let mut peer = stage.outside(At::Clear).await;
    peer.start_tls(&Show::Nothing, "org.test").await;
    peer.open("alpha.test", "org.test").await;
    peer.header().await;

    let mut peer = stage.inside(At::Clear).await;
    peer.send(STARTTLS).await;
    peer.expect(ns::TLS, "proceed").await;
    // In TLS 1.3 the refusal comes after the client's side of the handshake.
    if peer
        .secure(Show::Nothing.client(), "alpha.test")
        .await
        .is_ok()
    {
        peer.open("org.test", "alpha.test").await;
        assert!(matches!(peer.next().await, Part::End(End::Broken)));
    }
    stage.gateway.at_rest().await;
}

#[tokio::test]
async fn tls_06_inside_tls_everything_is_new_and_starttls_is_gone() {
    let stage = Stage::usual().await;
    let mut peer = stage.outside(At::Connected).await;
    peer.open("alpha.test", "org.test").await;
    let (before, _) = peer.features().await;
    let show = Show::Certificate(&stage.alpha_identity);
    peer.start_tls(&show, "org.test").await;
    peer.open("alpha.test", "org.test").await;
    let (after, features) = peer.features().await;
    assert_ne!(before.attribute("id"), after.attribute("id"));
    assert!(features.child(ns::TLS, "starttls").is_none());
    assert!(features.child(ns::SASL, "mechanisms").is_some());
    peer.send(STARTTLS).await;
    peer.refused("unsupported-stanza-type").await;
}

#[tokio::test]
async fn tls_07_a_renegotiation_is_refused_and_holds_no_deadline_up() {
    let plan = Plan {
        keys: vec![("timeouts", "establish = 2".to_owned())],
        ..Plan::default()
    };
    let stage = bare().start(plan).await;
    let mut client = std::process::Command::new("openssl")
        .args(["s_client", "-tls1_2", "-servername", "org.test", "-connect"])
        .arg(stage.gateway.federation.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl is installed");
    let mut stdin = client.stdin.take().unwrap();
    let mut stdout = client.stdout.take().unwrap();
    let mut stderr = client.stderr.take().unwrap();
    let conversation = tokio::task::spawn_blocking(move || {
        let mut said = String::new();
        let mut buffer = [0; 4096];
        let mut asked = false;
        while let Ok(read @ 1..) = stdout.read(&mut buffer) {
            said.push_str(&String::from_utf8_lossy(&buffer[..read]));
            // The summary of the session ends with this line; what follows is data.
            if said.contains("Extended master secret") && !asked {
                asked = true;
                stdin.write_all(b"R\n").unwrap();
            }
        }
        drop(stdin);
        (said, asked)
    });
    stage.gateway.at_rest_after(1).await;
    client.kill().unwrap();
    client.wait().unwrap();
    let (said, asked) = conversation.await.unwrap();
    let mut verified = String::new();
    stderr.read_to_string(&mut verified).unwrap();
    assert!(
        asked && verified.contains("RENEGOTIATING"),
        "{said}{verified}"
    );
    // One handshake, so the certificate was shown once.
    assert_eq!(
        verified.matches("depth=0").count(),
        verified[..verified.find("RENEGOTIATING").unwrap()]
            .matches("depth=0")
            .count(),
        "{verified}"
    );
    assert!(!said.contains("<stream:features"), "{said}");
}

/// A ClientHello of this version with these cipher suites, and the answer: the alert's description, or
/// none if a ServerHello came.
async fn hello(stage: &Stage, version: [u8; 2], suites: &[[u8; 2]]) -> Option<u8> {
    let mut body = version.to_vec();
    body.extend([7; 32]);
    body.push(0);
    body.extend(u16::try_from(suites.len() * 2).unwrap().to_be_bytes());
    body.extend(suites.concat());
    body.extend([1, 0]);
    let mut extensions: Vec<u8> = Vec::new();
    // Server name, groups (x25519, P-256), point formats, signature algorithms.
    extensions.extend(b"\x00\x00\x00\x0d\x00\x0b\x00\x00\x08org.test");
    extensions.extend(b"\x00\x0a\x00\x06\x00\x04\x00\x1d\x00\x17\x00\x0b\x00\x02\x01\x00");
    extensions.extend(b"\x00\x0d\x00\x08\x00\x06\x04\x03\x08\x04\x04\x01");
    extensions.extend(b"\x00\x17\x00\x00");
    body.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
    body.extend(extensions);
    let mut message = vec![1, 0];
    message.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    message.extend(body);
    let mut record = vec![22, 3, 1];
    record.extend(u16::try_from(message.len()).unwrap().to_be_bytes());
    record.extend(message);
    let mut stream = TcpStream::connect(stage.gateway.federation).await.unwrap();
    stream.write_all(&record).await.unwrap();
    let mut head = [0; 7];
    let read = timeout(
        portcullis_conformance::PATIENCE,
        stream.read_exact(&mut head),
    )
    .await;
    read.expect("an answer").unwrap();
    match head[0] {
        21 => Some(head[6]),
        22 => None,
        other => panic!("record of type {other}"),
    }
}

const ECDHE_ECDSA_AES_128_GCM: [u8; 2] = [0xc0, 0x2b];
const PROTOCOL_VERSION: u8 = 70;
const HANDSHAKE_FAILURE: u8 = 40;

#[tokio::test]
async fn tls_08_only_tls_1_2_and_1_3_with_forward_secrecy() {
    let stage = Stage::usual().await;
    for (versions, spoken) in [
        (
            &[&rustls::version::TLS12][..],
            rustls::ProtocolVersion::TLSv1_2,
        ),
        (&[&rustls::version::TLS13], rustls::ProtocolVersion::TLSv1_3),
        (rustls::ALL_VERSIONS, rustls::ProtocolVersion::TLSv1_3),
    ] {
        let mut peer = stage.outside(At::Connected).await;
        let config = Show::Certificate(&stage.alpha_identity).client_of(versions);
        peer.secure(config.into(), "org.test").await.unwrap();
        assert_eq!(peer.version, Some(spoken));
    }
    assert_eq!(
        hello(&stage, [3, 3], &[ECDHE_ECDSA_AES_128_GCM]).await,
        None
    );
}

#[tokio::test]
async fn v19_old_versions_and_weak_ciphers_are_refused() {
    let stage = Stage::usual().await;
    for version in [[3, 0], [3, 1], [3, 2]] {
        let alert = hello(&stage, version, &[ECDHE_ECDSA_AES_128_GCM, [0x00, 0x2f]]).await;
        assert_eq!(alert, Some(PROTOCOL_VERSION), "{version:?}");
    }
    for (suite, name) in [
        ([0x00, 0x00], "NULL_WITH_NULL_NULL"),
        ([0x00, 0x02], "RSA_WITH_NULL_SHA"),
        ([0x00, 0x05], "RSA_WITH_RC4_128_SHA"),
        ([0x00, 0x0a], "RSA_WITH_3DES_EDE_CBC_SHA"),
        ([0x00, 0x2f], "RSA_WITH_AES_128_CBC_SHA"),
        ([0x00, 0x9c], "RSA_WITH_AES_128_GCM_SHA256"),
        ([0x00, 0x33], "DHE_RSA_WITH_AES_128_CBC_SHA"),
        ([0xc0, 0x07], "ECDHE_ECDSA_WITH_RC4_128_SHA"),
        ([0xc0, 0x09], "ECDHE_ECDSA_WITH_AES_128_CBC_SHA"),
        ([0xc0, 0x15], "ECDH_anon_WITH_NULL_SHA"),
    ] {
        let alert = hello(&stage, [3, 3], &[suite]).await;
        assert_eq!(alert, Some(HANDSHAKE_FAILURE), "{name}");
    }
    // SSL 2.0 and 3.0 hellos are no TLS records at all.
    let mut stream = TcpStream::connect(stage.gateway.federation).await.unwrap();
    stream
        .write_all(b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10")
        .await
        .unwrap();
    let mut rest = Vec::new();
    let read = timeout(
        portcullis_conformance::PATIENCE,
        stream.read_to_end(&mut rest),
    )
    .await;
    drop(read.expect("the connection ends"));
    assert!(rest.is_empty(), "{rest:?}");
    stage.gateway.at_rest().await;
}

#[tokio::test]
async fn tls_09_the_operator_sees_how_each_stream_is_secured() {
    let stage = Stage::usual().await;
    let _peer = stage.outside(At::Established).await;
    stage
        .gateway
        .until("portcullis_streams", "side=\"federation\"", 1.0)
        .await;
    let status = stage.gateway.status().await;
    let streams = status["streams"].as_array().unwrap();
    let of_alpha = |stream: &&serde_json::Value| stream["remote"] == "alpha.test";
    let stream = streams.iter().find(of_alpha).unwrap();
    let tls = stream["tls"].as_str().unwrap();
    assert!(tls.contains("1.3") || tls.contains("1_3"), "{tls}");
    assert!(tls.contains("AES") || tls.contains("CHACHA20"), "{tls}");
    let text = stream.to_string();
    assert!(
        text.contains("external"),
        "how it was authenticated: {text}"
    );
}

#[tokio::test]
async fn tls_10_no_session_is_resumed_and_there_is_no_early_data() {
    let stage = Stage::usual().await;
    for versions in [&[&rustls::version::TLS12], &[&rustls::version::TLS13]] {
        let show = Show::Certificate(&stage.alpha_identity);
        let mut config = show.client_of(versions);
        config.enable_early_data = true;
        // One configuration: what the first connection is given, the others could use.
        let config = std::sync::Arc::new(config);
        for _ in 0..3 {
            let mut peer = stage.outside(At::Connected).await;
            peer.secure(config.clone(), "org.test").await.unwrap();
            peer.open("alpha.test", "org.test").await;
            peer.features().await;
            assert_eq!(peer.handshake, Some(rustls::HandshakeKind::Full));
        }
    }
}

#[tokio::test]
async fn tls_11_a_stream_is_closed_by_both_sides_and_then_by_tls() {
    let stage = Stage::usual().await;
    for at in [At::Clear, At::Authenticating, At::Established] {
        stage.outside(at).await.close().await;
        stage.inside(at).await.close().await;
    }
    // A connection that just ends, inside TLS and without close_notify, is no closed stream.
    let peer = stage.outside(At::Established).await;
    stage
        .gateway
        .until("portcullis_streams", "side=\"federation\"", 1.0)
        .await;
    drop(peer);
    stage
        .gateway
        .until("portcullis_streams", "side=\"federation\"", 0.0)
        .await;
    stage.gateway.at_rest().await;
}

#[tokio::test]
async fn tls_11_what_comes_after_our_closing_tag_still_counts_and_is_not_answered() {
    let Stage {
        gateway,
        mut org,
        alpha_identity,
        ..
    } = Stage::usual().await;
    let mut peer = Peer::connect(gateway.federation).await;
    let show = Show::Certificate(&alpha_identity);
    peer.secure(show.client(), "org.test").await.unwrap();
    peer.open("alpha.test", "org.test").await;
    peer.features().await;
    peer.external().await;
    peer.open("alpha.test", "org.test").await;
    peer.features().await;
    let ending = tokio::spawn(gateway.end());
    peer.error("system-shutdown").await;
    assert_eq!(peer.next().await, Part::Close);
    peer.send("<message from='b@alpha.test' to='a@org.test' id='late'><body>still on its way</body></message></stream:stream>")
        .await;
    peer.ended().await;
    let stanza = org.stanza().await;
    assert!(stanza.contains("still on its way"), "{stanza}");
    assert_eq!(ending.await.unwrap(), Some(0));
}

#[tokio::test]
async fn dns_03_direct_tls_takes_no_alpn_and_xmpp_server_and_offers_no_starttls() {
    let stage = Stage::usual().await;
    let show = Show::Certificate(&stage.alpha_identity);
    for alpn in [None, Some("xmpp-server")] {
        let mut config = show.client_config();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let mut peer = stage.outside(At::Connected).await;
        peer.secure(config.into(), "org.test").await.unwrap();
        peer.open("alpha.test", "org.test").await;
        let (_, features) = peer.features().await;
        assert!(features.child(ns::TLS, "starttls").is_none());
        assert!(features.child(ns::SASL, "mechanisms").is_some());
    }
    for alpn in ["xmpp-client", "h2"] {
        let mut config = show.client_config();
        config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
        let mut peer = stage.outside(At::Connected).await;
        let error = peer.secure(config.into(), "org.test").await.unwrap_err();
        assert!(
            error.to_string().contains("NoApplicationProtocol"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn v04_nothing_but_starttls_works_in_the_clear() {
    let stage = Stage::usual().await;
    let mut peer = stage.outside(At::Clear).await;
    peer.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>")
        .await;
    let failure = peer.expect(ns::SASL, "failure").await;
    assert_eq!(failure.condition(), Some("encryption-required"));
    peer.send("<message from='b@alpha.test' to='a@org.test'><body>x</body></message>")
        .await;
    peer.refused("not-authorized").await;
    let rows = [
        Refusal(
            At::Clear,
            "<compress xmlns='http://jabber.org/protocol/compress'><method>zlib</method></compress>",
            "unsupported-stanza-type",
        ),
        Refusal(
            At::Clear,
            "<iq from='b@alpha.test' to='a@org.test' id='1' type='get'><ping xmlns='urn:xmpp:ping'/></iq>",
            "not-authorized",
        ),
        Refusal(
            At::Clear,
            "<enable xmlns='urn:xmpp:sm:3'/>",
            "unsupported-stanza-type",
        ),
    ];
    refused(&stage, &rows).await;
}

#[tokio::test]
async fn v12_compression_is_neither_offered_nor_taken() {
    let stage = Stage::usual().await;
    const COMPRESS: &str =
        "<compress xmlns='http://jabber.org/protocol/compress'><method>zlib</method></compress>";
    for at in [At::Connected, At::Secured, At::Restarting] {
        let mut peer = stage.outside(at).await;
        peer.open("alpha.test", "org.test").await;
        let (_, features) = peer.features().await;
        let offered = |name: &str| features.children.iter().any(|f| f.name == name);
        assert!(!offered("compression"), "{features:?}");
    }
    let rows: Vec<_> = [At::Clear, At::Authenticating, At::Established]
        .map(|at| Refusal(at, COMPRESS, "unsupported-stanza-type"))
        .into();
    refused(&stage, &rows).await;
}
