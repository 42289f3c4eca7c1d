//! What a good file says, and what it need not say.

use super::*;

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
    let loaded = parse(include_str!("full.toml")).unwrap();
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
