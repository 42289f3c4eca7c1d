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
