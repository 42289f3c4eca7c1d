//! The program as a script sees it: what it prints, and its exit codes.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking; clippy sees only #[test] functions as tests"
)]

#[path = "cli/swaps.rs"]
mod swaps;

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;
use tempfile::TempDir;

fn portcullis(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(arguments)
        .current_dir(dir)
        .env_remove("RUST_LOG")
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A directory with what `ca init` makes and a configuration that uses it on free ports.
fn gateway() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let made = portcullis(dir.path(), &["ca", "init", "ca", "--domain", "org.test"]);
    assert!(made.status.success(), "{}", text(&made));
    fs::write(
        dir.path().join("p.toml"),
        r#"
[gateway]
domains = ["org.test"]
data_dir = "data"
plugins_dir = "plugins"
[federation]
listen = ["127.0.0.1:0"]
certificate = "ca/org.test.pem"
key = "ca/org.test.key"
trust = ["ca/internal-ca.pem"]
[internal]
listen = ["127.0.0.1:0"]
certificate = "ca/gateway.pem"
key = "ca/gateway.key"
client_ca = "ca/internal-ca.pem"
mint = { ca = "ca/mint-ca.pem", key = "ca/mint-ca.key" }
[[internal.server]]
domains = ["org.test"]
connect = ["127.0.0.1:5269"]
[[partner]]
domain = "alpha.test"
"#,
    )
    .unwrap();
    dir
}

fn add(dir: &TempDir, more: &str) {
    let file = dir.path().join("p.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(file, format!("{text}{more}")).unwrap();
}

#[test]
fn check_passes_what_ca_init_made_and_prints_the_firewall_table() {
    let dir = gateway();
    let checked = portcullis(dir.path(), &["check", "--config", "p.toml"]);
    let told = text(&checked);
    assert!(checked.status.success(), "{told}");
    for line in [
        "✓ serves org.test",
        "ca/org.test.pem with its key, for org.test",
        "ca/mint-ca.pem may mint, but not our own domains",
        "the gateway connects out",
        "the gateway delivers to an internal server",
        "no problems, 1 warning",
    ] {
        assert!(told.contains(line), "{line} is not in:\n{told}");
    }
    assert!(!dir.path().join("data").exists());
}

#[test]
fn check_shows_each_problem_with_its_line_and_exits_78() {
    let dir = gateway();
    add(&dir, "typ = \"federated\"\n[limits]\nstanza_bytes = 1\n");
    let checked = portcullis(dir.path(), &["check", "--config", "p.toml"]);
    assert_eq!(checked.status.code(), Some(78));
    assert_eq!(
        text(&checked),
        "  × unknown key `typ` in [[partner]]
    ╭─[p.toml:22:1]
 21 │ domain = \"alpha.test\"
 22 │ typ = \"federated\"
    · ───
 23 │ [limits]
    ╰────
  help: did you mean `type`?

  × `stanza_bytes` in [limits] must be from 10000 to 16777216, not 1
    ╭─[p.toml:24:16]
 23 │ [limits]
 24 │ stanza_bytes = 1
    ·                ─
    ╰────

p.toml is refused: 2 problems
"
        .replace(
            "p.toml:",
            &format!("{}:", dir.path().join("p.toml").display())
        )
        .replace(
            "p.toml is",
            &format!("{} is", dir.path().join("p.toml").display())
        )
    );
    let checked = portcullis(dir.path(), &["check", "--config", "p.toml", "--json"]);
    assert_eq!(checked.status.code(), Some(78));
    let document = json(&checked);
    assert_eq!(document["result"], "refused");
    assert_eq!(document["problems"][0]["place"]["line"], 22);
    assert_eq!(document["problems"][0]["help"], "did you mean `type`?");
}

#[test]
fn check_tries_ports_certificates_and_plugins_for_real() {
    let dir = gateway();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap();
    let plugin = "[[plugin]]\nname = \"ghost\"\ncomponent = \"ghost.wasm\"\n";
    add(&dir, &format!("{plugin}[admin]\nlisten = \"{taken}\"\n"));
    let key = dir.path().join("ca/org.test.key");
    fs::copy(dir.path().join("ca/gateway.key"), key).unwrap();
    let checked = portcullis(dir.path(), &["check", "--config", "p.toml", "--json"]);
    assert_eq!(checked.status.code(), Some(1));
    let document = json(&checked);
    let problems: Vec<_> = document["chapters"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|chapter| chapter["findings"].as_array().unwrap())
        .filter(|finding| finding["level"] == "problem")
        .map(|finding| finding["text"].as_str().unwrap())
        .collect();
    assert_eq!(problems.len(), 3, "{problems:?}");
    for (problem, part) in problems.iter().zip(["org.test", "ghost.wasm", "admin: "]) {
        assert!(problem.contains(part), "{problem}");
    }
    assert_eq!(document["firewall"][0]["what"], "partners connect in");
}

#[test]
fn run_refuses_a_bad_configuration_before_it_opens_anything() {
    let dir = gateway();
    add(&dir, "typ = 1\n");
    let run = portcullis(dir.path(), &["run", "--config", "p.toml"]);
    assert_eq!(run.status.code(), Some(78));
    assert!(text(&run).contains("did you mean `type`?"));
    assert!(!dir.path().join("data").exists());
    let run = portcullis(dir.path(), &["run", "--config", "p.toml", "--log", "=="]);
    assert_eq!(run.status.code(), Some(2));
}

#[test]
fn status_and_reload_without_a_gateway_exit_69_even_with_a_broken_file() {
    let dir = gateway();
    add(&dir, "this is no TOML\n");
    for command in ["status", "reload"] {
        let asked = portcullis(dir.path(), &[command, "--config", "p.toml"]);
        assert_eq!(asked.status.code(), Some(69), "{command}");
    }
}

#[test]
fn a_journal_that_is_not_there_does_not_verify() {
    let dir = gateway();
    let verified = portcullis(
        dir.path(),
        &["audit", "verify", "--config", "p.toml", "--json"],
    );
    assert_eq!(verified.status.code(), Some(1));
    assert_eq!(json(&verified)["result"], "broken");
}

#[test]
fn what_is_no_component_is_not_inspected() {
    let dir = gateway();
    let inspected = portcullis(dir.path(), &["plugin", "inspect", "p.toml"]);
    assert_eq!(inspected.status.code(), Some(1));
    assert!(text(&inspected).contains("it is no WebAssembly component"));
}

#[test]
fn a_partner_that_is_ourselves_is_told() {
    let dir = gateway();
    let words = ["check", "partner", "org.test", "--config", "p.toml"];
    let checked = portcullis(dir.path(), &words);
    assert_eq!(checked.status.code(), Some(1));
    assert!(text(&checked).contains("org.test is one of our own domains"));
}

fn audit_log(dir: &TempDir) {
    plugin(dir, "audit-log");
}

/// A plugin that was built before, by any test or `tests/run plugins`; built if it was not.
fn plugin(dir: &TempDir, name: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let built = portcullis(
        dir.path(),
        &[
            "plugin",
            "build",
            "--json",
            root.join("plugins").join(name).to_str().unwrap(),
        ],
    );
    assert!(built.status.success(), "{}", text(&built));
    let plugins = dir.path().join("plugins");
    fs::create_dir_all(&plugins).unwrap();
    let component = json(&built)["component"].as_str().unwrap().to_owned();
    let file = Path::new(&component).file_name().unwrap();
    fs::copy(&component, plugins.join(file)).unwrap();
}

#[test]
fn a_mistake_in_a_plugins_config_is_told_with_its_line_and_the_nearest_key() {
    let dir = gateway();
    audit_log(&dir);
    add(
        &dir,
        "[[plugin]]\nname = \"audit\"\ncomponent = \"audit_log.wasm\"\n[plugin.config]\nbodis = true\nomit = \"x.test\"\n",
    );
    let line = |key: &str| {
        let file = fs::read_to_string(dir.path().join("p.toml")).unwrap();
        file.lines().position(|line| line.starts_with(key)).unwrap() + 1
    };
    let checked = portcullis(dir.path(), &["check", "--config", "p.toml"]);
    assert_eq!(checked.status.code(), Some(1));
    let said = text(&checked);
    let unknown = format!(
        "p.toml: line {}: [plugin.config] of `audit`: unknown key `bodis`",
        line("bodis")
    );
    assert!(said.contains(&unknown), "{said}");
    assert!(said.contains("did you mean `bodies`?"), "{said}");
    let wrong = format!(
        "line {}: [plugin.config] of `audit`: `omit` must be a list, not the string \"x.test\"",
        line("omit")
    );
    assert!(said.contains(&wrong), "{said}");
    // The gateway itself refuses to start for the same reason, in the same words.
    let ran = portcullis(dir.path(), &["run", "--config", "p.toml"]);
    assert!(!ran.status.success());
    let said = format!("{}{}", text(&ran), String::from_utf8_lossy(&ran.stderr));
    assert!(said.contains(&unknown), "{said}");
}

#[test]
fn a_new_plugin_has_a_legal_name_and_overwrites_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let sdk = sdk.to_str().unwrap();
    let new = |name: &str, more: &[&str]| {
        let mut arguments = vec!["plugin", "new", name];
        arguments.extend(more);
        portcullis(dir.path(), &arguments)
    };
    for kind in ["filter", "gatekeeper", "observer"] {
        let made = new(&format!("my-{kind}"), &["--kind", kind, "--sdk", sdk]);
        assert!(made.status.success(), "{}", text(&made));
        let crate_dir = dir.path().join(format!("my-{kind}"));
        for file in [
            "Cargo.toml",
            "Cargo.lock",
            "README.md",
            "src/lib.rs",
            "fixtures/first.toml",
        ] {
            assert!(crate_dir.join(file).is_file(), "{kind}: {file}");
        }
    }
    let file = dir.path().join("my-filter/src/lib.rs");
    fs::write(&file, "mine").unwrap();
    let again = new("my-filter", &["--sdk", sdk]);
    assert_eq!(again.status.code(), Some(1));
    assert!(
        text(&again).contains("is there already"),
        "{}",
        text(&again)
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    for name in ["My", "a_b", "../up", "fn"] {
        let refused = new(name, &["--sdk", sdk]);
        assert!(text(&refused).contains("no name for a plugin"), "{name}");
    }
    let lost = new("x", &["--sdk", "/"]);
    assert!(text(&lost).contains("no plugin SDK"), "{}", text(&lost));
    // Nothing half-made is left.
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
}

#[test]
fn a_component_over_its_fixtures_passes_and_a_difference_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    audit_log(&dir);
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/audit-log/fixtures");
    let component = "plugins/audit_log.wasm";
    let test = |fixtures: &Path, more: &[&str]| {
        let mut arguments = vec!["plugin", "test", component, fixtures.to_str().unwrap()];
        arguments.extend(more);
        portcullis(dir.path(), &arguments)
    };
    let passed = test(&fixtures, &[]);
    assert!(passed.status.success(), "{}", text(&passed));

    let good = fs::read_to_string(fixtures.join("with-bodies.toml")).unwrap();
    let wrong = dir.path().join("wrong.toml");
    fs::write(
        &wrong,
        good.replace("\"body\": \"hello\"", "\"body\": \"bye\""),
    )
    .unwrap();
    let failed = test(&wrong, &[]);
    assert_eq!(failed.status.code(), Some(1));
    let said = text(&failed);
    assert!(
        said.contains("- {\"partner\":\"alpha.test\",\"body\":\"bye\"}")
            || said.contains("- {\"body\":\"bye\""),
        "{said}"
    );
    assert!(said.contains("hello"), "{said}");
    let failed = json(&test(&wrong, &["--json"]));
    assert_eq!(failed["result"], "failed");
    assert_eq!(
        failed["files"][0]["cases"][0]["differences"][0]["what"],
        "journal"
    );

    // No fixture, none that can be read, none with a case: not a pass.
    for text_of in ["", "own = 1", "[[case]]\nname = 'nothing to meet'\n"] {
        fs::write(&wrong, text_of).unwrap();
        assert_eq!(test(&wrong, &[]).status.code(), Some(1), "{text_of:?}");
    }
    assert_eq!(
        test(&dir.path().join("nowhere"), &[]).status.code(),
        Some(1)
    );
}

#[test]
fn inspect_shows_version_subscription_and_schema() {
    let dir = tempfile::tempdir().unwrap();
    audit_log(&dir);
    let shown = json(&portcullis(
        dir.path(),
        &["plugin", "inspect", "--json", "plugins/audit_log.wasm"],
    ));
    assert_eq!(shown["world"], "portcullis:policy@0.1.0: observer");
    assert_eq!(shown["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(shown["config_schema"]["additionalProperties"], false);
    assert_eq!(
        shown["config_schema"]["properties"]["bodies"]["type"],
        "boolean"
    );
    assert_eq!(shown["refused"], Value::Null);
    assert!(shown["bytes"].as_u64().unwrap() > 0);
    assert!(
        shown["imports"]
            .as_array()
            .unwrap()
            .iter()
            .any(|name| name == "portcullis:policy/journal@0.1.0")
    );
}

#[test]
fn inspect_starts_a_component_with_the_configuration_that_it_is_given() {
    let dir = tempfile::tempdir().unwrap();
    plugin(&dir, "presence-filter");
    let inspect = |config: &str, more: &[&str]| {
        fs::write(dir.path().join("config.toml"), config).unwrap();
        let mut words = vec!["plugin", "inspect", "plugins/presence_filter.wasm"];
        words.extend(["--with", "config.toml"]);
        words.extend(more);
        portcullis(dir.path(), &words)
    };
    let told = json(&inspect("outbound = 'none'", &["--json"]));
    assert_eq!(told["not_started"], Value::Null, "{told}");
    let kinds = told["subscription"]["kinds"].as_array().unwrap();
    assert!(kinds.iter().any(|kind| kind == "presence"), "{told}");

    // What it does not take is told with the nearest key, and is no fault of the component.
    let wrong = inspect("outbond = 'none'", &[]);
    assert!(wrong.status.success(), "{}", text(&wrong));
    for said in [
        "it does not start with this configuration",
        "unknown key `outbond`",
        "--with FILE",
    ] {
        assert!(text(&wrong).contains(said), "{said}: {}", text(&wrong));
    }
    let broken = inspect("this is no [toml", &[]);
    assert_eq!(broken.status.code(), Some(1));
    assert!(text(&broken).contains("config.toml"), "{}", text(&broken));
}

#[test]
fn a_component_holds_no_path_of_the_machine_that_built_it() {
    let dir = tempfile::tempdir().unwrap();
    plugin(&dir, "audit-log");
    let component = fs::read(dir.path().join("plugins/audit_log.wasm")).unwrap();
    let holds = |text: &str| {
        let bytes = text.as_bytes();
        component.windows(bytes.len()).any(|part| part == bytes)
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let root = root.canonicalize().unwrap();
    let home = std::env::var("HOME").unwrap();
    let cargo_home = std::env::var("CARGO_HOME").unwrap_or(format!("{home}/.cargo"));
    for path in [
        root.to_str().unwrap(),
        &cargo_home,
        ".cargo/registry",
        ".rustup",
    ] {
        assert!(!holds(path), "{path} is in it");
    }
    // A panic goes on to name its place, in the author's sources and in others'.
    assert!(holds("plugin-sdk/src/"), "a place in the SDK");
}
