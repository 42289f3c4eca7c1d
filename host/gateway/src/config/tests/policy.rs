//! The policy of a configuration as text: complete, readable, without secrets.

use std::path::Path;

use crate::config::Config;

const WHOLE: &str = r#"
[gateway]
domains = ["org.test"]
plugins_dir = "components"
[federation]
listen = ["0.0.0.0:5269"]
certificate = "c.pem"
key = "k.pem"
trust = ["system", "partners.pem"]
dialback_secret = "not for anybody else"
[internal]
listen = ["127.0.0.1:23456"]
certificate = "c.pem"
key = "k.pem"
client_ca = "ca.pem"
[[internal.server]]
domains = ["org.test"]
connect = ["127.0.0.1:5269"]
[[partner]]
domain = "alpha.test"
trust = ["alpha.pem"]
valid_until = 2030-01-01T00:00:00Z
rate_in = { stanzas = 5 }
[[partner]]
domain = "beta.test"
[[plugin]]
name = "b"
component = "b.wasm"
[plugin.config]
text = "a \"quoted\" word"
number = 1.5
list = [1, 2]
[[plugin]]
name = "a"
component = "/elsewhere/a.wasm"
"#;

#[test]
fn a_policy_that_was_kept_is_the_same_policy() {
    let config = Config::parse(WHOLE, Path::new("/etc/p.toml"))
        .unwrap()
        .config;
    let again = config
        .with_policy(
            &config.policy,
            Path::new("/etc"),
            Path::new("/etc/components"),
        )
        .unwrap();
    assert_eq!(again, config);
    let names: Vec<_> = again.plugins.iter().map(|plugin| &*plugin.name).collect();
    assert_eq!(names, ["b", "a"], "the chain has its order");
}

#[test]
fn the_policy_holds_no_secret_of_the_gateway() {
    let config = Config::parse(WHOLE, Path::new("/etc/p.toml"))
        .unwrap()
        .config;
    assert!(
        !config.policy.contains("not for anybody"),
        "{}",
        config.policy
    );
    assert!(!config.policy.contains("k.pem"), "{}", config.policy);
}

#[test]
fn another_policy_leaves_everything_else_as_it_is() {
    let config = Config::parse(WHOLE, Path::new("/etc/p.toml"))
        .unwrap()
        .config;
    let other = "[[partner]]\ndomain = 'gamma.test'\n";
    let other = config
        .with_policy(other, Path::new("/etc"), Path::new("/etc/components"))
        .unwrap();
    assert_eq!(other.partners.len(), 1);
    assert!(other.plugins.is_empty());
    assert!(other.policy.contains("gamma.test"));
    assert_eq!(
        Config::restart_needed(&config, &other),
        Vec::<String>::new()
    );
    let faulty = "[[partner]]\ndomain = 'org.test'\n";
    let base = Path::new("/etc");
    assert!(
        config.with_policy(faulty, base, base).is_err(),
        "a served domain"
    );
}
