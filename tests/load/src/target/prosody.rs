//! Prosody in front of a component.

use std::path::Path;

use super::{Certificates, OWN, SECRET, Target, free};
use crate::arguments::Subject;
use crate::process::{Program, installed};

/// What is loaded where there is a policy.
pub(super) const POLICY: &str = "bench_policy";

const MODULE: &str = include_str!("../../policies/mod_bench_policy.lua");

pub(super) fn start(subject: &Subject, certificates: &Certificates, policy: &[&str]) -> Target {
    let dir = certificates.path();
    std::fs::write(dir.join("mod_bench_policy.lua"), MODULE).unwrap();
    let [partners, component] = [free(), free()];
    let config = dir.join("prosody.cfg.lua");
    let ports = [partners.port(), component.port()];
    std::fs::write(&config, text(certificates, dir, ports, policy)).unwrap();
    let prosody = Program {
        program: installed("prosody").unwrap(),
        arguments: vec!["-F".into(), "--config".into(), config.display().to_string()],
        environment: Vec::new(),
        log: dir.join("prosody.log"),
        processors: subject.processors,
    };
    Target {
        process: prosody.until_it_listens(&[partners, component]),
        outside: partners,
        inside: partners,
        component: Some(component),
    }
}

/// `mod_limits` is not loaded: nobody is slowed down.
fn text(
    certificates: &Certificates,
    dir: &Path,
    [partners, component]: [u16; 2],
    policy: &[&str],
) -> String {
    let identity = certificates.pki.partner(&[OWN]);
    let policy: String = policy.iter().map(|name| format!("\"{name}\";")).collect();
    format!(
        "run_as_root = true\npidfile = \"{dir}/prosody.pid\"\ndata_path = \"{dir}/prosody\"\n\
         plugin_paths = {{ \"{dir}\" }}\n\
         log = {{ {{ levels = {{ min = \"warn\" }}, to = \"file\", filename = \"{dir}/prosody.log\" }} }}\n\
         interfaces = {{ \"127.0.0.1\" }}\ncomponent_interfaces = {{ \"127.0.0.1\" }}\nuse_ipv6 = false\n\
         s2s_ports = {{ {partners} }}\ncomponent_ports = {{ {component} }}\n\
         c2s_ports = {{ }}\nc2s_direct_tls_ports = {{ }}\ns2s_direct_tls_ports = {{ }}\nhttp_ports = {{ }}\nhttps_ports = {{ }}\n\
         network_settings = {{ nagle = false }}\n\
         modules_enabled = {{ \"tls\"; \"saslauth\" }}\nmodules_disabled = {{ \"dialback\"; \"c2s\"; \"http\" }}\n\
         s2s_require_encryption = true\ns2s_secure_auth = true\n\
         ssl = {{ cafile = \"{trust}\", certificate = \"{certificate}\", key = \"{key}\" }}\n\
         VirtualHost \"local.load\"\n\
         Component \"{OWN}\"\n  component_secret = \"{SECRET}\"\n  modules_enabled = {{ {policy} }}\n",
        dir = dir.display(),
        trust = certificates.pki.public.file.display(),
        certificate = identity.file.display(),
        key = identity.key_file.display(),
    )
}
