//! V08: which certificates prove alpha.test, and what is said about those that do not.

use std::sync::LazyLock;

use proptest::{collection::vec, prelude::*, sample::Index};
use rcgen::{
    BasicConstraints, CustomExtension, ExtendedKeyUsagePurpose as Eku, GeneralSubtree, IsCa,
    NameConstraints,
};
use rustls::pki_types::{CertificateDer, UnixTime};
use time::{Duration, OffsetDateTime};

use super::pki::{Ca, Leaf, domain};
use crate::tls::PeerChain;
use crate::tls::revocation::Lists;

fn judge(ca: &Ca, chain: &PeerChain) -> Result<(), String> {
    chain
        .proves(
            &ca.anchors(),
            &Lists::default(),
            &domain("alpha.test"),
            UnixTime::now(),
        )
        .map_err(|unproven| unproven.reason().to_owned())
}

fn refused(ca: &Ca, leaf: &Leaf, because: &str) {
    let reason = judge(ca, &leaf.chain()).unwrap_err();
    assert!(
        reason.contains(because),
        "{reason:?} does not say {because:?}"
    );
}

#[test]
fn v08_a_valid_certificate_proves_its_names() {
    let ca = Ca::new("Public CA");
    judge(&ca, &ca.leaf(&["alpha.test"]).chain()).unwrap();
    judge(&ca, &ca.leaf(&["other.test", "ALPHA.test"]).chain()).unwrap();
    judge(&ca, &ca.leaf(&["*.test.example", "alpha.test"]).chain()).unwrap();
}

#[test]
fn id_08_a_certificate_for_servers_or_for_clients_or_for_no_stated_use_is_good() {
    let ca = Ca::new("Public CA");
    for usages in [
        vec![Eku::ServerAuth],
        vec![Eku::ClientAuth],
        vec![Eku::ServerAuth, Eku::ClientAuth],
        vec![],
    ] {
        let leaf = ca.shaped_leaf(&["alpha.test"], |params| {
            params.extended_key_usages = usages.clone()
        });
        judge(&ca, &leaf.chain()).unwrap();
    }
    let mail = ca.shaped_leaf(&["alpha.test"], |params| {
        params.extended_key_usages = vec![Eku::EmailProtection]
    });
    refused(&ca, &mail, "neither servers nor clients");
}

#[test]
fn v08_no_certificate_proves_nothing() {
    let reason = judge(&Ca::new("Public CA"), &PeerChain::default()).unwrap_err();
    assert_eq!(reason, "no certificate was presented");
}

#[test]
fn v08_self_signed_and_unknown_authorities_are_told_apart() {
    let ca = Ca::new("Public CA");
    refused(&ca, &Leaf::self_signed(&["alpha.test"]), "self-signed");
    let other = Ca::new("Other CA").leaf(&["alpha.test"]);
    refused(&ca, &other, "authority is unknown here: CN=Other CA");
}

#[test]
fn v08_an_authority_with_a_known_name_but_another_key_proves_nothing() {
    let impostor = Ca::new("Public CA").leaf(&["alpha.test"]);
    judge(&Ca::new("Public CA"), &impostor.chain()).unwrap_err();
}

#[test]
fn v08_the_time_has_to_be_right_and_the_reason_says_when_it_was() {
    let ca = Ca::new("Public CA");
    let now = OffsetDateTime::now_utc();
    let expired = ca.shaped_leaf(&["alpha.test"], |params| {
        params.not_after = now - Duration::minutes(1)
    });
    refused(&ca, &expired, &format!("expired on {}", now.date()));
    let future = ca.shaped_leaf(&["alpha.test"], |params| {
        params.not_before = now + Duration::days(2)
    });
    refused(&ca, &future, "not valid before");
}

#[test]
fn feat_02_a_chain_is_in_doubt_when_its_first_certificate_has_ended_and_one_without_end_never() {
    let ca = Ca::new("Public CA");
    let now = OffsetDateTime::now_utc();
    let day = |day: i64| now.replace_nanosecond(0).unwrap() + Duration::days(day);
    let middle = ca.intermediate("Middle", |params| params.not_after = day(3));
    let leaf = middle.shaped_leaf(&["alpha.test"], |params| params.not_after = day(9));
    let chain = PeerChain::new(&[leaf.certificate, middle.certificate]);
    let second = Duration::seconds(1);
    assert_eq!(chain.next_expiry(now), Some(day(3) + second));
    assert_eq!(chain.next_expiry(day(4)), Some(day(9) + second));
    assert_eq!(chain.next_expiry(day(10)), None);

    // RFC 5280 §4.1.2.5: 99991231235959Z, which no clock can count beyond.
    let forever = ca.shaped_leaf(&["alpha.test"], |params| {
        params.not_after = rcgen::date_time_ymd(9999, 12, 31) + Duration::seconds(86_399);
    });
    judge(&ca, &forever.chain()).unwrap();
    assert!(forever.chain().next_expiry(now).unwrap() > day(100));
}

#[test]
fn v08_another_name_is_refused_and_the_names_that_stand_there_are_told() {
    let ca = Ca::new("Public CA");
    refused(
        &ca,
        &ca.leaf(&["beta.test"]),
        "not valid for alpha.test: it names beta.test",
    );
    refused(
        &ca,
        &ca.leaf(&["conference.alpha.test"]),
        "not valid for alpha.test",
    );
    refused(
        &ca,
        &ca.leaf(&["*.alpha.test"]),
        "not valid for alpha.test: it names *.alpha.test",
    );
}

#[test]
fn id_04_a_wildcard_stands_for_one_label() {
    let ca = Ca::new("Public CA");
    let wildcard = ca.leaf(&["*.alpha.test"]).chain();
    let judge = |name: &str| {
        wildcard.proves(
            &ca.anchors(),
            &Lists::default(),
            &domain(name),
            UnixTime::now(),
        )
    };
    judge("conference.alpha.test").unwrap();
    judge("a.b.alpha.test").unwrap_err();
}

#[test]
fn v08_an_end_entity_that_is_an_authority_is_refused() {
    let ca = Ca::new("Public CA");
    let leaf = ca.shaped_leaf(&["alpha.test"], |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)
    });
    refused(&ca, &leaf, "CA=true");
}

#[test]
fn v08_a_leaf_cannot_act_as_an_authority() {
    let ca = Ca::new("Public CA");
    let middle = ca.intermediate("Middle", |params| params.is_ca = IsCa::ExplicitNoCa);
    let leaf = middle.leaf(&["alpha.test"]);
    let chain = PeerChain::new(&[leaf.certificate, middle.certificate]);
    judge(&ca, &chain).unwrap_err();
}

#[test]
fn v08_name_constraints_of_an_intermediate_hold() {
    let ca = Ca::new("Public CA");
    let middle = ca.intermediate("Middle", |params| {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("beta.test".to_owned())],
            excluded_subtrees: vec![],
        });
    });
    let leaf = middle.leaf(&["alpha.test"]);
    let chain = PeerChain::new(&[leaf.certificate, middle.certificate]);
    let reason = judge(&ca, &chain).unwrap_err();
    assert!(reason.contains("name constraints"), "{reason}");
}

#[test]
fn v08_intermediates_are_followed_and_a_missing_one_is_told() {
    let ca = Ca::new("Public CA");
    let middle = ca.intermediate("Middle", |_| {});
    let leaf = middle.leaf(&["alpha.test"]);
    refused(&ca, &leaf, "no intermediate certificate was sent");
    judge(
        &ca,
        &PeerChain::new(&[leaf.certificate, middle.certificate]),
    )
    .unwrap();
}

#[test]
fn v08_an_unknown_critical_extension_is_refused() {
    let ca = Ca::new("Public CA");
    let leaf = ca.shaped_leaf(&["alpha.test"], |params| {
        let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
        extension.set_criticality(true);
        params.custom_extensions = vec![extension];
    });
    judge(&ca, &leaf.chain()).unwrap_err();
}

#[test]
fn v08_a_common_name_proves_nothing() {
    let ca = Ca::new("Public CA");
    let leaf = ca.shaped_leaf(&[], |params| {
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "alpha.test");
    });
    refused(&ca, &leaf, "it names no domain");
}

#[test]
fn v09_long_chains_and_bytes_that_are_no_certificates_are_refused_before_path_building() {
    let ca = Ca::new("Public CA");
    let leaf = ca.leaf(&["alpha.test"]);
    let mut many = vec![leaf.certificate.clone()];
    many.extend(std::iter::repeat_n(ca.certificate.clone(), 10));
    let reason = judge(&ca, &PeerChain::new(&many)).unwrap_err();
    assert!(reason.contains("too long"), "{reason}");
    let big = PeerChain::new(&[leaf.certificate.clone(), vec![0; 64 * 1024].into()]);
    let reason = judge(&ca, &big).unwrap_err();
    assert!(reason.contains("too long"), "{reason}");
    let reason = judge(&ca, &PeerChain::new(&[vec![0x30, 0x80, 1].into()])).unwrap_err();
    assert!(reason.contains("cannot be read"), "{reason}");
}

/// Every intermediate of one name could have issued every other: the paths are many.
fn explosion(names: &[&str]) -> (Ca, PeerChain) {
    let twins: Vec<_> = names
        .iter()
        .zip(names.iter().cycle().skip(1))
        .map(|(name, issuer)| Ca::new(issuer).intermediate(name, |_| {}))
        .collect();
    let leaf = twins.first().unwrap().leaf(&["alpha.test"]);
    let mut chain = vec![leaf.certificate];
    chain.extend(twins.into_iter().map(|twin| twin.certificate));
    (Ca::new("Loop"), PeerChain::new(&chain))
}

#[test]
fn v09_a_chain_made_to_explode_is_refused_before_path_building() {
    let (root, chain) = explosion(&["A"; 9]);
    let reason = judge(&root, &chain).unwrap_err();
    assert!(reason.contains("many authorities of one name"), "{reason}");
}

#[test]
fn v09_the_worst_chain_that_is_looked_at_costs_little() {
    for names in [
        ["A", "A", "A", "B", "B", "B", "C", "C", "C"],
        ["A", "B", "C", "A", "B", "C", "A", "B", "C"],
    ] {
        let (root, chain) = explosion(&names);
        let began = std::time::Instant::now();
        judge(&root, &chain).unwrap_err();
        assert!(
            began.elapsed() < std::time::Duration::from_millis(500),
            "{:?}",
            began.elapsed()
        );
    }
}

proptest! {
    #[test]
    fn v08_a_chain_with_any_byte_changed_proves_nothing_and_brings_nothing_down(
        changes in vec((any::<Index>(), any::<u8>()), 1..4),
        which in 0..2_usize,
    ) {
        static CHAIN: LazyLock<(Ca, [CertificateDer<'static>; 2])> = LazyLock::new(|| {
            let ca = Ca::new("Public CA");
            let middle = ca.intermediate("Middle", |_| {});
            let leaf = middle.leaf(&["alpha.test"]);
            (ca, [leaf.certificate, middle.certificate])
        });
        let (ca, good) = &*CHAIN;
        let mut chain = good.clone();
        let mut der = chain[which].to_vec();
        for (at, byte) in changes {
            let at = at.index(der.len());
            der[at] = byte;
        }
        chain[which] = der.into();
        let chain_is_good = chain == *good;
        let peer = PeerChain::new(&chain);
        prop_assert_eq!(judge(ca, &peer).is_ok(), chain_is_good);
        let _ = peer.next_expiry(OffsetDateTime::now_utc());
        let _ = peer.is_pinned(&[]);
    }
}

#[test]
fn a_reason_carries_no_control_characters_of_the_peer() {
    let ca = Ca::new("Evil\r\n\u{1b}[31mCA");
    let reason = judge(&Ca::new("Public CA"), &ca.leaf(&["alpha.test"]).chain()).unwrap_err();
    assert!(!reason.contains(char::is_control), "{reason:?}");
}
