//! Each kind of TLSA record against chains that match and chains that do not, and records from a
//! signed zone.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256, Sha512};
use time::OffsetDateTime;

use super::*;
use crate::connect::tests::signed::Dials as _;
use crate::connect::{Matching, Selector};
use portcullis_test_support::signed::Signed;

fn domain(name: &str) -> Domain {
    Domain::parse(name).unwrap()
}

/// A chain of two below an authority that nobody knows.
struct Pki {
    ca: CertificateDer<'static>,
    leaf: CertificateDer<'static>,
}

impl Pki {
    fn new(names: &[&str], ends: OffsetDateTime) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "Unknown CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let ca = params.self_signed(&key).unwrap().into();
        let issuer = Issuer::new(params, key);
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = OffsetDateTime::UNIX_EPOCH;
        params.not_after = ends;
        let leaf = params
            .signed_by(&KeyPair::generate().unwrap(), &issuer)
            .unwrap()
            .into();
        Self { ca, leaf }
    }

    fn good(names: &[&str]) -> Self {
        Self::new(names, OffsetDateTime::now_utc() + time::Duration::days(1))
    }

    fn chain(&self) -> PeerChain {
        PeerChain::new(&[self.leaf.clone(), self.ca.clone()])
    }

    fn short_chain(&self) -> PeerChain {
        PeerChain::new(std::slice::from_ref(&self.leaf))
    }
}

fn key(certificate: &CertificateDer<'_>) -> Vec<u8> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).unwrap();
    parsed.tbs_certificate.subject_pki.raw.to_vec()
}

fn record(
    usage: Usage,
    selector: Selector,
    matching: Matching,
    of: &CertificateDer<'_>,
) -> Association {
    let selected = match selector {
        Selector::Certificate => of.to_vec(),
        Selector::PublicKey => key(of),
    };
    Association {
        usage,
        selector,
        matching,
        data: match matching {
            Matching::Exact => selected.into(),
            Matching::Sha256 => Sha256::digest(&selected).as_slice().into(),
            Matching::Sha512 => Sha512::digest(&selected).as_slice().into(),
        },
        host: Some(domain("xmpp.hoster.test")),
    }
}

fn no_pkix(_: &Domain) -> Result<(), Unproven> {
    Err(Unproven::new("unknown authority"))
}

fn compared(
    record: Association,
    chain: &PeerChain,
    pkix: impl Fn(&Domain) -> Result<(), Unproven>,
) -> Result<(), Unproven> {
    compare(
        &[record],
        chain,
        &domain("alpha.test"),
        UnixTime::now(),
        pkix,
    )
}

#[test]
fn dane_01_dane_ee_needs_the_right_key_and_nothing_else() {
    // Expired long ago, and it names somebody else.
    let pki = Pki::new(
        &["somebody.test"],
        OffsetDateTime::UNIX_EPOCH + time::Duration::days(1),
    );
    let other = Pki::good(&["alpha.test"]);
    for selector in [Selector::Certificate, Selector::PublicKey] {
        for matching in [Matching::Exact, Matching::Sha256, Matching::Sha512] {
            let right = record(Usage::DaneEe, selector, matching, &pki.leaf);
            compared(right, &pki.short_chain(), no_pkix).unwrap();
            let wrong = record(Usage::DaneEe, selector, matching, &other.leaf);
            compared(wrong, &pki.short_chain(), no_pkix).unwrap_err();
            // The authority's key is not the server's.
            let authority = record(Usage::DaneEe, selector, matching, &pki.ca);
            compared(authority, &pki.chain(), no_pkix).unwrap_err();
        }
    }
}

#[test]
fn dane_01_dane_ta_needs_the_authority_the_name_and_the_time() {
    let below = |pki: &Pki| {
        record(
            Usage::DaneTa,
            Selector::PublicKey,
            Matching::Sha256,
            &pki.ca,
        )
    };
    // The domain or the server that secure DNS names: either will do (RFC 7673 §4).
    for name in ["alpha.test", "xmpp.hoster.test"] {
        let pki = Pki::good(&[name]);
        compared(below(&pki), &pki.chain(), no_pkix).unwrap();
        // The digest alone finds no authority that was not sent; the whole certificate does.
        compared(below(&pki), &pki.short_chain(), no_pkix).unwrap_err();
        let whole = record(
            Usage::DaneTa,
            Selector::Certificate,
            Matching::Exact,
            &pki.ca,
        );
        compared(whole, &pki.short_chain(), no_pkix).unwrap();
    }
    let stranger = Pki::good(&["somebody.test"]);
    let error = compared(below(&stranger), &stranger.chain(), no_pkix).unwrap_err();
    assert!(
        error.reason().contains("not valid for alpha.test"),
        "{error}"
    );
    let past = Pki::new(
        &["alpha.test"],
        OffsetDateTime::UNIX_EPOCH + time::Duration::days(1),
    );
    let error = compared(below(&past), &past.chain(), no_pkix).unwrap_err();
    assert!(error.reason().contains("expired"), "{error}");
    // An authority that was sent along, but did not sign.
    let (one, other) = (Pki::good(&["alpha.test"]), Pki::good(&["alpha.test"]));
    let mixed = PeerChain::new(&[one.leaf.clone(), other.ca.clone()]);
    compared(below(&other), &mixed, no_pkix).unwrap_err();
}

#[test]
fn dane_01_pkix_usages_want_pkix_as_well() {
    let pki = Pki::good(&["xmpp.hoster.test"]);
    let by_host = |name: &Domain| match name.as_str() {
        "xmpp.hoster.test" => Ok(()),
        _ => Err(Unproven::new("not this name")),
    };
    for (usage, certificate) in [(Usage::PkixEe, &pki.leaf), (Usage::PkixTa, &pki.ca)] {
        let one = || record(usage, Selector::PublicKey, Matching::Sha256, certificate);
        compared(one(), &pki.chain(), by_host).unwrap();
        let error = compared(one(), &pki.chain(), no_pkix).unwrap_err();
        assert!(
            error.reason().contains("unknown authority"),
            "{usage:?}: {error}"
        );
        let other = Pki::good(&["xmpp.hoster.test"]);
        compared(one(), &other.chain(), by_host).unwrap_err();
    }
}

#[test]
fn dane_01_without_a_certificate_nothing_matches() {
    let pki = Pki::good(&["alpha.test"]);
    let any = record(
        Usage::DaneEe,
        Selector::PublicKey,
        Matching::Sha256,
        &pki.leaf,
    );
    compared(any, &PeerChain::default(), no_pkix).unwrap_err();
}

#[tokio::test]
async fn dane_01_v22_who_comes_in_must_match_the_signed_records_whatever_pkix_says() {
    let good = Pki::good(&["nobody.test"]);
    let stolen = Pki::good(&["alpha.test"]);
    let dialer = Signed::new()
        .srv("alpha.test", 5269, "xmpp.alpha.test")
        .a("xmpp.alpha.test", "127.0.0.1")
        .tlsa(
            "xmpp.alpha.test",
            5269,
            [3, 1, 1],
            &Sha256::digest(key(&good.leaf)),
        )
        .srv("plain.test", 5269, "xmpp.alpha.test")
        .srv("bare.test", 5269, "xmpp.bare.test")
        .a("xmpp.bare.test", "127.0.0.1")
        .dialer()
        .await;
    let ask = async |name: &str, chain: PeerChain| {
        judge(&dialer, &chain, &domain(name), None, |_| Ok(())).await
    };
    assert_eq!(ask("alpha.test", good.chain()).await, Ok(Dane::Proven));
    let refused = ask("alpha.test", stolen.chain()).await.unwrap_err();
    assert!(
        refused.reason().contains("none of the TLSA records"),
        "{refused}"
    );
    for name in ["plain.test", "bare.test"] {
        let silent = ask(name, stolen.chain()).await;
        assert!(matches!(silent, Ok(Dane::Silent(_))), "{name}: {silent:?}");
    }
}

#[tokio::test]
async fn dane_01_where_we_connected_to_the_records_of_that_server_count() {
    let pki = Pki::good(&["nobody.test"]);
    let dialer = Signed::new()
        .srv("alpha.test", 5269, "xmpp.alpha.test")
        .a("xmpp.alpha.test", "127.0.0.1")
        .tlsa(
            "xmpp.alpha.test",
            5269,
            [3, 1, 1],
            &Sha256::digest(key(&pki.leaf)),
        )
        .dialer()
        .await;
    let ask = async |tlsa: Tlsa| {
        let candidate = Candidate {
            address: "127.0.0.1:5269".parse().unwrap(),
            mode: portcullis_xmpp::stream::TlsMode::Direct,
            target: "xmpp.hoster.test".into(),
            tlsa,
        };
        judge(
            &dialer,
            &pki.chain(),
            &domain("alpha.test"),
            Some(&candidate),
            no_pkix,
        )
        .await
    };
    let one = |certificate| {
        record(
            Usage::DaneEe,
            Selector::PublicKey,
            Matching::Sha512,
            certificate,
        )
    };
    let records = |certificate| Tlsa::Records(Arc::from([one(certificate)]));
    assert_eq!(ask(records(&pki.leaf)).await, Ok(Dane::Proven));
    // A next hop that the operator named: one of the domain's servers, as for who comes in.
    assert_eq!(ask(Tlsa::NotAsked).await, Ok(Dane::Proven));
    ask(records(&pki.ca)).await.unwrap_err();
    assert!(matches!(
        ask(Tlsa::Absent("no".into())).await,
        Ok(Dane::Silent(_))
    ));
}
