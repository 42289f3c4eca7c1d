//! Which servers a domain names, and in which order they are tried (RFC 2782, XEP-0368).
//!
//! Pure: answers in, a plan out. `_xmpps-server` and `_xmpp-server` are one set, ordered by priority
//! and weight together; which of the two a record came from only says how TLS begins.

use hickory_resolver::proto::rr::Name;
use portcullis_xmpp::stream::TlsMode;

/// What one SRV question brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Records with targets.
    Records(Vec<Record>),
    /// A record whose target is the root: "decidedly not available" (RFC 2782).
    NotAvailable,
    /// The name, or records of this type, do not exist.
    Nothing,
    /// Nobody answered in time.
    Silence,
    /// An answer that cannot be used: SERVFAIL, REFUSED, bogus DNSSEC behind a validating resolver.
    Broken(String),
}

/// One SRV record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) priority: u16,
    pub(super) weight: u16,
    pub(super) port: u16,
    pub(super) target: Name,
    pub(super) mode: TlsMode,
}

/// What follows from both answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// Try these, in this order.
    Targets(Vec<Record>),
    /// Try the domain's own addresses on the default port, with STARTTLS (RFC 6120 §3.2.2).
    Fallback,
    /// The domain offers no federation, and says so.
    NotOffered,
    /// Nothing can be known now.
    Unknown(String),
}

/// DNS-01 and DNS-02: `direct` is the answer for `_xmpps-server`, `starttls` for `_xmpp-server`.
pub(super) fn plan(direct: Answer, starttls: Answer, random: impl FnMut(u32) -> u32) -> Plan {
    use Answer as A;
    match (direct, starttls) {
        (A::Records(mut records), A::Records(more)) => {
            records.extend(more);
            Plan::Targets(ordered(records, random))
        }
        (A::Records(records), _) | (_, A::Records(records)) => {
            Plan::Targets(ordered(records, random))
        }
        // XEP-0368 §5: one service that is not offered says nothing of the other, but that the
        // domain's own addresses are no place to look.
        (A::NotAvailable, A::NotAvailable | A::Nothing) | (A::Nothing, A::NotAvailable) => {
            Plan::NotOffered
        }
        (A::NotAvailable, A::Silence) | (A::Silence, A::NotAvailable) => {
            Plan::Unknown("DNS does not answer".to_owned())
        }
        (A::Broken(reason), _) | (_, A::Broken(reason)) => Plan::Unknown(reason),
        (A::Nothing | A::Silence, A::Nothing | A::Silence) => Plan::Fallback,
    }
}

/// RFC 2782: by priority; within one priority drawn by weight.
fn ordered(mut records: Vec<Record>, mut random: impl FnMut(u32) -> u32) -> Vec<Record> {
    // Weight 0 first within a priority, so that it is drawn only when the lot falls on 0.
    records.sort_by_key(|record| (record.priority, record.weight));
    let mut ordered = Vec::with_capacity(records.len());
    while let Some(priority) = records.first().map(|record| record.priority) {
        let same = records
            .iter()
            .take_while(|record| record.priority == priority);
        let total: u32 = same.clone().map(|record| u32::from(record.weight)).sum();
        let lot = random(total);
        let mut sum = 0;
        let drawn = same
            .map(|record| {
                sum += u32::from(record.weight);
                sum
            })
            .position(|sum| sum >= lot)
            .unwrap_or_default();
        ordered.push(records.remove(drawn));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(priority: u16, weight: u16, target: &str, mode: TlsMode) -> Record {
        Record {
            priority,
            weight,
            port: 5269,
            target: Name::from_ascii(target).unwrap(),
            mode,
        }
    }

    fn starttls(priority: u16, weight: u16, target: &str) -> Record {
        record(priority, weight, target, TlsMode::StartTls)
    }

    /// A small generator with a known seed, so that a failure can be repeated.
    fn seeded(seed: u64) -> impl FnMut(u32) -> u32 {
        let mut state = seed | 1;
        move |bound| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            u32::try_from(state % (u64::from(bound) + 1)).unwrap()
        }
    }

    #[test]
    fn dns_01_the_order_is_a_permutation_by_priority_for_any_records() {
        let mut draw = seeded(7);
        for seed in 0..500 {
            let count = draw(20);
            let records: Vec<_> = (0..count)
                .map(|i| {
                    let (priority, weight) = (draw(4) as u16, draw(3) as u16 * 20_000);
                    starttls(priority, weight, &format!("h{i}.test."))
                })
                .collect();
            let ordered = ordered(records.clone(), seeded(seed));
            assert!(ordered.is_sorted_by_key(|record| record.priority));
            assert_eq!(ordered.len(), records.len());
            assert!(records.iter().all(|record| ordered.contains(record)));
        }
    }

    #[test]
    fn dns_01_within_a_priority_weight_decides_the_chance() {
        let records = vec![
            starttls(0, 0, "zero."),
            starttls(0, 10, "ten."),
            starttls(0, 30, "thirty."),
        ];
        let mut draw = seeded(42);
        let mut firsts = std::collections::BTreeMap::<String, u32>::new();
        for _ in 0..4000 {
            let first = ordered(records.clone(), &mut draw).remove(0);
            *firsts.entry(first.target.to_string()).or_default() += 1;
        }
        let share = |name: &str| firsts.get(name).copied().unwrap_or_default();
        assert!((2700..3300).contains(&share("thirty.")), "{firsts:?}");
        assert!((700..1300).contains(&share("ten.")), "{firsts:?}");
        assert!((1..400).contains(&share("zero.")), "{firsts:?}");
    }

    #[test]
    fn dns_02_both_services_are_one_set() {
        let direct = Answer::Records(vec![
            record(5, 0, "b.test.", TlsMode::Direct),
            record(20, 0, "d.test.", TlsMode::Direct),
        ]);
        let plain = Answer::Records(vec![starttls(0, 0, "a.test."), starttls(10, 0, "c.test.")]);
        let Plan::Targets(targets) = plan(direct, plain, seeded(1)) else {
            panic!("no targets")
        };
        let order: Vec<_> = targets
            .iter()
            .map(|t| (t.target.to_string(), t.mode))
            .collect();
        assert_eq!(
            order,
            [
                ("a.test.".to_owned(), TlsMode::StartTls),
                ("b.test.".to_owned(), TlsMode::Direct),
                ("c.test.".to_owned(), TlsMode::StartTls),
                ("d.test.".to_owned(), TlsMode::Direct),
            ]
        );
    }

    #[test]
    fn dns_01_02_what_follows_from_each_pair_of_answers() {
        use Answer as A;
        let records = || A::Records(vec![starttls(0, 0, "a.test.")]);
        let targets = Plan::Targets(vec![starttls(0, 0, "a.test.")]);
        let broken = || A::Broken("SERVFAIL".to_owned());
        let unknown = Plan::Unknown("SERVFAIL".to_owned());
        let silent = Plan::Unknown("DNS does not answer".to_owned());
        let cases = [
            (A::NotAvailable, records(), targets.clone()),
            (A::Silence, records(), targets.clone()),
            (broken(), records(), targets.clone()),
            (A::NotAvailable, A::Nothing, Plan::NotOffered),
            (A::Nothing, A::NotAvailable, Plan::NotOffered),
            (A::NotAvailable, A::NotAvailable, Plan::NotOffered),
            (A::NotAvailable, A::Silence, silent.clone()),
            (A::Silence, A::NotAvailable, silent),
            (A::NotAvailable, broken(), unknown.clone()),
            (broken(), A::NotAvailable, unknown.clone()),
            (records(), A::NotAvailable, targets.clone()),
            (records(), broken(), targets.clone()),
            (A::Nothing, A::Nothing, Plan::Fallback),
            (A::Nothing, A::Silence, Plan::Fallback),
            (A::Silence, A::Silence, Plan::Fallback),
            (A::Nothing, broken(), unknown.clone()),
            (broken(), A::Nothing, unknown),
        ];
        for (direct, plain, expected) in cases {
            let case = format!("{direct:?} {plain:?}");
            assert_eq!(plan(direct, plain, seeded(1)), expected, "{case}");
        }
    }
}
