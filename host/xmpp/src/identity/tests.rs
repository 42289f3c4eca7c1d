//! The names of RFC 6120 §13.7, tried with certificates that hold exactly the bytes in question.

use proptest::{collection::vec, prelude::*};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, DnType, KeyPair};

use super::*;

const DNS: u8 = 0x82;
const XMPP: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 8, 5];
const SRV: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 8, 7];

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match content.len() {
        n @ 0..=0x7f => out.push(n as u8),
        n @ 0x80..=0xff => out.extend([0x81, n as u8]),
        n => out.extend([0x82, (n >> 8) as u8, n as u8]),
    }
    out.extend(content);
    out
}

fn dns(name: &str) -> Vec<u8> {
    der(DNS, name.as_bytes())
}

fn other(kind: &[u8], string: u8, text: &str) -> Vec<u8> {
    der(
        0xa0,
        &[der(6, kind), der(EXPLICIT, &der(string, text.as_bytes()))].concat(),
    )
}

fn srv(name: &str) -> Vec<u8> {
    other(SRV, IA5_STRING, name)
}

fn xmpp(name: &str) -> Vec<u8> {
    other(XMPP, UTF8_STRING, name)
}

fn certificate(common_name: &str, lists: &[&[Vec<u8>]]) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    for names in lists {
        let content = der(0x30, &names.concat());
        params
            .custom_extensions
            .push(CustomExtension::from_oid_content(&[2, 5, 29, 17], content));
    }
    params
        .self_signed(&KeyPair::generate().unwrap())
        .unwrap()
        .der()
        .to_vec()
}

fn proves(name: Vec<u8>, domain: &str) -> bool {
    Names::of(&certificate("x", &[&[name]]))
        .unwrap()
        .proves(&Domain::parse(domain).unwrap())
}

#[test]
fn id_01_dns_srv_and_xmpp_names_prove_their_domain() {
    assert!(proves(dns("alpha.test"), "alpha.test"));
    assert!(proves(srv("_xmpp-server.alpha.test"), "alpha.test"));
    assert!(proves(xmpp("alpha.test"), "alpha.test"));
    let long = format!("{0}.{0}.{0}.test", "a".repeat(60));
    assert!(proves(xmpp(&long), &long), "a length that takes two bytes");

    let all = [
        dns("alpha.test"),
        srv("_xmpp-server.beta.test"),
        xmpp("gamma.test"),
    ];
    let names = Names::of(&certificate("x", &[&all])).unwrap();
    for domain in ["alpha.test", "beta.test", "gamma.test"] {
        assert!(names.proves(&Domain::parse(domain).unwrap()), "{domain}");
    }
    assert_eq!(names.to_string(), "alpha.test, beta.test, gamma.test");
}

#[test]
fn id_02_a_name_proves_only_itself() {
    for other in [
        "xmpp.alpha.test",
        "test",
        "alpha.test.evil.test",
        "aalpha.test",
    ] {
        assert!(!proves(dns("alpha.test"), other), "{other}");
        assert!(!proves(srv("_xmpp-server.alpha.test"), other), "{other}");
        assert!(!proves(xmpp("alpha.test"), other), "{other}");
    }
}

#[test]
fn id_03_srv_names_count_for_the_server_service_only() {
    assert!(proves(srv("_XMPP-Server.Alpha.Test"), "alpha.test"));
    for odd in [
        "_xmpp-client.alpha.test",
        "_xmpps-server.alpha.test",
        "alpha.test",
        "_xmpp-server.*.test",
        "_xmpp-server.",
    ] {
        assert!(!proves(srv(odd), "alpha.test"), "{odd}");
    }
    assert!(!proves(srv("_xmpp-server.*.alpha.test"), "a.alpha.test"));
    assert!(
        !proves(
            other(SRV, UTF8_STRING, "_xmpp-server.alpha.test"),
            "alpha.test"
        ),
        "the wrong string type"
    );
}

#[test]
fn id_04_a_wildcard_is_the_whole_left_most_label_and_matches_one() {
    assert!(proves(dns("*.alpha.test"), "conference.alpha.test"));
    for (pattern, domain) in [
        ("*.alpha.test", "alpha.test"),
        ("*.alpha.test", "a.b.alpha.test"),
        ("f*.alpha.test", "foo.alpha.test"),
        ("a.*.test", "a.b.test"),
        ("*.*.test", "a.b.test"),
        ("*.test", "alpha.test"),
        ("*", "test"),
        ("**.alpha.test", "a.alpha.test"),
        ("xn--*.alpha.test", "xn--bcher-kva.alpha.test"),
    ] {
        assert!(!proves(dns(pattern), domain), "{pattern} {domain}");
    }
    assert!(!proves(xmpp("*.alpha.test"), "a.alpha.test"));
}

#[test]
fn id_07_names_that_no_constraint_is_written_for_can_be_left_out() {
    let all = [
        dns("alpha.test"),
        dns("*.alpha.test"),
        srv("_xmpp-server.beta.test"),
        xmpp("gamma.test"),
    ];
    let names = Names::of(&certificate("x", &[&all])).unwrap().dns_only();
    for domain in ["alpha.test", "a.alpha.test"] {
        assert!(names.proves(&Domain::parse(domain).unwrap()), "{domain}");
    }
    for domain in ["beta.test", "gamma.test"] {
        assert!(!names.proves(&Domain::parse(domain).unwrap()), "{domain}");
    }
    assert_eq!(names.to_string(), "alpha.test, *.alpha.test");
}

#[test]
fn id_05_the_common_name_never_counts() {
    for names in [vec![], vec![dns("beta.test")]] {
        let lists: &[&[Vec<u8>]] = if names.is_empty() { &[] } else { &[&names] };
        let names = Names::of(&certificate("alpha.test", lists)).unwrap();
        assert!(!names.proves(&Domain::parse("alpha.test").unwrap()));
    }
    assert_eq!(
        Names::of(&certificate("alpha.test", &[]))
            .unwrap()
            .to_string(),
        "no domain"
    );
}

#[test]
fn id_06_internationalised_names_are_compared_as_a_labels() {
    assert!(proves(dns("XN--Bcher-KVA.test"), "bücher.test"));
    assert!(proves(xmpp("Bücher.test"), "xn--bcher-kva.test"));
    assert!(
        !proves(dns("bücher.test"), "bücher.test"),
        "a U-label has no place in a dNSName"
    );
    assert!(!proves(srv("_xmpp-server.bücher.test"), "bücher.test"));
}

#[test]
fn v08_odd_names_are_passed_over() {
    for odd in [
        "alpha.test\0.evil.test",
        "alpha.test\0",
        "alpha.test.",
        " alpha.test",
        "alpha.test\n",
        "",
        ".",
        "a..test",
    ] {
        assert!(!proves(dns(odd), "alpha.test"), "{odd:?}");
        assert!(
            !proves(srv(&format!("_xmpp-server.{odd}")), "alpha.test"),
            "{odd:?}"
        );
    }
    for odd in [
        "alpha.test\0.evil.test",
        "alpha.test\0",
        "juliet@alpha.test",
        "alpha.test/r",
        "alpha.test alpha.test",
    ] {
        assert!(!proves(xmpp(odd), "alpha.test"), "{odd:?}");
    }
    let trailing = der(
        0xa0,
        &[
            der(6, XMPP),
            der(EXPLICIT, &der(UTF8_STRING, b"alpha.test")),
            vec![5, 0],
        ]
        .concat(),
    );
    assert!(!proves(trailing, "alpha.test"));
    let ip = der(0x87, &[127, 0, 0, 1]);
    assert!(!proves(ip, "alpha.test"));
}

#[test]
fn v08_a_bad_name_does_not_hide_a_good_one() {
    let names = Names::of(&certificate(
        "x",
        &[&[dns("evil\0.test"), dns("alpha.test")]],
    ))
    .unwrap();
    assert!(names.proves(&Domain::parse("alpha.test").unwrap()));
}

#[test]
fn v08_unreadable_certificates_prove_nothing() {
    let good = certificate("x", &[&[dns("alpha.test")]]);
    assert_eq!(Names::of(b"").unwrap_err(), IdentityError::Unreadable);
    assert_eq!(
        Names::of(&good[..good.len() - 1]).unwrap_err(),
        IdentityError::Unreadable
    );
    assert_eq!(
        Names::of(&[good.as_slice(), b"x"].concat()).unwrap_err(),
        IdentityError::Unreadable
    );
    let twice = certificate("x", &[&[dns("alpha.test")], &[dns("beta.test")]]);
    assert_eq!(Names::of(&twice).unwrap_err(), IdentityError::Names);
}

proptest! {
    #[test]
    fn v08_no_bytes_of_a_certificate_bring_the_reader_down_or_name_a_stranger(
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
        stranger in "[a-z]{9,20}[.]test",
    ) {
        let names = [
            dns("alpha.test"),
            dns("*.alpha.test"),
            srv("_xmpp-server.alpha.test"),
            xmpp("alpha.test"),
        ];
        let mut der = certificate("alpha.test", &[&names]);
        for (at, byte) in changes {
            let at = at.index(der.len());
            der[at] = byte;
        }
        let stranger = Domain::parse(&stranger).unwrap();
        for der in [&der[..], &der[..cut.index(der.len())]] {
            if let Ok(names) = Names::of(der) {
                prop_assert!(!names.proves(&stranger));
                let _ = names.to_string();
            }
        }
    }
}

#[test]
fn names_are_listed_briefly() {
    let many: Vec<_> = (0..9).map(|n| dns(&format!("d{n}.test"))).collect();
    let names = Names::of(&certificate("x", &[&many])).unwrap();
    assert_eq!(
        names.to_string(),
        "d0.test, d1.test, d2.test, d3.test and 5 more"
    );
}
