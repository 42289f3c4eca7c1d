//! Revocation lists: what they refuse, what doubt means, and which files are no lists.

use std::fs;
use std::path::PathBuf;

use rcgen::SerialNumber;
use time::{Duration, OffsetDateTime};

use super::pki::{Ca, House, Leaf, domain, write};
use crate::config::Revocation;
use crate::tls::{Problem, Revocations, Side, Tls, Unproven};
use portcullis_xmpp::error::StreamCondition;

/// A certificate for alpha.test with this serial number.
fn numbered(ca: &Ca, serial: u64) -> Leaf {
    ca.shaped_leaf(&["alpha.test"], |params| {
        params.serial_number = Some(SerialNumber::from(serial));
    })
}

fn list(house: &House, name: &str, pem: &str) -> PathBuf {
    write(&house.dir.path().join(name), pem)
}

fn judge(tls: &Tls, leaf: &Leaf) -> Result<(), Unproven> {
    tls.judge(Side::Federation, None, &leaf.chain(), &domain("alpha.test"))
        .map(drop)
}

fn refused(tls: &Tls, leaf: &Leaf, because: &str) -> Unproven {
    let unproven = judge(tls, leaf).unwrap_err();
    assert!(unproven.reason().contains(because), "{unproven}");
    unproven
}

/// A house whose lists are these, with what doubt means.
fn with_lists(doubt: Revocation, lists: impl FnOnce(&House) -> Vec<PathBuf>) -> (House, Tls) {
    let mut house = House::new();
    house.settings.crls = lists(&house);
    house.settings.revocation = doubt;
    let tls = house.tls();
    (house, tls)
}

#[test]
fn id_07_a_revoked_certificate_is_refused_and_a_stream_with_it_is_reset() {
    let (house, tls) = with_lists(Revocation::Soft, |house| {
        let pem = house.public.list(&[7, 8]).pem().unwrap();
        vec![list(house, "public.crl.pem", &pem)]
    });
    let unproven = refused(&tls, &numbered(&house.public, 7), "was revoked");
    assert_eq!(unproven.condition(), StreamCondition::Reset);
    refused(&tls, &numbered(&house.public, 8), "was revoked");
    judge(&tls, &numbered(&house.public, 9)).unwrap();
}

#[test]
fn the_lists_of_one_side_say_nothing_on_the_other() {
    let mut house = House::new();
    let pem = house.public.list(&[7]).pem().unwrap();
    house.settings.internal_crls = vec![list(&house, "public.crl.pem", &pem)];
    judge(&house.tls(), &numbered(&house.public, 7)).unwrap();
}

#[test]
fn lists_are_read_from_der_and_from_pem_with_several_and_the_newest_counts() {
    let now = OffsetDateTime::now_utc();
    let other = Ca::new("Other CA");
    let (house, tls) = with_lists(Revocation::Soft, |house| {
        let public = &house.public;
        let old = public.dated_list(&[7], now - Duration::days(3), now + Duration::days(3));
        let new = public.dated_list(&[8], now - Duration::days(1), now + Duration::days(6));
        let both = format!("{}{}", old.pem().unwrap(), other.list(&[9]).pem().unwrap());
        let der = house.dir.path().join("new.crl");
        fs::write(&der, new.der()).unwrap();
        vec![list(house, "both.crl.pem", &both), der]
    });
    refused(&tls, &numbered(&house.public, 8), "was revoked");
    judge(&tls, &numbered(&house.public, 7)).unwrap();
    judge(&tls, &numbered(&house.public, 9)).unwrap();
}

#[test]
fn an_expired_list_is_a_warning_and_soft_still_revokes_while_hard_refuses() {
    let now = OffsetDateTime::now_utc();
    for doubt in [Revocation::Soft, Revocation::Hard] {
        let (house, tls) = with_lists(doubt, |house| {
            let public = &house.public;
            let old = public.dated_list(&[7], now - Duration::days(9), now - Duration::days(2));
            vec![list(house, "public.crl.pem", &old.pem().unwrap())]
        });
        let told: Vec<_> = tls.warnings().iter().map(Problem::to_string).collect();
        let meaning = match doubt {
            Revocation::Soft => {
                refused(&tls, &numbered(&house.public, 7), "was revoked");
                judge(&tls, &numbered(&house.public, 9)).unwrap();
                "nothing newer is known"
            }
            Revocation::Hard => {
                let unproven = refused(&tls, &numbered(&house.public, 9), "revocation list");
                assert!(unproven.reason().contains("expired on"), "{unproven}");
                assert_eq!(unproven.condition(), StreamCondition::Reset);
                "what it should cover is refused"
            }
        };
        let [warning] = &told[..] else {
            panic!("{told:?}")
        };
        for part in ["public.crl.pem", "CN=Public CA", "expired on", meaning] {
            assert!(warning.contains(part), "{warning}");
        }
    }
}

#[test]
fn hard_refuses_what_no_list_covers() {
    let (house, tls) = with_lists(Revocation::Hard, |house| {
        let pem = Ca::new("Other CA").list(&[]).pem().unwrap();
        vec![list(house, "other.crl.pem", &pem)]
    });
    refused(&tls, &numbered(&house.public, 9), "no revocation list");
}

#[test]
fn hard_looks_at_the_chain_again_when_a_list_expires() {
    let now = OffsetDateTime::now_utc();
    let next = |doubt| {
        let (house, tls) = with_lists(doubt, |house| {
            let public = &house.public;
            let short = public.dated_list(&[], now - Duration::days(1), now + Duration::hours(1));
            vec![list(house, "public.crl.pem", &short.pem().unwrap())]
        });
        let chain = numbered(&house.public, 9).chain();
        tls.next_doubt(Side::Federation, &chain, now).unwrap() - now
    };
    assert!(next(Revocation::Hard) <= Duration::hours(1));
    assert!(next(Revocation::Soft) > Duration::days(80));
}

#[test]
fn a_list_that_somebody_else_signed_in_the_authoritys_name_lets_nobody_in() {
    let (house, tls) = with_lists(Revocation::Soft, |house| {
        let pem = Ca::new("Public CA").list(&[]).pem().unwrap();
        vec![list(house, "forged.crl.pem", &pem)]
    });
    refused(&tls, &numbered(&house.public, 9), "not signed by");
}

#[test]
fn what_is_no_list_is_told_file_by_file() {
    let mut house = House::new();
    let cut = house.public.list(&[7]).der().to_vec();
    let half = house.dir.path().join("half.crl");
    fs::write(&half, cut.get(..cut.len() / 2).unwrap()).unwrap();
    house.settings.crls = vec![
        list(&house, "empty.crl.pem", ""),
        list(&house, "certificate.pem", &house.public.pem),
        house.dir.path().join("missing.crl.pem"),
        half,
    ];
    let told: Vec<_> = Tls::load(house.settings.clone())
        .unwrap_err()
        .iter()
        .map(Problem::to_string)
        .collect();
    for (part, problem) in [
        "empty.crl.pem: holds no revocation list",
        "certificate.pem: holds no revocation list",
        "missing.crl.pem: cannot be read",
        "half.crl: holds a revocation list that cannot be used",
    ]
    .iter()
    .zip(&told)
    {
        assert!(problem.contains(part), "{problem}");
    }
    assert_eq!(told.len(), 4);
}

#[test]
fn a_list_is_read_again_when_its_file_changes_and_a_broken_one_changes_nothing() {
    let (house, tls) = with_lists(Revocation::Soft, |house| {
        let pem = house.public.list(&[]).pem().unwrap();
        vec![list(house, "public.crl.pem", &pem)]
    });
    let file = house.dir.path().join("public.crl.pem");
    let partner = numbered(&house.public, 7);
    judge(&tls, &partner).unwrap();
    assert!(tls.files().contains(&file));
    assert!(tls.revocations().changed_files().is_empty());

    write(&file, "no list");
    assert_eq!(
        tls.revocations().changed_files(),
        std::slice::from_ref(&file)
    );
    tls.revocations().again().unwrap_err();
    judge(&tls, &partner).unwrap();

    write(&file, &house.public.list(&[7]).pem().unwrap());
    let again: Revocations = tls.revocations().again().unwrap();
    tls.set_revocations(again);
    refused(&tls, &partner, "was revoked");
    assert!(tls.revocations().changed_files().is_empty());
}
