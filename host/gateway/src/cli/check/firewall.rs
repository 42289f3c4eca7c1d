//! The firewall table of one configuration: what must be let through, and nothing else.
//!
//! An internal server without `connect` takes its stanzas on the streams that it opens itself
//! (XEP-0288), so there is no way to it in the table.

use std::net::{IpAddr, SocketAddr};

use serde::Serialize;

use ipnet::IpNet;

use crate::config::{Config, Host, Server};

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
        rules.extend(balancers(&config.federation.proxy_protocol, *listen));
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
    if config.partners.iter().any(|partner| partner.posh) {
        rules.push(Rule {
            from: "this host".to_owned(),
            to: "any".to_owned(),
            port: "443/tcp".to_owned(),
            what: "POSH documents of partners whose record says posh",
        });
    }
    let mut inside: Vec<_> = servers(config).map(|(host, _)| host).collect();
    let only_in = |server: &Server| server.connect.is_empty();
    if config.internal.servers.iter().any(only_in) {
        inside.push("the internal servers".to_owned());
    }
    inside.sort();
    inside.dedup();
    for listen in &config.internal.listen {
        rules.push(Rule {
            from: inside.join(", "),
            to: place(listen.ip()),
            port: tcp(*listen),
            what: "internal servers connect in, mutual TLS",
        });
        rules.extend(balancers(&config.internal.proxy_protocol, *listen));
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

/// The load balancers in front of a listener, if it has some.
fn balancers(proxies: &[IpNet], listen: SocketAddr) -> Option<Rule> {
    let names: Vec<_> = proxies.iter().map(ToString::to_string).collect();
    (!names.is_empty()).then(|| Rule {
        from: names.join(", "),
        to: place(listen.ip()),
        port: tcp(listen),
        what: "load balancers, each connection with a PROXY header",
    })
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

    fn table(text: &str) -> Vec<String> {
        let config = Config::parse(text, Path::new("/etc/p.toml"))
            .unwrap()
            .config;
        rules(&config)
            .iter()
            .map(|rule| format!("{} -> {} {}", rule.from, rule.to, rule.port))
            .collect()
    }

    #[test]
    fn the_table_has_the_three_rules_and_the_fourth_for_each_internal_server() {
        assert_eq!(
            table(include_str!("../../config/tests/full.toml")),
            [
                "any -> this host 5269/tcp",
                "10.0.0.1/32, 10.1.0.0/16 -> this host 5269/tcp",
                "203.0.113.7 -> any 5269/tcp, or what SRV records say",
                "10.0.0.7 -> 10.0.0.5 23456/tcp",
                "10.0.0.5 -> 10.0.0.7 5269/tcp",
                "this host -> 127.0.0.53 53/udp, 53/tcp",
            ]
        );
    }

    #[test]
    fn with_bidi_inside_the_three_rules_are_all() {
        let text = include_str!("../../config/tests/full.toml")
            .replace("connect = [\"10.0.0.7:5269\"]\n", "")
            .replace("posh = false", "posh = true");
        assert_eq!(
            table(&text),
            [
                "any -> this host 5269/tcp",
                "10.0.0.1/32, 10.1.0.0/16 -> this host 5269/tcp",
                "203.0.113.7 -> any 5269/tcp, or what SRV records say",
                "this host -> any 443/tcp",
                "the internal servers -> 10.0.0.5 23456/tcp",
                "this host -> 127.0.0.53 53/udp, 53/tcp",
            ]
        );
    }
}
