//! What is wrong with a file: all of it at once, each with its place.

use super::*;

#[test]
fn every_problem_is_told_at_once_each_with_its_line() {
    let text = r#"
[gateway]
domains = ["org.test", "org .test"]
datadir = "/var/lib/portcullis"
[federation]
listen = ["0.0.0.0"]
stanza_bytes = 1000
certificate = 5
[internal]
listen = ["127.0.0.1:23456"]
relay_internal = "no"
mint = { ca = "mint.pem" }
[limits]
stanza_bytes = 9999
conections = 5
[[partner]]
type = "federate"
SaslNegotiation = "required"
[[plugin]]
name = "Allow List"
budget = "10"
[plugins]
"#;
    let told = problems(parse(text));
    let (first, others) = told.split_first().unwrap();
    assert!(first.starts_with("line 3: `domains` in [gateway]: \"org .test\" is not a domain: "));
    assert_eq!(
        others,
        [
            "line 4: unknown key `datadir` in [gateway] (did you mean `data_dir`?)",
            "line 5: [federation] needs `key` (for example: key = \"key.pem\")",
            "line 6: `listen` in [federation]: \"0.0.0.0\" is not an address with a port, as in \"0.0.0.0:5269\" or \"[::]:5269\"",
            "line 7: unknown key `stanza_bytes` in [federation] (`stanza_bytes` belongs in [limits] or [[partner]])",
            "line 8: `certificate` in [federation] must be a string in quotes, not an integer",
            "line 9: [internal] needs `certificate` (for example: certificate = \"gateway.pem\")",
            "line 9: [internal] needs `key` (for example: key = \"gateway.key\")",
            "line 9: [internal] needs `client_ca` (for example: client_ca = \"internal-ca.pem\")",
            "line 11: `relay_internal` in [internal] must be true or false, not a string",
            "line 12: [internal] mint needs `key` (for example: key = \"mint-ca.key\")",
            "line 14: `stanza_bytes` in [limits] must be from 10000 to 16777216, not 9999",
            "line 15: unknown key `conections` in [limits] (did you mean `connections`?)",
            "line 16: [[partner]] needs `domain` (for example: domain = \"alpha.test\")",
            "line 17: `type` in [[partner]] cannot be \"federate\" (did you mean \"federated\"?)",
            "line 18: unknown key `SaslNegotiation` in [[partner]] (that is `sasl` of [[partner]])",
            "line 19: [[plugin]] needs `component` (for example: component = \"partner_allowlist.wasm\")",
            "line 20: `name` in [[plugin]]: \"Allow List\" is not a name of 1 to 64 of a-z, 0-9, - and _",
            "line 21: `budget` in [[plugin]]: \"10\" has no unit us, ms or s, as in \"10ms\"",
            "line 22: unknown key `plugins` at the top level (did you mean `plugin`?)",
        ]
    );
}

#[test]
fn a_missing_section_is_one_problem() {
    let told = problems(parse("[admin]\nlisten = \"127.0.0.1:1\""));
    let help = "docs/configuration.md begins with the smallest file that loads";
    assert_eq!(
        told,
        ["gateway", "federation", "internal"].map(|name| format!("there is no [{name}] ({help})"))
    );
}

#[test]
fn a_key_in_the_wrong_place_is_told_where_it_belongs() {
    for (more, told) in [
        (
            "relay_internal = true",
            "line 16: unknown key `relay_internal` in [[internal.server]] (`relay_internal` belongs in [internal])",
        ),
        (
            "[admin]\nlisten = \"127.0.0.1:1\"\nport = 5",
            "line 18: unknown key `port` in [admin] (the port is a part of `listen`, as in \"0.0.0.0:5269\")",
        ),
        (
            "[[partner]]\ndomain = \"a.test\"\nProxyFqdn = \"p\"",
            "line 18: unknown key `ProxyFqdn` in [[partner]] (that is `proxy` of [[partner]])",
        ),
        (
            "[partner]\ndomain = \"a.test\"",
            "line 16: `partner` is a list of tables (each begins with [[partner]])",
        ),
        (
            "[[partner]]\ndomain = \"a.test\"\nzzz = 1",
            "line 18: unknown key `zzz` in [[partner]] (the keys here are domain, also, type, tls, sasl, dialback, keep_alive, connection_limit, proxy, description, contact, direction, subdomains, trust, pins, dane, posh, stanzas_in, stanzas_out, group_chat, stanza_bytes, rate_in, rate_out, valid_until, bidi, stream_management)",
        ),
    ] {
        assert_eq!(problems(with(more)), [told]);
    }
}

#[test]
fn text_that_is_no_toml_is_told_with_its_line() {
    let told = problems(with("[admin\nlisten = 5"));
    assert!(
        told.first().unwrap().starts_with("line 16: not TOML: "),
        "{told:?}"
    );
}

#[test]
fn what_may_exist_once_is_told_with_both_places() {
    let record = "[[partner]]\ndomain = \"a.test\"\n";
    for (loaded, told) in [
        (
            with(&format!(
                "{record}[[partner]]\ndomain = \"b.test\"\nalso = [\"A.test\"]"
            )),
            "line 20: the domain `a.test` of the record of b.test is already in the record of a.test; line 17: it stands here",
        ),
        (
            with(&format!("{record}also = [\"a.test\"]")),
            "line 18: the domain `a.test` stands twice in the record of a.test; line 17: it stands here",
        ),
        (
            with("[[partner]]\ndomain = \"ORG.test\""),
            "line 17: the partner domain `org.test` is a domain of the gateway itself; line 3: it is served here",
        ),
        (
            with("[[internal.server]]\ndomains = [\"org.test\"]\nconnect = [\"10.0.0.8\"]"),
            "line 17: the domain `org.test` stands twice in [[internal.server]]; line 14: it stands here",
        ),
        (
            with("[admin]\nlisten = \"127.0.0.1:5269\""),
            "line 17: `listen` in [admin]: 127.0.0.1:5269 overlaps 0.0.0.0:5269 in [federation]; line 5: the other listener (give each listener an address or a port of its own)",
        ),
        (
            with(
                "[[plugin]]\nname = \"a\"\ncomponent = \"a.wasm\"\n[[plugin]]\nname = \"a\"\ncomponent = \"b.wasm\"",
            ),
            "line 20: the plugin name `a` stands twice in the chain; line 17: it stands here",
        ),
    ] {
        assert_eq!(problems(loaded), [told]);
    }
}

#[test]
fn each_served_domain_has_one_server_and_one_certificate() {
    assert_eq!(
        problems(changed(
            "domains = [\"org.test\"]\n[federation]",
            "domains = [\"org.test\", \"muc.org.test\"]\n[federation]"
        )),
        [
            "line 3: the domain `muc.org.test` belongs to no [[internal.server]] (add it to `domains` of the server that hosts it)"
        ]
    );
    assert_eq!(
        problems(changed(
            "domains = [\"org.test\"]\nconnect",
            "domains = [\"org.test\", \"other.test\"]\nconnect"
        )),
        [
            "line 14: the domain `other.test` is not served by the gateway (add it to `domains` of [gateway], or take it away here)"
        ]
    );
    assert_eq!(
        problems(changed(
            "certificate = \"fullchain.pem\"\nkey = \"key.pem\"\n",
            ""
        )),
        [
            "line 4: [federation] needs `certificate` and `key` for org.test (for example: certificate = \"fullchain.pem\" and key = \"key.pem\")"
        ]
    );
    let identity = "[[federation.identity]]\ndomains = [\"org.test\"]\ncertificate = \"org.pem\"\nkey = \"org.key\"\n";
    assert_eq!(
        problems(with(identity)),
        [
            "line 6: `certificate` in [federation] is shown for no domain (each domain has a [[federation.identity]] of its own)"
        ]
    );
    let only = changed(
        "certificate = \"fullchain.pem\"\nkey = \"key.pem\"\n",
        identity,
    );
    assert_eq!(only.unwrap().config.federation.identities.len(), 1);
}

#[test]
fn what_is_not_there_yet_is_refused_by_name() {
    let plugin = "[[plugin]]\nname = \"a\"\ncomponent = \"a.wasm\"\ngrants = [\"wasi:http\"]";
    assert_eq!(
        problems(with(plugin)),
        [
            "line 19: `grants` in [[plugin]]: \"wasi:http\" cannot be granted (this version has nothing to grant: no plugin reaches a network, HTTP or a directory; files are given by name in [plugin.files])"
        ]
    );
}

#[test]
fn an_internal_server_without_a_place_to_connect_needs_bidi() {
    let config = changed("connect = [\"10.0.0.7:5269\"]", "").unwrap().config;
    assert_eq!(config.internal.servers.first().unwrap().connect, []);
    let without = LEAST
        .replace("connect = [\"10.0.0.7:5269\"]", "")
        .replace("[internal]\n", "[internal]\nbidi = false\n");
    assert_eq!(
        problems(parse(&without)),
        [
            "line 14: [[internal.server]] needs `connect`, where the server takes stanzas (for example: connect = [\"10.0.0.7:5269\"]; without it, `bidi` in [internal] must be true and the server must speak XEP-0288)"
        ]
    );
}

#[test]
fn revocation_lists_proxies_and_secrets_that_protect_nobody_are_told() {
    let outside = |line: &str| problems(changed("[internal]\n", &format!("{line}\n[internal]\n")));
    for (line, told) in [
        (
            "revocation = \"hard\"",
            "line 8: `revocation` = \"hard\" in [federation] without `crls`: every certificate is refused (name the files of the lists: crls = [\"ca.crl.pem\"])",
        ),
        (
            "proxy_protocol = [\"10.0.0.1\", \"::/0\"]",
            "line 8: `proxy_protocol` in [federation] names every address there is (anybody could claim any address: name the load balancers one by one)",
        ),
        (
            "proxy_protocol = [\"10.1.2.0/16\"]",
            "line 8: `proxy_protocol` in [federation]: \"10.1.2.0/16\" has bits behind its prefix: 10.1.0.0/16",
        ),
        (
            "dialback_secret = \"hunter2\"",
            "line 8: `dialback_secret` in [federation] has fewer than 16 characters (who guesses it speaks for our domains: openssl rand -hex 32 makes a good one)",
        ),
    ] {
        assert_eq!(outside(line), [told]);
    }
    assert_eq!(
        outside("revocation = \"hard\"\ncrls = [\"a.pem\"]"),
        [""; 0]
    );
}
