//! The firewall table of one configuration: what must be let through, and nothing else.

use std::net::{IpAddr, SocketAddr};

use serde::Serialize;

use crate::config::{Config, Host};

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Rule {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) port: String,
    pub(super) what: &'static str,
}

/// All rules, in the order of the design's table: partners in, us out, servers in, us to servers.
pub(super) fn rules(config: &Config) -> Vec<Rule> {
    let mut rules = Vec::new();
    for listen in &config.federation.listen {
        rules.push(Rule {
            from: "any".to_owned(),
            to: place(listen.ip()),
            port: tcp(*listen),
            what: "partners connect in",
        });
    }
    let outgoing = config
        .federation
        .source
        .map_or_else(|| "this host".to_owned(), |ip| ip.to_string());
    rules.push(Rule {
        from: outgoing,
        to: "any".to_owned(),
        port: "5269/tcp, or what SRV records say".to_owned(),
        what: "the gateway connects out",
    });
    let mut inside: Vec<_> = servers(config).map(|(host, _)| host).collect();
    inside.sort();
    inside.dedup();
    for listen in &config.internal.listen {
        rules.push(Rule {
            from: inside.join(", "),
            to: place(listen.ip()),
            port: tcp(*listen),
            what: "internal servers connect in, mutual TLS",
        });
    }
    let gateway = config
        .internal
        .listen
        .first()
        .map_or_else(String::new, |listen| place(listen.ip()));
    for (host, port) in servers(config) {
        rules.push(Rule {
            from: gateway.clone(),
            to: host,
            port: format!("{port}/tcp"),
            what: "the gateway delivers to an internal server",
        });
    }
    let resolver = |to: String, port: u16| Rule {
        from: "this host".to_owned(),
        to,
        port: format!("{port}/udp, {port}/tcp"),
        what: "SRV and address lookups",
    };
    if config.dns.servers.is_empty() {
        // The port of DNS (RFC 1035 §4.2).
        rules.push(resolver("the system's resolvers".to_owned(), 53));
    }
    for server in &config.dns.servers {
        rules.push(resolver(server.ip().to_string(), server.port()));
    }
    rules
}

fn servers(config: &Config) -> impl Iterator<Item = (String, u16)> {
    config
        .internal
        .servers
        .iter()
        .flat_map(|server| &server.connect)
        .map(|place| {
            let host = match &place.host {
                Host::Address(ip) => ip.to_string(),
                Host::Name(name) => name.to_string(),
            };
            (host, place.port)
        })
}

fn place(ip: IpAddr) -> String {
    if ip.is_unspecified() {
        "this host".to_owned()
    } else {
        ip.to_string()
    }
}

fn tcp(listen: SocketAddr) -> String {
    match listen.port() {
        0 => "chosen at start/tcp".to_owned(),
        port => format!("{port}/tcp"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_table_has_the_three_rules_and_the_fourth_for_each_internal_server() {
        let text = include_str!("../../config/tests/full.toml");
        let config = Config::parse(text, Path::new("/etc/p.toml"))
            .unwrap()
            .config;
        let rules: Vec<_> = rules(&config)
            .iter()
            .map(|rule| format!("{} -> {} {}", rule.from, rule.to, rule.port))
            .collect();
        assert_eq!(
            rules,
            [
                "any -> this host 5269/tcp",
                "203.0.113.7 -> any 5269/tcp, or what SRV records say",
                "10.0.0.7 -> 10.0.0.5 23456/tcp",
                "10.0.0.5 -> 10.0.0.7 5269/tcp",
                "this host -> 127.0.0.53 53/udp, 53/tcp",
            ]
        );
    }
}
