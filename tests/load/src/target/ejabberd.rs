//! ejabberd in front of a component: its own Erlang VM, without `ejabberdctl`, which wants to be root.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Certificates, OWN, SECRET, Target, free};
use crate::arguments::Subject;
use crate::process::{Program, installed};

/// What is loaded where there is a policy.
pub(super) const POLICY: &str = "mod_bench_policy";

const MODULE: &str = include_str!("../../policies/mod_bench_policy.erl");

pub(super) fn start(subject: &Subject, certificates: &Certificates, policy: &[&str]) -> Target {
    let dir = certificates.path();
    let ebin = ebin();
    if !policy.is_empty() {
        compile(&ebin, dir);
    }
    let [partners, component] = [free(), free()];
    let config = dir.join("ejabberd.yml");
    let ports = [partners.port(), component.port()];
    std::fs::write(&config, text(certificates, ports, policy)).unwrap();
    let (home, path) = (dir.display().to_string(), ebin.display().to_string());
    // As ejabberdctl starts it, but for the node's name: nobody else is in the cluster.
    let arguments = [
        "+K",
        "true",
        "+P",
        "250000",
        "-noinput",
        "-pa",
        &path,
        "-pa",
        &home,
        "-mnesia",
        "dir",
        &format!("\"{home}/mnesia\""),
        "-ejabberd",
        "quiet",
        "true",
        "-s",
        "ejabberd",
    ];
    let ejabberd = Program {
        program: installed("erl").unwrap(),
        arguments: arguments.map(str::to_owned).to_vec(),
        environment: vec![
            ("EJABBERD_CONFIG_PATH", config.display().to_string()),
            ("EJABBERD_LOG_PATH", format!("{home}/ejabberd.log")),
            ("ERL_CRASH_DUMP_BYTES", "0".to_owned()),
            ("HOME", home.clone()),
        ],
        log: dir.join("erl.log"),
        processors: subject.processors,
    };
    Target {
        process: ejabberd.until_it_listens(&[partners, component]),
        outside: partners,
        inside: partners,
        component: Some(component),
    }
}

/// Where the package has put it: `/usr/lib/<machine>/ejabberd-<version>/ebin`.
fn ebin() -> PathBuf {
    let inside = |directory: &Path| {
        let entries = std::fs::read_dir(directory).into_iter().flatten();
        entries.flatten().map(|entry| entry.path())
    };
    inside(Path::new("/usr/lib"))
        .flat_map(|machine| inside(&machine))
        .chain(inside(Path::new("/usr/lib/erlang/lib")))
        .map(|place| place.join("ebin"))
        .find(|ebin| ebin.join("ejabberd.beam").is_file())
        .expect("ejabberd's directory below /usr/lib")
}

fn compile(ebin: &Path, dir: &Path) {
    let source = dir.join("mod_bench_policy.erl");
    std::fs::write(&source, MODULE).unwrap();
    let done = Command::new(installed("erlc").unwrap())
        .arg("-pa")
        .args([ebin, Path::new("-o"), dir, &source])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "the policy does not compile: {said}");
}

/// No shaper is named: nobody is slowed down.
fn text(certificates: &Certificates, [partners, component]: [u16; 2], policy: &[&str]) -> String {
    let identity = certificates.pki.partner(&[OWN]);
    let bundle = certificates.path().join("ejabberd.pem");
    let parts = [&identity.file, &identity.key_file].map(|file| std::fs::read(file).unwrap());
    std::fs::write(&bundle, parts.concat()).unwrap();
    let modules: String = match policy {
        [] => " {}\n".to_owned(),
        some => some
            .iter()
            .map(|name| format!("\n  {name}: {{}}\n"))
            .collect(),
    };
    format!(
        "hosts: [local.load]\nloglevel: warning\ncertfiles: [\"{bundle}\"]\nca_file: \"{trust}\"\ns2s_cafile: \"{trust}\"\n\
         s2s_use_starttls: required\naccess_rules: {{ s2s: {{ allow: all }} }}\nlisten:\n\
         \x20 - {{port: {partners}, ip: \"127.0.0.1\", module: ejabberd_s2s_in, max_stanza_size: 524288}}\n\
         \x20 - {{port: {component}, ip: \"127.0.0.1\", module: ejabberd_service, check_from: false, global_routes: true, \
         max_stanza_size: 524288, hosts: {{{OWN}: {{password: {SECRET}}}}}}}\n\
         modules:{modules}",
        bundle = bundle.display(),
        trust = certificates.pki.public.file.display(),
    )
}
