//! Chains that are remembered: the answer is the one that judging anew gives, whatever has changed.

use std::sync::Arc;

use portcullis_xmpp::identity::Names;
use proptest::prelude::*;
use rcgen::SerialNumber;
use rustls::pki_types::UnixTime;
use time::{Duration, OffsetDateTime};

use super::pki::{Ca, House, domain, write};
use crate::config::Revocation;
use crate::tls::known::{Beliefs, Known, Measure};
use crate::tls::{PeerChain, Revocations, Side, Tls, Trust, Unproven};

fn beliefs(tls: &Tls) -> Beliefs {
    Beliefs {
        trust: tls.trust.load_full(),
        revocations: tls.revocations(),
    }
}

fn measure(beliefs: &Beliefs, side: Side) -> Measure<'_> {
    Measure {
        beliefs,
        anchors: beliefs.trust.anchors(side),
        side,
    }
}

/// What judging without any memory says.
fn anew(beliefs: &Beliefs, chain: &PeerChain, now: OffsetDateTime) -> Result<Names, Unproven> {
    let by = measure(beliefs, Side::Federation);
    let lists = beliefs.revocations.of(Side::Federation);
    let seconds = u64::try_from(now.unix_timestamp()).unwrap();
    let at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
    chain.names(by.anchors, lists, at)
}

/// Whether it is the very answer of the time before, and not a new one.
fn is_remembered(known: &Known, by: Measure<'_>, chain: &PeerChain, now: OffsetDateTime) -> bool {
    let [first, second] = [(); 2].map(|()| known.names(by, chain, now).unwrap());
    Arc::ptr_eq(&first, &second)
}

/// The same certificates, as another connection brings them.
fn again(chain: &PeerChain) -> PeerChain {
    PeerChain::new(chain.certificates())
}

#[test]
fn who_comes_again_with_the_same_chain_is_known_and_what_it_says_is_not_read_again() {
    let house = House::new();
    let (tls, known, now) = (house.tls(), Known::default(), OffsetDateTime::now_utc());
    let beliefs = beliefs(&tls);
    let by = measure(&beliefs, Side::Federation);
    let chain = house.public.leaf(&["alpha.test"]).chain();
    let first = known.names(by, &chain, now).unwrap();
    let same = again(&chain);
    assert!(Arc::ptr_eq(&first, &known.names(by, &same, now).unwrap()));
    assert!(Arc::ptr_eq(chain.said(), same.said()));

    let other = house.public.leaf(&["alpha.test"]).chain();
    assert!(!Arc::ptr_eq(&first, &known.names(by, &other, now).unwrap()));
}

#[test]
fn a_known_chain_is_asked_each_time_whether_it_names_the_domain() {
    let house = House::new();
    let tls = house.tls();
    let chain = house.public.leaf(&["alpha.test"]).chain();
    let judge = |name| tls.judge(Side::Federation, None, &again(&chain), &domain(name));
    judge("alpha.test").unwrap();
    judge("beta.test").unwrap_err();
    judge("alpha.test").unwrap();
}

#[test]
fn what_one_side_has_found_good_is_unknown_to_the_other() {
    let house = House::new();
    let tls = house.tls();
    let chain = house.public.leaf(&["alpha.test"]).chain();
    let judge = |side| tls.judge(side, None, &again(&chain), &domain("alpha.test"));
    judge(Side::Federation).unwrap();
    judge(Side::Internal).unwrap_err();
    judge(Side::Federation).unwrap();
}

#[test]
fn whoever_is_believed_no_more_makes_known_chains_unknown() {
    let house = House::new();
    let tls = house.tls();
    let chain = house.public.leaf(&["alpha.test"]).chain();
    let judge = || {
        tls.judge(
            Side::Federation,
            None,
            &again(&chain),
            &domain("alpha.test"),
        )
    };
    judge().unwrap();
    let mut settings = house.settings.clone();
    let file = write(&house.dir.path().join("other.pem"), &Ca::new("Other").pem);
    settings.trust = vec![crate::config::Trust::File(file)];
    let trusted: Trust = tls.trust();
    tls.set_trust(Tls::load_trust(&settings).unwrap());
    judge().unwrap_err();
    tls.set_trust(trusted);
    judge().unwrap();
}

#[test]
fn id_07_a_known_chain_that_is_revoked_is_refused() {
    let mut house = House::new();
    let list = |house: &House, serials: &[u64]| {
        let pem = house.public.list(serials).pem().unwrap();
        write(&house.dir.path().join("public.crl.pem"), &pem)
    };
    house.settings.crls = vec![list(&house, &[])];
    let tls = house.tls();
    let leaf = (house.public).shaped_leaf(&["alpha.test"], |params| {
        params.serial_number = Some(SerialNumber::from(7));
    });
    let judge = || tls.judge(Side::Federation, None, &leaf.chain(), &domain("alpha.test"));
    judge().unwrap();
    judge().unwrap();
    list(&house, &[7]);
    let lists: Revocations = tls.revocations().again().unwrap();
    tls.set_revocations(lists);
    assert!(judge().unwrap_err().reason().contains("was revoked"));
}

#[test]
fn a_clock_that_is_set_back_asks_anew() {
    let house = House::new();
    let (tls, known, now) = (house.tls(), Known::default(), OffsetDateTime::now_utc());
    let beliefs = beliefs(&tls);
    let by = measure(&beliefs, Side::Federation);
    let chain = house.public.leaf(&["alpha.test"]).chain();
    known.names(by, &chain, now).unwrap();
    known
        .names(by, &chain, now - Duration::days(1))
        .unwrap_err();
}

#[test]
fn a_chain_with_something_unreadable_in_it_is_never_remembered() {
    let house = House::new();
    let (tls, known, now) = (house.tls(), Known::default(), OffsetDateTime::now_utc());
    let beliefs = beliefs(&tls);
    let by = measure(&beliefs, Side::Federation);
    let leaf = house.public.leaf(&["alpha.test"]);
    let plain = leaf.chain();
    let odd = PeerChain::new(&[leaf.certificate, vec![0x30, 0x80, 1].into()]);
    assert!(is_remembered(&known, by, &plain, now));
    assert!(!is_remembered(&known, by, &odd, now));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Certificates and lists begin and end at any time, and are asked about at any time, in any order.
    #[test]
    fn an_answer_from_memory_is_the_one_that_judging_anew_gives(
        leaf in (-20..20_i64, 1..30_i64),
        one in (-20..20_i64, 1..30_i64),
        other in (-20..20_i64, 1..30_i64),
        list in (-20..20_i64, 1..30_i64),
        doubt in prop_oneof![Just(Revocation::Soft), Just(Revocation::Hard)],
        asked in prop::collection::vec((-25..55_i64, -1..=1_i64), 1..40),
    ) {
        let now = OffsetDateTime::now_utc().replace_nanosecond(0).unwrap();
        let day = |day: i64| now + Duration::days(day);
        let mut house = House::new();
        let dated = |ca: &Ca, name: &str| {
            let made = ca.dated_list(&[], day(list.0), day(list.0 + list.1));
            write(&house.dir.path().join(name), &made.pem().unwrap())
        };
        let middle = house.public.intermediate("Middle", |params| {
            (params.not_before, params.not_after) = (day(one.0), day(one.0 + one.1));
        });
        let beside = house.public.intermediate("Beside", |params| {
            (params.not_before, params.not_after) = (day(other.0), day(other.0 + other.1));
        });
        let made = middle.shaped_leaf(&["alpha.test"], |params| {
            (params.not_before, params.not_after) = (day(leaf.0), day(leaf.0 + leaf.1));
        });
        house.settings.crls = vec![dated(&house.public, "public.crl"), dated(&middle, "middle.crl")];
        house.settings.revocation = doubt;
        let tls = house.tls();
        let (known, beliefs) = (Known::default(), beliefs(&tls));
        let by = measure(&beliefs, Side::Federation);
        let chain = PeerChain::new(&[made.certificate, middle.certificate, beside.certificate]);
        for (nth, second) in asked {
            let at = day(nth) + Duration::seconds(second);
            let remembered = known.names(by, &again(&chain), at).map(|names| Names::clone(&names));
            prop_assert_eq!(remembered, anew(&beliefs, &chain, at), "{}", at);
        }
    }
}
