//! What DNSSEC says about the certificate of a server (RFC 6698, RFC 7671, RFC 7673).
//!
//! In: TLSA records that DNSSEC vouches for. Out: those among them that can be held against a
//! certificate. Whether one matches is decided in `prove::dane`.

use std::collections::HashSet;
use std::sync::Arc;

use hickory_resolver::proto::rr::rdata::TLSA;
use hickory_resolver::proto::rr::rdata::tlsa::{
    CertUsage, Matching as RawMatching, Selector as RawSelector,
};
use portcullis_xmpp::jid::Domain;

/// More records than any server has keys and authorities, rollovers included.
const MOST_RECORDS: usize = 16;
/// The largest certificate that is looked for inside a record.
const MOST_BYTES: usize = 16 * 1024;

/// The TLSA records that count for a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Tlsa {
    /// Not asked for: the partner's record does not want DANE, or the operator named the place.
    #[default]
    NotAsked,
    /// There is nothing to hold a certificate against, and DNSSEC does not say that there should
    /// be; why.
    Absent(Arc<str>),
    /// At least one. The connection must be encrypted, and the certificate must match one.
    Records(Arc<[Association]>),
}

impl Tlsa {
    pub(super) fn absent(why: impl Into<Arc<str>>) -> Self {
        Self::Absent(why.into())
    }

    /// The usable ones among `records` of `host`.
    pub(super) fn of<'a>(records: impl Iterator<Item = &'a TLSA>, host: &str, port: u16) -> Self {
        let associations = usable(records, Domain::parse(host).ok().as_ref());
        if associations.is_empty() {
            return Self::absent(format!(
                "no TLSA record of {host} port {port} is of a kind that is known here"
            ));
        }
        Self::Records(associations.into())
    }
}

/// One usable TLSA record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Association {
    /// What the record says about a certificate that matches.
    pub usage: Usage,
    /// Which part of a certificate is compared.
    pub selector: Selector,
    /// How it is compared.
    pub matching: Matching,
    /// What it is compared with.
    pub data: Arc<[u8]>,
    /// The server that the record belongs to: one of the names that a certificate may have (RFC
    /// 7673 §4).
    pub host: Option<Domain>,
}

/// RFC 7218 has the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Usage {
    /// 0: an authority, and PKIX must agree.
    PkixTa,
    /// 1: the server's own certificate, and PKIX must agree.
    PkixEe,
    /// 2: an authority, whatever PKIX says.
    DaneTa,
    /// 3: the server's own certificate, whatever PKIX says and whatever it names.
    DaneEe,
}

/// Which part of a certificate is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Selector {
    /// 0: all of it.
    Certificate,
    /// 1: its SubjectPublicKeyInfo.
    PublicKey,
}

/// How the selected part is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Matching {
    /// 0: as it is.
    Exact,
    /// 1
    Sha256,
    /// 2
    Sha512,
}

impl Association {
    fn of(record: &TLSA, host: Option<&Domain>) -> Option<Self> {
        let usage = match record.cert_usage {
            CertUsage::PkixTa => Usage::PkixTa,
            CertUsage::PkixEe => Usage::PkixEe,
            CertUsage::DaneTa => Usage::DaneTa,
            CertUsage::DaneEe => Usage::DaneEe,
            _ => return None,
        };
        let selector = match record.selector {
            RawSelector::Full => Selector::Certificate,
            RawSelector::Spki => Selector::PublicKey,
            _ => return None,
        };
        let (matching, lengths) = match record.matching {
            RawMatching::Raw => (Matching::Exact, 1..=MOST_BYTES),
            RawMatching::Sha256 => (Matching::Sha256, 32..=32),
            RawMatching::Sha512 => (Matching::Sha512, 64..=64),
            _ => return None,
        };
        lengths.contains(&record.cert_data.len()).then(|| Self {
            usage,
            selector,
            matching,
            data: record.cert_data.as_slice().into(),
            host: host.cloned(),
        })
    }
}

/// RFC 7671 §9, digest agility: of two digests for one usage and selector the stronger counts, so
/// that a broken one can be published beside it without harm.
fn usable<'a>(records: impl Iterator<Item = &'a TLSA>, host: Option<&Domain>) -> Vec<Association> {
    let mut associations: Vec<_> = records
        .take(MOST_RECORDS)
        .filter_map(|record| Association::of(record, host))
        .collect();
    let strong: HashSet<_> = associations
        .iter()
        .filter(|association| association.matching == Matching::Sha512)
        .map(|association| (association.usage, association.selector))
        .collect();
    associations.retain(|association| {
        association.matching != Matching::Sha256
            || !strong.contains(&(association.usage, association.selector))
    });
    associations
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(usage: u8, selector: u8, matching: u8, bytes: usize) -> TLSA {
        TLSA::new(
            usage.into(),
            selector.into(),
            matching.into(),
            vec![7; bytes],
        )
    }

    #[test]
    fn dane_01_only_records_that_can_be_held_against_a_certificate_count() {
        let usable_ones = [(3, 1, 1, 32), (2, 0, 2, 64), (0, 0, 0, 700), (1, 1, 0, 91)];
        for (usage, selector, matching, bytes) in usable_ones {
            let records = [record(usage, selector, matching, bytes)];
            assert!(
                matches!(Tlsa::of(records.iter(), "a.test", 5269), Tlsa::Records(all) if all.len() == 1),
                "{usage} {selector} {matching} {bytes}"
            );
        }
        let others = [
            (4, 1, 1, 32),
            (255, 1, 1, 32),
            (3, 2, 1, 32),
            (3, 1, 3, 32),
            (3, 1, 1, 31),
            (3, 1, 1, 64),
            (3, 1, 2, 32),
            (3, 1, 0, 0),
            (3, 1, 0, MOST_BYTES + 1),
        ];
        for (usage, selector, matching, bytes) in others {
            let records = [record(usage, selector, matching, bytes)];
            assert!(
                matches!(Tlsa::of(records.iter(), "a.test", 5269), Tlsa::Absent(_)),
                "{usage} {selector} {matching} {bytes}"
            );
        }
    }

    #[test]
    fn dane_01_the_stronger_digest_of_one_kind_counts_alone() {
        let records = [
            record(3, 1, 1, 32),
            record(3, 1, 2, 64),
            record(2, 1, 1, 32),
            record(3, 1, 0, 91),
        ];
        let Tlsa::Records(all) = Tlsa::of(records.iter(), "a.test", 5269) else {
            panic!("none")
        };
        let kinds: Vec<_> = all.iter().map(|one| (one.usage, one.matching)).collect();
        assert_eq!(
            kinds,
            [
                (Usage::DaneEe, Matching::Sha512),
                (Usage::DaneTa, Matching::Sha256),
                (Usage::DaneEe, Matching::Exact),
            ]
        );
    }

    proptest! {
        #[test]
        fn dane_01_any_records_yield_few_associations_of_the_right_length(
            all in prop::collection::vec((any::<u8>(), any::<u8>(), any::<u8>(), 0..80_usize), 0..40)
        ) {
            let records: Vec<_> = all.iter().map(|(u, s, m, n)| record(*u, *s, *m, *n)).collect();
            if let Tlsa::Records(all) = Tlsa::of(records.iter(), "a.test", 5269) {
                prop_assert!(!all.is_empty() && all.len() <= MOST_RECORDS);
                for one in all.iter() {
                    match one.matching {
                        Matching::Exact => prop_assert!(!one.data.is_empty()),
                        Matching::Sha256 => prop_assert_eq!(one.data.len(), 32),
                        Matching::Sha512 => prop_assert_eq!(one.data.len(), 64),
                    }
                }
            }
        }
    }
}
