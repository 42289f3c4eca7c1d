//! Which proof counts when a record allows several (V22): TLSA records from a signed zone, a web
//! server with POSH, and certificates that a public authority signed.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};

use super::posh::tests::{Ca as WebCa, Web, naming};
use super::*;
use crate::config::{Limits, Pin, Trust};
use crate::connect::tests::signed::Dials as _;
use crate::tls::tests::pki::{House, Leaf, domain, write};
use portcullis_test_support::signed::Signed;

const LIMITS: Limits = Limits {
    connections: 1,
    connections_per_partner: 1,
    connections_per_address: 1,
    attempts_per_minute: 1,
    stanza_bytes: 10_000,
    pairs_per_stream: 1,
    minimum_rate: 1,
};

fn record(name: &str) -> Partner {
    Partner::unlisted(domain(name), &LIMITS)
}

fn pem(certificate: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(certificate);
    let lines: Vec<_> = (text.as_bytes().chunks(64))
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    let lines = lines.join("\n");
    format!("-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n")
}

#[tokio::test]
async fn v22_what_a_record_allows_decides_which_proof_counts() {
    let mut house = House::new();
    // The partner's own certificate, and one that an authority should not have signed.
    let own = Leaf::self_signed(&["alpha.test"]);
    let public = house
        .public
        .leaf(&["alpha.test", "bare.test", "plain.test"]);
    let web_ca = WebCa::new();
    let (path, answer) = naming(&own.certificate);
    let web = Web::new(
        &web_ca,
        &["alpha.test", "bare.test"],
        &[("bare.test", path, answer)],
    )
    .await;
    let file = write(
        &house.dir.path().join("web.pem"),
        &pem(web_ca.certificate()),
    );
    house.settings.trust.push(Trust::File(file));
    let tls = house.tls();
    let dialer = Signed::new()
        .srv("alpha.test", 5269, "xmpp.alpha.test")
        .a("xmpp.alpha.test", "127.0.0.1")
        .tlsa(
            "xmpp.alpha.test",
            5269,
            [3, 0, 1],
            &Sha256::digest(&own.certificate),
        )
        .srv("bare.test", 5269, "xmpp.bare.test")
        .a("xmpp.bare.test", "127.0.0.1")
        .a("alpha.test", "127.0.0.1")
        .a("bare.test", "127.0.0.1")
        .dialer()
        .await;
    let posh = web.posh_over(dialer.clone());
    let judge = Judge {
        tls: &tls,
        dialer: &dialer,
        posh: &posh,
    };
    let ask = async |leaf: &Leaf, record: &Partner| {
        let (side, chain) = (Side::Federation, leaf.chain());
        let judged = judge.certificate(side, Some(record), &chain, &record.domain, None);
        judged.await.ok()
    };
    let dane = |name: &str| Partner {
        dane: true,
        ..record(name)
    };
    let posh = |name: &str| Partner {
        posh: true,
        ..record(name)
    };
    let pinned = Partner {
        pins: vec![Pin(Sha256::digest(&public.certificate).into())],
        dane: true,
        posh: true,
        ..record("alpha.test")
    };
    let both = Partner {
        posh: true,
        ..dane("bare.test")
    };
    let cases = [
        (
            "by default the public authorities",
            &public,
            record("alpha.test"),
            Some(Proof::Pkix),
        ),
        ("and nothing else", &own, record("alpha.test"), None),
        (
            "signed records",
            &own,
            dane("alpha.test"),
            Some(Proof::Dane),
        ),
        (
            "and no authority beside them",
            &public,
            dane("alpha.test"),
            None,
        ),
        (
            "without signed records as ever",
            &public,
            dane("bare.test"),
            Some(Proof::Pkix),
        ),
        (
            "nor with unsigned ones",
            &public,
            dane("plain.test"),
            Some(Proof::Pkix),
        ),
        ("the web server", &own, posh("bare.test"), Some(Proof::Posh)),
        (
            "beside the authorities",
            &public,
            posh("bare.test"),
            Some(Proof::Pkix),
        ),
        (
            "also after DANE had nothing to say",
            &own,
            both,
            Some(Proof::Posh),
        ),
        (
            "a web server that says nothing",
            &own,
            posh("alpha.test"),
            None,
        ),
        (
            "pins before all",
            &public,
            pinned.clone(),
            Some(Proof::Pinned),
        ),
        ("and alone", &own, pinned, None),
    ];
    for (case, leaf, record, expected) in cases {
        assert_eq!(ask(leaf, &record).await, expected, "{case}");
    }
}
