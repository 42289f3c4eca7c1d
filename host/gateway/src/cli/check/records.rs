//! The partner records: who federates, and where the terms are weak.

use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use super::report::Report;
use crate::{
    cli::terminal::Level,
    config::{Config, Flow, Partner},
};

/// An end that is so near is worth a word.
const SOON: Duration = Duration::days(14);

/// Tells whom the records name, and what the operator should know of them.
pub(super) fn check(config: &Config, report: &mut Report) {
    if config.partners.is_empty() {
        report.add(
            Level::Warning,
            "no partner record".to_owned(),
            Some("only domains that a plugin allows can federate".to_owned()),
        );
        return;
    }
    let shown: Vec<_> = config.partners.iter().flat_map(names).collect();
    report.ok(format!("partners: {}", shown.join(", ")));
    for partner in &config.partners {
        for (text, help) in weaknesses(partner, config) {
            report.add(Level::Warning, text, Some(help.to_owned()));
        }
    }
}

/// The domains of a record as a reader wants to see them.
fn names(partner: &Partner) -> impl Iterator<Item = String> {
    let below = match partner.subdomains {
        true => " and below",
        false => "",
    };
    let way = match partner.direction {
        Flow::Both => "",
        Flow::Inbound => " (inbound only)",
        Flow::Outbound => " (outbound only)",
    };
    (partner.domains()).map(move |domain| format!("{domain}{below}{way}"))
}

/// Where a record lets in more than its operator may think.
fn weaknesses(partner: &Partner, config: &Config) -> Vec<(String, &'static str)> {
    let domain = &partner.domain;
    let terms = partner.terms(&config.federation);
    let mut found = Vec::new();
    if terms.tcp_dialback {
        found.push((
            format!("{domain}: streams may go without TLS"),
            "everybody on the way reads and changes what is said; tls = \"required\" ends that",
        ));
    }
    if terms.tls_dialback || terms.tcp_dialback {
        found.push((
            format!("{domain}: dialback may prove its name"),
            "whoever forges its DNS speaks for it; with tls and sasl \"required\" only its certificate counts",
        ));
    }
    let now = OffsetDateTime::now_utc();
    if let Some(end) = (partner.valid_until).filter(|end| now < *end && *end - now < SOON) {
        found.push((
            format!(
                "{domain}: the record ends at {}",
                end.format(&Rfc3339).unwrap_or_default()
            ),
            "its streams end then, too; move valid_until if they should not",
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn told(keys: &str) -> Vec<String> {
        let text = include_str!("../../config/tests/full.toml");
        let text = format!("{text}\n[[partner]]\ndomain = \"b.test\"\n{keys}");
        let loaded = Config::parse(&text, Path::new("/etc/p.toml")).unwrap();
        let config = loaded.config;
        let partner = config.partners.last().unwrap();
        let found = weaknesses(partner, &config);
        found.into_iter().map(|(text, _)| text).collect()
    }

    #[test]
    fn what_lets_in_more_than_a_certificate_is_told() {
        let plain = "b.test: streams may go without TLS";
        let dialback = "b.test: dialback may prove its name";
        for (keys, expected) in [
            ("", vec![]),
            ("sasl = \"optional\"\ndialback = false", vec![]),
            ("sasl = \"optional\"", vec![dialback]),
            ("tls = \"optional\"", vec![plain, dialback]),
            ("tls = \"not-supported\"", vec![plain, dialback]),
        ] {
            assert_eq!(told(keys), expected, "{keys}");
        }
    }

    #[test]
    fn an_end_that_is_near_is_told_and_one_that_is_far_is_not() {
        let end = |days| {
            let end = OffsetDateTime::now_utc() + Duration::days(days);
            format!("valid_until = {}", end.format(&Rfc3339).unwrap())
        };
        let near = told(&end(3));
        assert!(
            near.first()
                .is_some_and(|text| text.starts_with("b.test: the record ends at ")),
            "{near:?}"
        );
        assert_eq!(told(&end(30)), [""; 0]);
    }
}
