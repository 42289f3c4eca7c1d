//! `check`: is this configuration good enough to run?
//!
//! In: the file. Out: every problem that can be found without touching what a running gateway uses:
//! files are read, ports bound and let go, plugins loaded with state and journal in a directory that
//! is thrown away. Each finding is told as it is made, and at the end the firewall table.

mod firewall;
mod partner;
mod plugins;
mod ports;
mod records;
mod report;

use std::path::Path;

use portcullis_xmpp::jid::Domain;
use rustix::fs::{Access, access};
use serde_json::{Map, json};
use time::{Duration, OffsetDateTime};

use self::report::Report;
use super::{
    args::{Check, CheckOne, Format},
    exit::Exit,
    problems,
    terminal::Level,
};
use crate::{
    config::{Config, Loaded},
    connect,
    tls::{self, Tls},
};

/// Checks what the arguments name.
pub(crate) fn check(arguments: &Check) -> Exit {
    match &arguments.what {
        None => whole(&arguments.config.file, arguments.output.format()),
        Some(CheckOne::Partner(partner)) => partner::check(partner),
    }
}

fn whole(file: &Path, format: Format) -> Exit {
    let loaded = match Config::read(file) {
        Ok(loaded) => loaded,
        Err(rejected) => return problems::refused(&rejected, format),
    };
    let mut report = Report::new(file.display().to_string(), format);
    configuration(&loaded, &mut report);
    certificates(&loaded.config, &mut report);
    if let Err(error) = connect::Settings::from(&loaded.config).check() {
        report.about("DNS");
        report.add(Level::Problem, error.to_string(), None);
    }
    plugins::check(&loaded, &mut report);
    ports::check(&loaded.config, &mut report);
    let rules = firewall::rules(&loaded.config);
    report.for_people(|terminal| {
        terminal.heading("Firewall");
        let rows: Vec<_> = rules
            .iter()
            .map(|rule| {
                [
                    rule.from.clone(),
                    rule.to.clone(),
                    rule.port.clone(),
                    rule.what.to_owned(),
                ]
            })
            .collect();
        terminal.table(["from", "to", "port", "what"], &rows);
    });
    let mut more = Map::new();
    more.insert("firewall".to_owned(), json!(rules));
    report.finish(more)
}

fn configuration(loaded: &Loaded, report: &mut Report) {
    report.about("Configuration");
    let config = &loaded.config;
    let names = |domains: &[Domain]| {
        domains
            .iter()
            .map(Domain::as_str)
            .collect::<Vec<_>>()
            .join(", ")
    };
    report.ok(format!("serves {}", names(&config.gateway.domains)));
    for server in &config.internal.servers {
        let places: Vec<_> = server.connect.iter().map(ToString::to_string).collect();
        let domains = names(&server.domains);
        report.ok(match places.is_empty() {
            true => format!("{domains} is delivered on the streams that its server opens (bidi)"),
            false => format!("{domains} is delivered to {}", places.join(", then ")),
        });
    }
    records::check(config, report);
    for warning in &loaded.warnings {
        let place = warning
            .place
            .as_ref()
            .map_or_else(String::new, |place| format!("{place}: "));
        report.add(
            Level::Warning,
            format!("{place}{}", warning.message),
            warning.help.clone(),
        );
    }
    data_dir(&config.gateway.data_dir, report);
}

/// Whether the gateway could keep its things there. Nothing is made.
fn data_dir(dir: &Path, report: &mut Report) {
    let existing = dir
        .ancestors()
        .find(|ancestor| ancestor.exists())
        .unwrap_or(dir);
    let shown = dir.display();
    match access(existing, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) if existing == dir => report.ok(format!("data_dir {shown} can be written")),
        Ok(()) => report.ok(format!("data_dir {shown} can be made")),
        Err(error) => report.add(
            Level::Problem,
            format!(
                "data_dir {shown}: {} cannot be written: {error}",
                existing.display()
            ),
            Some(
                "run check as the user that runs the gateway, or give it the directory".to_owned(),
            ),
        ),
    }
}

fn certificates(config: &Config, report: &mut Report) {
    report.about("Certificates");
    let found = match Tls::load(tls::Settings::from(config)) {
        Err(problems) => problems,
        Ok(tls) => {
            in_order(config, &tls, report);
            tls.warnings()
        }
    };
    let mut told = Vec::new();
    for problem in found {
        // One file can be in the way of two things.
        if told.contains(&problem) {
            continue;
        }
        let level = match problem.severity {
            tls::Severity::Warning => Level::Warning,
            tls::Severity::Error => Level::Problem,
        };
        let file = problem.file.as_ref();
        let file = file.map_or_else(String::new, |file| format!("{}: ", file.display()));
        report.add(
            level,
            format!("{file}{}", problem.message),
            problem.help.clone(),
        );
        told.push(problem);
    }
}

/// Says which files are good for what, and how long.
fn in_order(config: &Config, tls: &Tls, report: &mut Report) {
    for identity in &config.federation.identities {
        let domains: Vec<_> = identity.domains.iter().map(Domain::as_str).collect();
        if !domains.is_empty() {
            report.ok(format!(
                "{} with its key, for {}",
                identity.certificate.display(),
                domains.join(", ")
            ));
        }
    }
    report.ok(format!(
        "{} with its key, inside",
        config.internal.certificate.display()
    ));
    match &config.internal.mint {
        Some(mint) => report.ok(format!(
            "{} may mint, but not our own domains",
            mint.ca.display()
        )),
        None => report.add(
            Level::Warning,
            "no minting CA: internal servers see the gateway's own certificate for every partner"
                .to_owned(),
            Some(
                "strict servers refuse it; set `mint` in [internal], see portcullis ca init"
                    .to_owned(),
            ),
        ),
    }
    // Longer than any certificate is valid.
    let now = OffsetDateTime::now_utc();
    for end in tls.expiring(now, Duration::days(100 * 366)) {
        let days = (end.not_after - now).whole_days();
        report.ok(format!(
            "{} is good for {days} days more",
            end.file.display()
        ));
    }
}
