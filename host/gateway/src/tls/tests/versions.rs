//! V19: what is older than TLS 1.2, or has no forward secrecy, gets an alert and nothing else; offered
//! byte by byte, since no library of today would write it.

use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::handshakes::{PEER, to};
use super::pki::House;
use crate::tls::{Opening, Side, Tls};

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const HANDSHAKE_FAILURE: u8 = 40;
const PROTOCOL_VERSION: u8 = 70;

const TLS_12: u16 = 0x0303;
/// TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: the house has such a key.
const GOOD: u16 = 0xc02b;

fn sized<const BYTES: usize>(content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let (_, length) = length.split_at(length.len() - BYTES);
    [length, content].concat()
}

/// A client hello (RFC 5246 §7.4.1.2) with what elliptic curves need, in one record.
fn client_hello(version: u16, suites: &[u16]) -> Vec<u8> {
    let suites: Vec<u8> = suites
        .iter()
        .flat_map(|suite| suite.to_be_bytes())
        .collect();
    let extension = |kind: u8, content: &[u8]| [vec![0, kind], sized::<2>(content)].concat();
    let extensions = [
        // supported_groups: x25519, secp256r1
        extension(10, &[0, 4, 0, 29, 0, 23]),
        // ec_point_formats: uncompressed
        extension(11, &[1, 0]),
        // signature_algorithms: ecdsa_secp256r1_sha256, rsa_pss_rsae_sha256, rsa_pkcs1_sha256
        extension(13, &[0, 6, 4, 3, 8, 4, 4, 1]),
        // extended_master_secret
        extension(23, &[]),
    ]
    .concat();
    let hello = [
        version.to_be_bytes().to_vec(),
        vec![7; 32],
        sized::<1>(&[]),
        sized::<2>(&suites),
        sized::<1>(&[0]),
        sized::<2>(&extensions),
    ]
    .concat();
    let message = [vec![1], sized::<3>(&hello)].concat();
    let record = [vec![HANDSHAKE, 3, 1], sized::<2>(&message)].concat();
    assert!(record.len() < 512, "it fits the pipe");
    record
}

/// The first record that comes back: its type, and its last byte (an alert's description).
async fn answer(tls: &Tls, side: Side, opening: Opening, hello: &[u8]) -> Option<(u8, u8)> {
    let (near, mut far) = duplex(64 * 1024);
    far.write_all(hello).await.unwrap();
    let client = async {
        let mut head = [0; 5];
        far.read_exact(&mut head).await.ok()?;
        let [kind, _, _, high, low] = head;
        let mut content = vec![0; usize::from(u16::from_be_bytes([high, low]))];
        far.read_exact(&mut content).await.ok()?;
        drop(far);
        Some((kind, *content.last()?))
    };
    let (served, answer) = tokio::join!(tls.accept(side, near, opening, PEER), client);
    served.unwrap_err();
    answer
}

#[tokio::test]
async fn v19_old_versions_and_suites_without_forward_secrecy_are_refused() {
    let house = House::new();
    let tls = house.tls();
    let offers: &[(&str, u16, &[u16], u8)] = &[
        ("SSL 3.0", 0x0300, &[GOOD, 0x002f], PROTOCOL_VERSION),
        ("TLS 1.0", 0x0301, &[GOOD, 0x002f], PROTOCOL_VERSION),
        ("TLS 1.1", 0x0302, &[GOOD, 0x002f], PROTOCOL_VERSION),
        (
            "RSA, as RFC 6120 wants",
            TLS_12,
            &[0x002f],
            HANDSHAKE_FAILURE,
        ),
        ("RSA with GCM", TLS_12, &[0x009c, 0x009d], HANDSHAKE_FAILURE),
        ("NULL", TLS_12, &[0x0002, 0x003b, 0xc006], HANDSHAKE_FAILURE),
        ("RC4", TLS_12, &[0x0005, 0xc007, 0xc011], HANDSHAKE_FAILURE),
        ("triple DES", TLS_12, &[0x000a, 0xc008], HANDSHAKE_FAILURE),
        (
            "export",
            TLS_12,
            &[0x0003, 0x0008, 0x0062],
            HANDSHAKE_FAILURE,
        ),
        (
            "anonymous",
            TLS_12,
            &[0x0018, 0x00a6, 0xc018],
            HANDSHAKE_FAILURE,
        ),
        ("CBC", TLS_12, &[0xc009, 0xc00a, 0xc023], HANDSHAKE_FAILURE),
    ];
    for side in [Side::Federation, Side::Internal] {
        for opening in [Opening::Direct, to("org.test")] {
            for (name, version, suites, alert) in offers {
                let hello = client_hello(*version, suites);
                let answer = answer(&tls, side, opening.clone(), &hello).await;
                assert_eq!(answer, Some((ALERT, *alert)), "{side}, {opening:?}, {name}");
            }
            // The same bytes with a suite that we speak: it was not the form that was refused.
            let hello = client_hello(TLS_12, &[0x002f, GOOD]);
            let answer = answer(&tls, side, opening.clone(), &hello).await;
            assert_eq!(answer.map(|(kind, _)| kind), Some(HANDSHAKE), "{opening:?}");
        }
    }
}

#[tokio::test]
async fn v19_a_hello_of_ssl_2_is_no_hello() {
    let house = House::new();
    // RFC 5246 Appendix E.2, with TLS 1.2 as its version and the suites of SSL 2.0.
    let body = [
        &[1, 3, 3, 0, 6, 0, 0, 0, 16, 7, 0, 0xc0, 1, 0, 0x80][..],
        &[7; 16],
    ]
    .concat();
    let hello = [&[0x80, u8::try_from(body.len()).unwrap()], &body[..]].concat();
    let answer = answer(&house.tls(), Side::Federation, to("org.test"), &hello).await;
    assert_ne!(answer.map(|(kind, _)| kind), Some(HANDSHAKE));
}
