//! Partners that are not judged like everybody: by pins, or by authorities of their own.

use portcullis_xmpp::error::StreamCondition;
use portcullis_xmpp::stream::Proof;
use rcgen::PublicKeyData;
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};

use super::pki::{Ca, House, Leaf, domain, write};
use crate::config::{Limits, Partner, Pin, Trust};
use crate::tls::{PeerChain, Side, Tls, Unproven};

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

fn pinned(pins: &[&[u8]]) -> Partner {
    Partner {
        pins: pins
            .iter()
            .map(|bytes| Pin(Sha256::digest(bytes).into()))
            .collect(),
        ..record("alpha.test")
    }
}

fn judge(tls: &Tls, record: &Partner, leaf: &Leaf) -> Result<Proof, Unproven> {
    let name = domain("alpha.test");
    tls.judge(Side::Federation, Some(record), &leaf.chain(), &name)
}

#[test]
fn v22_a_pinned_certificate_proves_its_partner_whoever_issued_it_and_whatever_it_says() {
    let house = House::new();
    let tls = house.tls();
    let leaf = Leaf::self_signed(&["somebody-else.test"]);
    let record = pinned(&[b"another", &leaf.certificate]);
    assert_eq!(judge(&tls, &record, &leaf), Ok(Proof::Pinned));

    let expired = house.public.shaped_leaf(&["alpha.test"], |params| {
        params.not_after = OffsetDateTime::now_utc() - Duration::days(1);
    });
    let record = pinned(&[&expired.certificate]);
    assert_eq!(judge(&tls, &record, &expired), Ok(Proof::Pinned));
}

#[test]
fn v22_a_pinned_key_outlives_the_renewal_of_its_certificate() {
    let house = House::new();
    let tls = house.tls();
    let leaf = Leaf::self_signed(&["alpha.test"]);
    let record = pinned(&[&leaf.key.subject_public_key_info()]);
    let renewed = leaf.renewed(&["alpha.test"]);
    assert_ne!(leaf.certificate, renewed.certificate);
    for leaf in [&leaf, &renewed] {
        assert_eq!(judge(&tls, &record, leaf), Ok(Proof::Pinned));
    }
}

#[test]
fn v22_a_pinned_partner_is_proven_by_no_public_authority() {
    let house = House::new();
    let tls = house.tls();
    let pin = Leaf::self_signed(&["alpha.test"]);
    let record = pinned(&[&pin.certificate]);
    let issued = house.public.leaf(&["alpha.test"]);
    let unproven = judge(&tls, &record, &issued).unwrap_err();
    let digest = issued.chain().fingerprint().unwrap().to_string();
    assert!(unproven.reason().contains(&digest), "{unproven}");
    assert_eq!(unproven.condition(), StreamCondition::PolicyViolation);

    // Nor by a chain that only carries the pinned certificate behind another.
    let chain = PeerChain::new(&[issued.certificate, pin.certificate]);
    tls.judge(
        Side::Federation,
        Some(&record),
        &chain,
        &domain("alpha.test"),
    )
    .unwrap_err();
    let nothing = PeerChain::default();
    tls.judge(
        Side::Federation,
        Some(&record),
        &nothing,
        &domain("alpha.test"),
    )
    .unwrap_err();
}

#[test]
fn a_partner_with_authorities_of_its_own_is_proven_by_those_alone_and_they_prove_nobody_else() {
    let mut house = House::new();
    let own = Ca::new("Alpha's own CA");
    let sources = vec![Trust::File(write(
        &house.dir.path().join("alpha-ca.pem"),
        &own.pem,
    ))];
    house.settings.partner_trust = vec![(domain("alpha.test"), sources.clone())];
    let tls = house.tls();
    assert!(tls.files().contains(&house.dir.path().join("alpha-ca.pem")));
    let alpha = Partner {
        trust: sources,
        ..record("alpha.test")
    };
    assert_eq!(
        judge(&tls, &alpha, &own.leaf(&["alpha.test"])),
        Ok(Proof::Pkix)
    );
    let public = house.public.leaf(&["alpha.test"]);
    let unproven = judge(&tls, &alpha, &public).unwrap_err();
    assert!(unproven.reason().contains("unknown here"), "{unproven}");
    // Names still matter.
    judge(&tls, &alpha, &own.leaf(&["gamma.test"])).unwrap_err();

    let beta = own.leaf(&["beta.test"]).chain();
    for record in [None, Some(&record("beta.test"))] {
        tls.judge(Side::Federation, record, &beta, &domain("beta.test"))
            .unwrap_err();
    }
}

#[test]
fn a_record_whose_authorities_are_not_loaded_proves_nothing() {
    let house = House::new();
    let alpha = Partner {
        trust: vec![Trust::System],
        ..record("alpha.test")
    };
    let public = house.public.leaf(&["alpha.test"]);
    let unproven = judge(&house.tls(), &alpha, &public).unwrap_err();
    assert!(unproven.reason().contains("not loaded yet"), "{unproven}");
}
