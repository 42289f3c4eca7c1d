//! Files in, configurations or problems out: the smallest file, and how a test changes it.

mod directory;
mod loading;
mod policy;
mod records;
mod refusing;

use std::{path::Path, time::Duration};

use super::*;

const FILE: &str = "/etc/portcullis/portcullis.toml";

/// The smallest file that loads: everything else has a default.
const LEAST: &str = r#"
[gateway]
domains = ["org.test"]
[federation]
listen = ["0.0.0.0:5269"]
certificate = "fullchain.pem"
key = "key.pem"
[internal]
listen = ["10.0.0.5:23456"]
certificate = "gateway.pem"
key = "/keys/gateway.key"
client_ca = "internal-ca.pem"
[[internal.server]]
domains = ["org.test"]
connect = ["10.0.0.7:5269"]
"#;

fn parse(text: &str) -> Result<Loaded, Rejected> {
    Config::parse(text, Path::new(FILE))
}

/// LEAST with more sections behind it.
fn with(more: &str) -> Result<Loaded, Rejected> {
    parse(&format!("{LEAST}{more}"))
}

/// LEAST with one piece replaced.
fn changed(from: &str, to: &str) -> Result<Loaded, Rejected> {
    assert!(LEAST.contains(from), "{from}");
    parse(&LEAST.replace(from, to))
}

fn problems(loaded: Result<Loaded, Rejected>) -> Vec<String> {
    let problems = match loaded {
        Ok(loaded) => loaded.warnings,
        Err(rejected) => rejected.problems,
    };
    problems.iter().map(ToString::to_string).collect()
}

fn domain(text: &str) -> portcullis_xmpp::jid::Domain {
    portcullis_xmpp::jid::Domain::parse(text).unwrap()
}
