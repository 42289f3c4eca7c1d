//! What is measured: started, with everything that it needs in a directory of its own.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use portcullis_test_support::{Identity, Pki};
use serde_json::Value;
use tempfile::TempDir;

use crate::arguments::{Plan, TargetKind};
use crate::process::Process;

/// The organisation's domain.
pub(crate) const OWN: &str = "org.test";

/// The domain of the partner that a stream belongs to.
pub(crate) fn partner(stream: u16) -> String {
    format!("p{stream}.load.test")
}

/// Who shows what.
pub(crate) struct Certificates {
    pub(crate) dir: TempDir,
    pub(crate) pki: Pki,
    /// All partners': they differ in the name that they speak in.
    pub(crate) partners: Identity,
    pub(crate) own: Identity,
}

impl Certificates {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let pki = Pki::new(dir.path(), &[OWN]);
        Self {
            partners: pki.partner(&["*.load.test"]),
            own: pki.internal_server(&[OWN]),
            dir,
            pki,
        }
    }
}

/// A target that lets both ends in.
pub(crate) struct Target {
    pub(crate) process: Process,
    /// Where partners connect to.
    pub(crate) outside: SocketAddr,
    /// Where the organisation's server connects to.
    pub(crate) inside: SocketAddr,
}

impl Target {
    /// `ends`: where it delivers to the organisation, and to partners.
    pub(crate) fn start(plan: &Plan, certificates: &Certificates, ends: [SocketAddr; 2]) -> Self {
        match plan.target {
            TargetKind::Gateway => gateway(plan, certificates, ends),
            TargetKind::RelayCopy => relay(certificates, ends[0], &[]),
            TargetKind::RelayFrameEach => relay(certificates, ends[0], &["--frame-each"]),
        }
    }
}

fn gateway(plan: &Plan, certificates: &Certificates, ends: [SocketAddr; 2]) -> Target {
    let dir = certificates.dir.path();
    let file = dir.join("portcullis.toml");
    std::fs::write(&file, config(plan, certificates, ends)).unwrap();
    let program = plan.gateway.clone().unwrap_or_else(|| beside("portcullis"));
    let run = [
        "run",
        "--config",
        &file.display().to_string(),
        "--log",
        "warn",
    ]
    .map(str::to_owned);
    let (process, _ready) = Process::start(&program, &run, &dir.join("gateway.log"));
    let status = std::process::Command::new(&program)
        .args(["status", "--json", "--config"])
        .arg(&file)
        .output()
        .unwrap();
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    let address = |name: &str| {
        let listeners = status["listeners"].as_array().unwrap();
        let listener = listeners.iter().find(|listener| listener["name"] == name);
        listener.unwrap()["address"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap()
    };
    Target {
        process,
        outside: address("federation"),
        inside: address("internal"),
    }
}

/// No limit that a partner would meet is lifted but those on connections: one machine plays them all.
fn config(plan: &Plan, certificates: &Certificates, [own, partners]: [SocketAddr; 2]) -> String {
    let (pki, dir) = (&certificates.pki, certificates.dir.path().display());
    let federation = pki.partner(&[OWN]);
    let internal = pki.internal_server(&[&format!("gateway.{OWN}")]);
    let plugins_dir = match &plan.plugins {
        Some(plugins) => std::path::absolute(plugins).unwrap(),
        None => certificates.dir.path().to_owned(),
    };
    let mut text = format!(
        "[gateway]\ndomains = ['{OWN}']\ndata_dir = '{dir}/data'\nplugins_dir = '{}'\n\
         [federation]\nlisten = ['127.0.0.1:0']\ncertificate = '{}'\nkey = '{}'\ntrust = ['{}']\n\
         [internal]\nlisten = ['127.0.0.1:0']\ncertificate = '{}'\nkey = '{}'\nclient_ca = '{}'\n\
         mint = {{ ca = '{}', key = '{}' }}\n\
         [[internal.server]]\ndomains = ['{OWN}']\nconnect = ['{own}']\ntls = 'starttls'\n\
         [dns]\nservers = ['127.0.0.1:1']\nallow_private = true\n\
         [limits]\nconnections = 100000\nconnections_per_address = 100000\nattempts_per_minute = 1000000\n",
        plugins_dir.display(),
        federation.file.display(),
        federation.key_file.display(),
        pki.public.file.display(),
        internal.file.display(),
        internal.key_file.display(),
        pki.internal.file.display(),
        pki.mint.file.display(),
        pki.mint.key_file.display(),
    );
    for stream in 0..plan.streams {
        let domain = partner(stream);
        writeln!(
            text,
            "[[partner]]\ndomain = '{domain}'\ntype = 'federated'\nproxy = '{partners}'"
        )
        .unwrap();
    }
    if plan.plugins.is_some() {
        for (name, component) in [
            ("allowlist", "partner_allowlist"),
            ("presence", "presence_filter"),
            ("audit", "audit_log"),
        ] {
            writeln!(
                text,
                "[[plugin]]\nname = '{name}'\ncomponent = '{component}.wasm'"
            )
            .unwrap();
        }
    }
    text
}

fn relay(certificates: &Certificates, to: SocketAddr, more: &[&str]) -> Target {
    let dir = certificates.dir.path();
    // Both sides believe the same authority, and the relay shows each what it wants to see.
    let identity = certificates.pki.partner(&[OWN, "relay.load.test"]);
    let arguments = [
        "relay".to_owned(),
        "--identity".to_owned(),
        identity.file.display().to_string(),
        identity.key_file.display().to_string(),
        "--trust".to_owned(),
        certificates.pki.public.file.display().to_string(),
        "--to".to_owned(),
        to.to_string(),
        "--name".to_owned(),
        format!("end.{}", "load.test"),
    ];
    let arguments = arguments
        .into_iter()
        .chain(more.iter().map(|more| (*more).to_owned()));
    let program = std::env::current_exe().unwrap();
    let log = dir.join("relay.log");
    let (process, address) = Process::start(&program, &arguments.collect::<Vec<_>>(), &log);
    let address = address.parse().unwrap();
    Target {
        process,
        outside: address,
        inside: address,
    }
}

/// A program in the directory of this one.
fn beside(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    own.parent().unwrap_or(Path::new(".")).join(name)
}
