//! Who may be minted, how often, and by which authority.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use rcgen::{GeneralSubtree, IsCa, KeyPair, NameConstraints};
use rustls::pki_types::UnixTime;
use rustls::pki_types::pem::PemObject;
use time::OffsetDateTime;

use super::*;
use crate::tls::PeerChain;
use crate::tls::ca::Authority;
use crate::tls::revocation::Lists;
use crate::tls::tests::pki::{Ca, domain, provider, write};

const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7));

fn own() -> BTreeSet<Domain> {
    [domain("org.test"), domain("chat.example")].into()
}

fn excluding(names: &[&str]) -> NameConstraints {
    let excluded_subtrees = names
        .iter()
        .map(|name| GeneralSubtree::DnsName((*name).to_owned()))
        .collect();
    NameConstraints {
        permitted_subtrees: Vec::new(),
        excluded_subtrees,
    }
}

fn load(
    certificate: &str,
    key: &str,
    client_ca: &[CertificateDer<'static>],
) -> Result<Mint, String> {
    let dir = tempfile::TempDir::new().unwrap();
    let files = config::Mint {
        ca: write(&dir.path().join("mint.pem"), certificate),
        key: write(&dir.path().join("mint.key"), key),
    };
    let now = OffsetDateTime::now_utc();
    Mint::load(
        &files,
        &own(),
        client_ca,
        &provider(),
        &mut Files::default(),
        now,
    )
    .map_err(|problems| {
        problems
            .iter()
            .map(Problem::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    })
}

fn mint() -> Mint {
    let domains: Vec<Domain> = own().into_iter().collect();
    let authority = Authority::for_mint(&domains).unwrap();
    load(authority.certificate(), authority.key(), &[]).unwrap()
}

fn refused(ca: &Ca, because: &str) {
    let told = load(&ca.pem, &ca.key, &[]).unwrap_err();
    assert!(told.contains(because), "{told:?} does not say {because:?}");
    assert!(told.contains("ca init"), "{told:?} does not say what to do");
}

fn shown(endpoint: &Endpoint) -> CertificateDer<'static> {
    let resolver = &endpoint.client.client_auth_cert_resolver;
    let certified = resolver
        .resolve(&[], &[rustls::SignatureScheme::ECDSA_NISTP256_SHA256])
        .unwrap();
    certified.cert.first().unwrap().clone()
}

#[test]
fn a_minted_certificate_is_for_one_name_and_one_day() {
    let mint = mint();
    let now = OffsetDateTime::now_utc();
    let endpoint = mint
        .endpoint(&domain("alpha.test"), Some(SERVER), now, Instant::now())
        .unwrap();
    let der = shown(&endpoint);
    let (_, parsed) = x509_parser::parse_x509_certificate(&der).unwrap();
    let lifetime = parsed.validity().not_after.timestamp() - now.unix_timestamp();
    assert!(
        lifetime <= 24 * 3600 && lifetime > 23 * 3600,
        "{lifetime} s"
    );
    assert_eq!(
        parsed
            .subject_alternative_name()
            .unwrap()
            .unwrap()
            .value
            .general_names
            .len(),
        1
    );
    assert!(!parsed.is_ca());
    assert!(
        parsed.raw_serial().len() >= 16,
        "{}",
        parsed.raw_serial_as_string()
    );
}

#[test]
fn the_organisations_own_names_and_all_below_are_never_minted() {
    let mint = mint();
    for name in [
        "org.test",
        "ORG.test",
        "conference.org.test",
        "a.b.chat.example",
    ] {
        let refusal = mint.endpoint(
            &domain(name),
            Some(SERVER),
            OffsetDateTime::now_utc(),
            Instant::now(),
        );
        assert!(matches!(refusal, Err(MintError::OwnDomain(_))), "{name}");
    }
    let near = mint.endpoint(
        &domain("notorg.test"),
        Some(SERVER),
        OffsetDateTime::now_utc(),
        Instant::now(),
    );
    near.unwrap();
}

#[test]
fn only_dns_names_are_minted() {
    for name in [
        "a_b.test", "-a.test", "a-.test", "a..test", "10.0.0.1", "*.test", "", "a b.test", "x.7",
    ] {
        assert!(!is_dns_name(name), "{name:?}");
    }
    assert!(!is_dns_name(&format!("{}.test", "a".repeat(64))));
    for name in [
        "alpha.test",
        "xn--mnchen-3ya.example",
        "a-b.c1.test",
        "localhost",
    ] {
        assert!(is_dns_name(name), "{name:?}");
    }
}

#[test]
fn a_certificate_is_reused_until_half_of_its_life_is_over() {
    let mint = mint();
    let (now, tick) = (OffsetDateTime::now_utc(), Instant::now());
    let at = |time| {
        shown(
            &mint
                .endpoint(&domain("alpha.test"), Some(SERVER), time, tick)
                .unwrap(),
        )
    };
    let first = at(now);
    assert_eq!(at(now + time::Duration::hours(11)), first);
    assert_ne!(at(now + time::Duration::hours(13)), first);
}

#[test]
fn each_internal_server_has_a_rate_of_new_names_and_known_and_proven_names_are_free() {
    let mint = mint();
    let (now, tick) = (OffsetDateTime::now_utc(), Instant::now());
    let ask = |n: u32, server, tick| {
        mint.endpoint(&domain(&format!("p{n}.test")), Some(server), now, tick)
    };
    for n in 0..300 {
        ask(n, SERVER, tick).unwrap();
    }
    assert!(matches!(
        ask(300, SERVER, tick),
        Err(MintError::TooMany(SERVER))
    ));
    ask(299, SERVER, tick).unwrap();
    ask(300, IpAddr::V4(Ipv4Addr::new(10, 0, 0, 8)), tick).unwrap();
    // Who is proven is not counted: each open partner is new to a gateway that has just begun.
    for n in 400..500 {
        let partner = domain(&format!("p{n}.test"));
        mint.endpoint(&partner, None, now, tick).unwrap();
    }
    ask(301, SERVER, tick + Duration::from_secs(1)).unwrap();
    assert!(matches!(
        ask(302, SERVER, tick + Duration::from_secs(1)),
        Err(MintError::TooMany(_))
    ));
}

#[test]
fn the_cache_forgets_beyond_its_bound() {
    let mint = mint();
    let (now, tick) = (OffsetDateTime::now_utc(), Instant::now());
    for n in 0..1100_u32 {
        let server = IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + n / 200));
        mint.endpoint(&domain(&format!("p{n}.test")), Some(server), now, tick)
            .unwrap();
    }
    assert_eq!(mint.state.lock().unwrap().minted.len(), 1000);
}

#[test]
fn an_authority_that_could_sign_own_names_is_refused() {
    refused(&Ca::new("no constraints"), "no critical name constraints");
    let partly = Ca::shaped("partly", |params| {
        params.name_constraints = Some(excluding(&["org.test"]))
    });
    refused(&partly, "do not exclude chat.example");
    let dotted = Ca::shaped("dotted", |params| {
        params.name_constraints = Some(excluding(&[".org.test", ".chat.example"]));
    });
    refused(&dotted, "do not exclude org.test");
    let other = Ca::shaped("other", |params| {
        params.name_constraints = Some(excluding(&["rg.test", "example"]))
    });
    refused(&other, "do not exclude org.test");
    let permitted = Ca::shaped("permitted", |params| {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName(".org.test".to_owned())],
            excluded_subtrees: vec![GeneralSubtree::DnsName("example".to_owned())],
        });
    });
    refused(&permitted, "do not exclude org.test");
}

#[test]
fn an_authority_that_cannot_sign_own_names_is_taken() {
    let parents = Ca::shaped("parents", |params| {
        params.name_constraints = Some(excluding(&["ORG.test", "example"]))
    });
    load(&parents.pem, &parents.key, &[]).unwrap();
    let elsewhere = Ca::shaped("elsewhere", |params| {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("partners.invalid".to_owned())],
            excluded_subtrees: Vec::new(),
        });
    });
    load(&elsewhere.pem, &elsewhere.key, &[]).unwrap();
}

#[test]
fn the_client_authority_is_no_mint() {
    let shape = |params: &mut CertificateParams| {
        params.name_constraints = Some(excluding(&["org.test", "chat.example"]));
    };
    let ca = Ca::shaped("both", shape);
    let told = load(&ca.pem, &ca.key, std::slice::from_ref(&ca.certificate)).unwrap_err();
    assert!(told.contains("is the client_ca too"), "{told}");
    // Another certificate for the same key is the same authority.
    let key = KeyPair::from_pem(&ca.key).unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    shape(&mut params);
    let twin = params.self_signed(&key).unwrap();
    let told = load(&twin.pem(), &ca.key, std::slice::from_ref(&ca.certificate)).unwrap_err();
    assert!(told.contains("is the client_ca too"), "{told}");
}

#[test]
fn what_is_no_authority_or_has_another_key_is_refused() {
    let constrained = |params: &mut CertificateParams| {
        params.name_constraints = Some(excluding(&["org.test", "chat.example"]));
    };
    let leaf = Ca::shaped("leaf", |params| {
        constrained(params);
        params.is_ca = IsCa::ExplicitNoCa;
    });
    refused(&leaf, "no authority");
    let expired = Ca::shaped("expired", |params| {
        constrained(params);
        params.not_after = OffsetDateTime::now_utc() - time::Duration::days(1);
    });
    refused(&expired, "expired");
    let mut mixed = Ca::shaped("mixed", constrained);
    mixed.key = KeyPair::generate().unwrap().serialize_pem();
    refused(&mixed, "not the key");
}

#[test]
fn verifiers_enforce_the_constraints_that_ca_init_writes() {
    let domains: Vec<Domain> = own().into_iter().collect();
    let authority = Authority::for_mint(&domains).unwrap();
    let mut anchors = rustls::RootCertStore::empty();
    anchors
        .add(CertificateDer::from_pem_slice(authority.certificate().as_bytes()).unwrap())
        .unwrap();
    let forged = authority.issue(&[domain("conference.org.test")]).unwrap();
    let forged = CertificateDer::from_pem_slice(forged.certificate.as_bytes()).unwrap();
    let refusal = PeerChain::new(&[forged]).proves(
        &anchors,
        &Lists::default(),
        &domain("conference.org.test"),
        UnixTime::now(),
    );
    assert!(refusal.unwrap_err().reason().contains("name constraints"));
}
