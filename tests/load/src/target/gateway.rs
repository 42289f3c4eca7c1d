//! Portcullis.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;

use super::{Certificates, FORBIDDEN, OWN, Target, beside, partner};
use crate::arguments::{Links, Subject};
use crate::process::Program;

pub(super) fn start(
    subject: &Subject,
    partners: u16,
    certificates: &Certificates,
    ends: [SocketAddr; 2],
) -> Target {
    let dir = certificates.path();
    let file = dir.join("portcullis.toml");
    std::fs::write(&file, config(subject, partners, certificates, ends)).unwrap();
    let name = file.display().to_string();
    let gateway = Program {
        program: subject
            .gateway
            .clone()
            .unwrap_or_else(|| beside("portcullis")),
        arguments: ["run", "--config", &name, "--log", "warn"]
            .map(str::to_owned)
            .to_vec(),
        environment: Vec::new(),
        log: dir.join("gateway.log"),
        processors: subject.processors,
    };
    let (process, _ready) = gateway.until_it_says_so();
    let [outside, inside] = addresses(&gateway.program, &file);
    Target {
        process,
        outside,
        inside,
        component: None,
    }
}

/// Where partners connect to, and where the organisation's server does.
fn addresses(program: &Path, file: &Path) -> [SocketAddr; 2] {
    let status = std::process::Command::new(program)
        .args(["status", "--json", "--config"])
        .arg(file)
        .output()
        .unwrap();
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    ["federation", "internal"].map(|name| {
        let listeners = status["listeners"].as_array().unwrap();
        let listener = listeners.iter().find(|listener| listener["name"] == name);
        let address = listener.unwrap()["address"].as_str();
        address.unwrap().parse().unwrap()
    })
}

/// No limit that a partner would meet is lifted but those on connections: one machine plays them all.
fn config(
    subject: &Subject,
    partners: u16,
    certificates: &Certificates,
    [own, outside]: [SocketAddr; 2],
) -> String {
    let (pki, dir) = (&certificates.pki, certificates.path().display());
    let federation = pki.partner(&[OWN]);
    let internal = pki.internal_server(&[&format!("gateway.{OWN}")]);
    let plugins_dir = match &subject.plugins {
        Some(plugins) => std::path::absolute(plugins).unwrap(),
        None => certificates.path().to_owned(),
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
    for stream in 0..partners {
        let domain = partner(stream);
        writeln!(
            text,
            "[[partner]]\ndomain = '{domain}'\ntype = 'federated'\nproxy = '{outside}'"
        )
        .unwrap();
    }
    if subject.plugins.is_some() {
        for links in &subject.chain {
            (0..links.count).for_each(|number| text.push_str(&plugin(links, number)));
        }
    }
    text
}

fn plugin(Links { component, .. }: &Links, number: u16) -> String {
    let name = component.replace('_', "-");
    let config = match component.as_str() {
        "content_filter" => format!(
            "[plugin.config.all]\nwords = ['*{FORBIDDEN}*']\nsize = {{ message = '64KiB' }}\n"
        ),
        _ => String::new(),
    };
    format!("[[plugin]]\nname = '{name}-{number}'\ncomponent = '{component}.wasm'\n{config}")
}
