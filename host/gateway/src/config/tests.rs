mod directory;
mod policy;
mod records;

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

#[test]
fn the_least_file_has_every_default() {
    let loaded = parse(LEAST).unwrap();
    assert_eq!(loaded.warnings, []);
    let config = loaded.config;
    assert_eq!(config.gateway.domains, [domain("org.test")]);
    assert_eq!(config.gateway.data_dir, Path::new("/var/lib/portcullis"));
    assert_eq!(
        config.gateway.plugins_dir,
        Path::new("/usr/lib/portcullis/plugins")
    );
    let outside = config.federation;
    assert_eq!(outside.listen, ["0.0.0.0:5269".parse().unwrap()]);
    assert_eq!(outside.source, None);
    assert_eq!(outside.trust, [Trust::System]);
    assert_eq!(outside.dialback_secret, None);
    assert!(outside.crls.is_empty());
    assert_eq!(outside.revocation, Revocation::Soft);
    assert_eq!(outside.proxy_protocol, []);
    assert!(outside.bidi && outside.stream_management);
    let identity = outside.identities.first().unwrap();
    assert_eq!(identity.domains, [domain("org.test")]);
    assert_eq!(
        identity.certificate,
        Path::new("/etc/portcullis/fullchain.pem")
    );
    let inside = config.internal;
    assert_eq!(inside.key, Path::new("/keys/gateway.key"));
    assert_eq!(inside.mint, None);
    assert!(!inside.relay_internal);
    assert!(inside.bidi && inside.stream_management);
    assert_eq!(inside.servers.first().unwrap().tls, ServerTls::StartTls);
    assert_eq!(config.dns, Dns::default());
    assert!(!config.dns.allow_private);
    assert_eq!(config.timeouts.establish, Duration::from_secs(60));
    assert_eq!(config.timeouts.inactivity, Duration::from_secs(600));
    assert_eq!(config.timeouts.keepalive, Duration::from_secs(300));
    assert_eq!(config.timeouts.resumption, Duration::from_secs(60));
    assert_eq!(
        config.timeouts.subscription_refresh,
        Duration::from_secs(28_800)
    );
    let limits = Limits {
        connections: 1000,
        connections_per_partner: 20,
        connections_per_address: 100,
        attempts_per_minute: 600,
        stanza_bytes: 262_144,
        pairs_per_stream: 100,
        minimum_rate: 1000,
    };
    assert_eq!(config.limits, limits);
    assert_eq!(config.gateway.partners_dir, None);
    assert!(!config.gateway.strict_jids);
    assert_eq!(config.partners, []);
    assert_eq!(config.plugins, []);
    assert_eq!(config.admin, None);
}

#[test]
fn a_plugin_has_defaults_and_gets_its_config_as_json() {
    let config = with(
        r#"
        [[plugin]]
        name = "allowlist"
        component = "partner_allowlist.wasm"
        [plugin.config]
        allow = ["*.beta.test"]
        depth = { limit = 0x10, ratio = 1_0.5, since = 2026-01-02, on = true }
        [[plugin]]
        name = "audit"
        component = "/opt/audit_log.wasm"
        on_failure = "open"
        budget = "2500us"
        memory = "64MiB"
        component_size = "40MiB"
        state_bytes = "1KiB"
        state_keys = 10
        log_lines = 0
        edits = 0
        "#,
    )
    .unwrap()
    .config;
    let [first, second] = config.plugins.as_slice() else {
        panic!("{:?}", config.plugins);
    };
    assert_eq!(
        first.component,
        Path::new("/usr/lib/portcullis/plugins/partner_allowlist.wasm")
    );
    assert_eq!(first.on_failure, OnFailure::Closed);
    assert_eq!(first.budget, Duration::from_millis(10));
    assert_eq!(first.memory, 16 << 20);
    assert_eq!(first.grants, [""; 0]);
    assert_eq!(
        (first.component_size, first.state_bytes, first.state_keys),
        (8 << 20, 16 << 20, 100_000)
    );
    assert_eq!((first.log_lines, first.edits), (100, 256));
    assert_eq!(
        first.config,
        serde_json::json!({
            "allow": ["*.beta.test"],
            "depth": { "limit": 16, "ratio": 10.5, "since": "2026-01-02", "on": true },
        })
    );
    assert_eq!(second.component, Path::new("/opt/audit_log.wasm"));
    assert_eq!(second.on_failure, OnFailure::Open);
    assert_eq!(second.budget, Duration::from_micros(2500));
    assert_eq!(second.memory, 64 << 20);
    assert_eq!(
        (second.component_size, second.state_bytes, second.state_keys),
        (40 << 20, 1 << 10, 10)
    );
    assert_eq!((second.log_lines, second.edits), (0, 0));
    assert_eq!(second.config, serde_json::json!({}));
}

#[test]
fn a_plugins_files_are_granted_by_name_and_begin_at_the_configuration_file() {
    let plugin = "[[plugin]]\nname = \"a\"\ncomponent = \"a.wasm\"\n";
    let files = "[plugin.files]\nblocked = \"lists/blocked.txt\"\nlocal = \"/srv/local\"";
    let config = with(&format!("{plugin}{files}\n")).unwrap().config;
    let plugin_of = |config: Config| config.plugins.into_iter().next().unwrap();
    let granted = plugin_of(config);
    assert_eq!(
        granted.files.into_iter().collect::<Vec<_>>(),
        [
            (
                "blocked".to_owned(),
                "/etc/portcullis/lists/blocked.txt".into()
            ),
            ("local".to_owned(), "/srv/local".into()),
        ]
    );
    let plain = plugin_of(with(plugin).unwrap().config);
    assert!(plain.files.is_empty());

    let many: String = (0..33).map(|n| format!("f{n} = \"f\"\n")).collect();
    for (more, told) in [
        ("files = \"x\"", "`files` in [[plugin]] must be a table"),
        ("[plugin.files]\n\"A B\" = \"x\"", "\"A B\" is not a name"),
        (
            "[plugin.files]\na = 1",
            "`a` in [plugin.files] must be a path",
        ),
        (
            "[plugin.files]\na = \"\"",
            "`a` in [plugin.files] is not a path",
        ),
        (&format!("[plugin.files]\n{many}"), "more than 32 files"),
    ] {
        let problems = problems(with(&format!("{plugin}{more}\n")));
        assert_eq!(problems.len(), 1, "{more}: {problems:?}");
        assert!(
            problems.iter().all(|one| one.contains(told)),
            "{problems:?}"
        );
    }
}

#[test]
fn the_file_of_the_design_loads_whole() {
    let loaded = parse(include_str!("tests/full.toml")).unwrap();
    assert_eq!(
        problems(Ok(loaded.clone())),
        ["line 64: [[partner]]: dialback never operates where both TLS and SASL are required",]
    );
    let config = loaded.config;
    assert_eq!(config.federation.source, "203.0.113.7".parse().ok());
    assert_eq!(
        config.federation.trust,
        [
            Trust::System,
            Trust::File("/etc/portcullis/partners-ca.pem".into())
        ]
    );
    assert!(config.internal.mint.is_some());
    let partner = config.partners.first().unwrap();
    assert_eq!(partner.domains().count(), 2);
    assert_eq!(
        partner.proxy.as_ref().unwrap().to_string(),
        "xmpp.alpha.test:5269"
    );
    assert_eq!(
        config.gateway.partners_dir.as_deref(),
        Some(Path::new("/etc/portcullis/partners.d"))
    );
    let proxies: Vec<_> = (config.federation.proxy_protocol.iter())
        .map(ToString::to_string)
        .collect();
    assert_eq!(proxies, ["10.0.0.1/32", "10.1.0.0/16"]);
    assert_eq!(config.plugins.len(), 1);
    assert_eq!(config.admin.unwrap().listen.port(), 9269);
}

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

#[test]
fn a_secret_shows_in_no_debug_output_and_no_shown_line() {
    let loaded = changed(
        "[internal]\n",
        "dialback_secret = \"hunter2\"\n[internal]\n",
    )
    .unwrap();
    let secret = loaded.config.federation.dialback_secret.as_ref().unwrap();
    assert_eq!(secret.expose(), "hunter2");
    assert!(!format!("{loaded:?}").contains("hunter2"));
    let rejected = changed(
        "[internal]\n",
        "dialback_secret = \"hunter2\"\nx = 1\n[internal]\n",
    )
    .unwrap_err();
    assert!(!format!("{rejected:?} {rejected} {}", rejected.text).contains("hunter2"));
}

#[test]
fn a_restart_is_needed_for_all_but_partners_plugins_and_trust() {
    let old = parse(LEAST).unwrap().config;
    let hot = changed("[internal]\n", "trust = [\"ca.pem\"]\n[internal]\n")
        .unwrap()
        .config;
    assert_eq!(Config::restart_needed(&old, &hot), [""; 0]);
    let hot = with("[[partner]]\ndomain = \"a.test\"").unwrap().config;
    assert_eq!(Config::restart_needed(&old, &hot), [""; 0]);
    let cold = changed(":5269\"]\ncert", ":5270\"]\ncert").unwrap().config;
    assert_eq!(Config::restart_needed(&old, &cold), ["[federation].listen"]);
}
