//! The rules, and what holds each of them.
//!
//! In: the lists in `rules/`, and the sources of the whole workspace. Out: every rule with the tests
//! that are named for it, those that merely bear its id, and the deviations. [`Registry::faults`] is
//! what the crate's own tests demand to be empty.

mod sources;
mod table;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use self::sources::Sources;

/// How many rules each family has, numbered from 1. A rule that is taken off a list is missed here.
const FAMILIES: [(&str, usize); 24] = [
    ("STR", 15),
    ("TLS", 11),
    ("SASL", 10),
    ("FEAT", 2),
    ("ID", 12),
    ("ADR", 8),
    ("ORD", 4),
    ("XML", 9),
    ("DB", 12),
    ("BI", 5),
    ("DNS", 9),
    ("DANE", 1),
    ("POSH", 1),
    ("HM2", 1),
    ("QUIC", 1),
    ("SM", 2),
    ("PING", 2),
    ("LIM", 1),
    ("DOS", 2),
    ("PRS", 6),
    ("MSG", 8),
    ("CMP", 1),
    ("JID", 3),
    ("V", 24),
];

const LISTS: [&str; 9] = [
    include_str!("../../rules/1-stream.toml"),
    include_str!("../../rules/2-negotiation.toml"),
    include_str!("../../rules/3-identity.toml"),
    include_str!("../../rules/4-stanzas.toml"),
    include_str!("../../rules/5-xml.toml"),
    include_str!("../../rules/6-dialback.toml"),
    include_str!("../../rules/7-finding.toml"),
    include_str!("../../rules/8-living.toml"),
    include_str!("../../rules/9-attacks.toml"),
];

/// How binding a rule is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Level {
    /// The source says MUST, REQUIRED or SHALL.
    #[serde(rename = "MUST")]
    Must,
    /// The source says SHOULD or RECOMMENDED.
    #[serde(rename = "SHOULD")]
    Should,
    /// The source says MAY or OPTIONAL.
    #[serde(rename = "MAY")]
    May,
    /// A rule of Portcullis's own, or of a source that does not use these words.
    #[serde(rename = "design")]
    Design,
}

impl Level {
    /// As in the lists.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Must => "MUST",
            Self::Should => "SHOULD",
            Self::May => "MAY",
            Self::Design => "design",
        }
    }
}

/// One rule.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its id, as tests and documents cite it.
    pub id: String,
    /// How binding it is.
    pub level: Level,
    /// Where it comes from.
    pub source: String,
    /// What it says, in one line.
    pub rule: String,
    /// The tests that hold it: `file::name` of this crate's tests, or `path/of/file.rs::name`.
    #[serde(default)]
    pub tests: Vec<String>,
    /// How the gateway departs from it, and why.
    #[serde(default)]
    pub deviation: Option<String>,
    /// Other tests of the workspace whose names begin with the id.
    #[serde(default, skip_deserializing)]
    pub also: Vec<String>,
}

#[derive(Deserialize)]
struct List {
    rule: Vec<Rule>,
}

/// All rules, with what the sources say about them.
#[derive(Debug)]
pub struct Registry {
    /// In the order of the lists.
    pub rules: Vec<Rule>,
    sources: Sources,
}

impl Registry {
    /// Reads the lists and the sources of the workspace.
    pub fn read() -> Self {
        let sources = Sources::read();
        let lists = LISTS.iter().map(|list| toml::from_str::<List>(list));
        let mut rules: Vec<Rule> = lists.flat_map(|list| list.unwrap().rule).collect();
        for rule in &mut rules {
            rule.tests = rule.tests.iter().map(|test| whole_path(test)).collect();
            let mut bearing = sources.bearing(&prefix(&rule.id));
            bearing.retain(|test| !rule.tests.contains(test));
            rule.also = bearing;
        }
        Self { rules, sources }
    }

    /// What is wrong with the lists, one line each.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = self.missing();
        for rule in &self.rules {
            let id = &rule.id;
            if rule.tests.is_empty() && rule.deviation.is_none() {
                faults.push(format!("{id}: no test and no deviation"));
            }
            for test in &rule.tests {
                if !self.sources.has(test) {
                    faults.push(format!("{id}: there is no test {test}"));
                }
            }
            for text in [&rule.source, &rule.rule] {
                if text.trim().is_empty() || text.contains('\n') {
                    faults.push(format!("{id}: source and rule are one line each"));
                }
            }
            for test in &rule.also {
                if test.starts_with(HERE) {
                    faults.push(format!("{id}: {test} bears the id and is not named"));
                }
            }
        }
        faults
    }

    /// Rules that are not there, or more than once, or of no family.
    fn missing(&self) -> Vec<String> {
        let mut listed: BTreeMap<&str, usize> = BTreeMap::new();
        for rule in &self.rules {
            *listed.entry(&rule.id).or_default() += 1;
        }
        let mut faults = Vec::new();
        for id in wanted() {
            match listed.remove(&id[..]) {
                None => faults.push(format!("{id}: not listed")),
                Some(1) => {}
                Some(times) => faults.push(format!("{id}: listed {times} times")),
            }
        }
        faults.extend(listed.keys().map(|id| format!("{id}: of no known family")));
        faults
    }
}

/// The ids that there have to be.
fn wanted() -> Vec<String> {
    let mut ids = vec!["XEP-0361".to_owned()];
    for (family, count) in FAMILIES {
        let separator = if family == "V" { "" } else { "-" };
        ids.extend((1..=count).map(|n| format!("{family}{separator}{n:02}")));
    }
    ids
}

/// Where this crate's tests are.
const HERE: &str = "tests/conformance/tests/it/";

fn whole_path(test: &str) -> String {
    match test.split_once("::") {
        Some((file, name)) if !file.contains('.') => format!("{HERE}{file}.rs::{name}"),
        _ => test.to_owned(),
    }
}

/// How the name of a test begins that is named after this rule.
fn prefix(id: &str) -> String {
    format!("{}_", id.to_lowercase().replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_listed_and_has_tests_that_exist_or_a_reason() {
        let faults = Registry::read().faults();
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }

    #[test]
    fn a_rule_that_is_taken_off_a_list_is_missed() {
        let mut registry = Registry::read();
        registry.rules.retain(|rule| rule.id != "ADR-02");
        assert_eq!(registry.missing(), ["ADR-02: not listed"]);
        let first = registry.rules[0].clone();
        registry.rules.push(first);
        assert_eq!(registry.missing().len(), 2);
    }

    #[test]
    fn a_test_that_does_not_exist_is_a_fault() {
        let mut registry = Registry::read();
        registry.rules[0].tests = vec![whole_path("stream::str_01_of_another_world")];
        let told = registry.faults().join("\n");
        assert!(told.contains("STR-01: there is no test"), "{told}");
        registry.rules[0].tests.clear();
        let told = registry.faults().join("\n");
        assert!(told.contains("STR-01: no test and no deviation"), "{told}");
    }
}
