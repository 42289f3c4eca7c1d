//! Portcullis from the outside: a whole gateway in the test's process, over real sockets and TLS.
//!
//! A [`World`] has the organisation's server (org.test, unless the [`Plan`] names another) and the
//! gateway in front of it; the tests add partners, or a second world.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failure here is the failure of a test"
)]

mod admin;
mod plugins;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use portcullis::app::{self, Running};
use portcullis::config::Config;
use portcullis_test_support::{Behaviour, Client, Identity, Item, Mode, PATIENCE, Pki, Server};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

pub use crate::admin::ask;
pub use crate::plugins::{build_plugin, built_plugins, default_chain, default_plugins};

/// What differs from one test to the next.
pub struct Plan {
    /// The organisation's domains; the first server has only the first of them, org.test.
    pub own: Vec<&'static str>,
    /// `[gateway]` beyond what every test needs, as TOML.
    pub gateway: &'static str,
    /// `[federation]` beyond what every test needs, as TOML.
    pub federation: &'static str,
    /// `[internal]` beyond what every test needs, as TOML.
    pub internal: &'static str,
    /// How the first domain's own server takes streams.
    pub org: Behaviour,
    /// Partner records: the domain and the next hop.
    pub partners: Vec<(&'static str, SocketAddr)>,
    /// `[timeouts]`, as TOML.
    pub timeouts: &'static str,
    /// `[dns]`, as TOML; where nothing else is said, nobody answers.
    pub dns: String,
    /// Anything else, as TOML.
    pub more: String,
    /// Where components are.
    pub plugins: Option<PathBuf>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            own: vec!["org.test"],
            gateway: "",
            federation: "",
            internal: "",
            org: Behaviour::StartTls,
            partners: Vec::new(),
            timeouts: "establish = 20",
            dns: "servers = ['127.0.0.1:1']".to_owned(),
            more: String::new(),
            plugins: None,
        }
    }
}

/// See the module.
pub struct World {
    dir: TempDir,
    /// All certificates.
    pub pki: Pki,
    /// Shown by the first domain's server on both sides of its streams.
    pub org_identity: Identity,
    /// Where the gateway delivers stanzas for the first domain.
    pub org: Server,
    org_address: SocketAddr,
    /// The gateway.
    pub gateway: Running,
    plan: Plan,
    certificates: [Identity; 2],
}

/// Certificates of a world that is yet to be made, since partners need theirs before it.
pub struct Prepared {
    dir: TempDir,
    /// All certificates.
    pub pki: Pki,
}

/// The first step: a directory and authorities.
pub fn prepare() -> Prepared {
    prepare_for(&["org.test", "second.test"])
}

/// The first step for a test that loads the gateway: the log tells only what is wrong.
pub fn prepare_quietly() -> Prepared {
    prepare_logging(&["org.test"], "warn")
}

/// The first step for the gateway of an organisation that has other domains.
pub fn prepare_for(own: &[&str]) -> Prepared {
    prepare_logging(own, "portcullis=debug,portcullis_policy=debug")
}

fn prepare_logging(own: &[&str], filter: &str) -> Prepared {
    let log = tracing_subscriber::fmt()
        .with_test_writer()
        .with_env_filter(std::env::var("RUST_LOG").unwrap_or_else(|_| filter.to_owned()));
    // Another test of the same process may have done it.
    let _ = log.try_init();
    let dir = tempfile::tempdir().unwrap();
    let pki = Pki::new(dir.path(), own);
    Prepared { dir, pki }
}

impl Prepared {
    /// Where the configuration will be, and what it names.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A partner's server with a good certificate.
    pub async fn partner(&self, domain: &str, behaviour: Behaviour) -> Server {
        Server::start(&self.pki.partner(&[domain]), behaviour).await
    }

    /// Starts the first domain's server and the gateway.
    pub async fn start(self, plan: Plan) -> World {
        let Self { dir, pki } = self;
        let org_identity = pki.internal_server(&plan.own[..1]);
        let org = Server::start(&org_identity, plan.org).await;
        let name = format!("gateway.{}", plan.own[0]);
        let certificates = [
            pki.partner(&plan.own),
            // Between internal servers the gateway has no minted name to show.
            pki.internal_server(&[&[name.as_str()], &plan.own[..]].concat()),
        ];
        std::fs::create_dir(dir.path().join("plugins")).unwrap();
        let config = text(&dir, &pki, &plan, org.address, &certificates);
        let file = dir.path().join("portcullis.toml");
        std::fs::write(&file, config).unwrap();
        let config = Config::load(&file).unwrap_or_else(|rejected| panic!("{rejected}"));
        let gateway = app::start(config)
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        World {
            dir,
            pki,
            org_identity,
            org_address: org.address,
            org,
            gateway,
            plan,
            certificates,
        }
    }
}

fn text(
    dir: &TempDir,
    pki: &Pki,
    plan: &Plan,
    org: SocketAddr,
    [federation, internal]: &[Identity; 2],
) -> String {
    let plugins = match &plan.plugins {
        Some(plugins) => plugins.clone(),
        None => dir.path().join("plugins"),
    };
    let plugins = plugins.display();
    let (own, inside) = (&plan.own, plan.internal);
    let (gateway, outside) = (plan.gateway, plan.federation);
    let dir = dir.path().display();
    let mut text = format!(
        "[gateway]\ndomains = {own:?}\ndata_dir = '{dir}/data'\nplugins_dir = '{plugins}'\n{gateway}\n\
         [federation]\nlisten = ['127.0.0.1:0']\ncertificate = '{}'\nkey = '{}'\ntrust = ['{}']\n{outside}\n\
         [internal]\nlisten = ['127.0.0.2:0']\ncertificate = '{}'\nkey = '{}'\nclient_ca = '{}'\n\
         mint = {{ ca = '{}', key = '{}' }}\n{inside}\n\
         [[internal.server]]\ndomains = ['{}']\nconnect = ['{}']\ntls = '{}'\n\
         [dns]\n{}\nallow_private = true\n\
         [timeouts]\n{}\n\
         [admin]\nlisten = '127.0.0.3:0'\n",
        federation.file.display(),
        federation.key_file.display(),
        pki.public.file.display(),
        internal.file.display(),
        internal.key_file.display(),
        pki.internal.file.display(),
        pki.mint.file.display(),
        pki.mint.key_file.display(),
        plan.own[0],
        org,
        if plan.org == Behaviour::Direct {
            "direct"
        } else {
            "starttls"
        },
        plan.dns,
        plan.timeouts,
    );
    for (domain, address) in &plan.partners {
        write!(
            text,
            "[[partner]]\ndomain = '{domain}'\nproxy = '{address}'\n"
        )
        .unwrap();
    }
    text.push_str(&plan.more);
    text
}

impl World {
    /// The first domain's server opens a stream to the gateway, for stanzas to `to`.
    pub async fn inside(&self, to: &str, mode: Mode) -> Client {
        let address = self.gateway.addresses().internal[0];
        let from = self.plan.own[0];
        let opened = Client::open(address, &self.org_identity, from, to, mode).await;
        opened.unwrap_or_else(|seen| panic!("{from} is not let in: {seen:?}"))
    }

    /// A partner's server opens a stream to the first domain.
    pub async fn outside(&self, from: &str, mode: Mode) -> Result<Client, Vec<Item>> {
        let address = self.gateway.addresses().federation[0];
        let to = self.plan.own[0];
        Client::open(address, &self.pki.partner(&[from]), from, to, mode).await
    }

    /// Writes the configuration again, with these partners; whole, since the gateway watches it.
    pub fn rewrite(&mut self, partners: Vec<(&'static str, SocketAddr)>) -> PathBuf {
        self.plan.partners = partners;
        let file = self.dir.path().join("portcullis.toml");
        let config = text(
            &self.dir,
            &self.pki,
            &self.plan,
            self.org_address,
            &self.certificates,
        );
        let whole = file.with_extension("new");
        std::fs::write(&whole, config).unwrap();
        std::fs::rename(whole, &file).unwrap();
        file
    }

    /// Replaces the certificate that partners are shown by a new one, in the same files.
    pub fn renew_certificate(&mut self) {
        let renewed = self.pki.partner(&self.plan.own[..1]);
        let current = &self.certificates[0];
        std::fs::copy(&renewed.key_file, &current.key_file).unwrap();
        std::fs::copy(&renewed.file, &current.file).unwrap();
    }

    /// The first domain's server, for a task of its own; another one takes its place here, which
    /// nothing reaches.
    pub async fn take_org(&mut self) -> Server {
        let other = Server::start(&self.org_identity, Behaviour::Mute).await;
        std::mem::replace(&mut self.org, other)
    }

    /// Writes the configuration again in one step, with these partners and this at its end.
    pub fn rewrite_with(&mut self, more: &str, partners: Vec<(&'static str, SocketAddr)>) {
        more.clone_into(&mut self.plan.more);
        self.rewrite(partners);
    }

    /// Writes the configuration again, with this at its end.
    pub fn rewrite_end(&mut self, more: &str) {
        more.clone_into(&mut self.plan.more);
        let partners = std::mem::take(&mut self.plan.partners);
        self.rewrite(partners);
    }

    /// Ends the gateway and starts another one on the same files, with other ports.
    pub async fn restart(self) -> Self {
        let drained = self.gateway.shutdown().await;
        assert!(drained.is_clean(), "{drained:?}");
        let file = self.dir.path().join("portcullis.toml");
        let config = Config::load(&file).unwrap_or_else(|rejected| panic!("{rejected}"));
        let gateway = app::start(config)
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        Self { gateway, ..self }
    }

    /// The audit journal, record by record, without one that is being written.
    pub fn journal(&self) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(self.data_dir().join("audit/current.jsonl")).unwrap();
        text.split_inclusive('\n')
            .filter_map(|line| line.strip_suffix('\n'))
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Where the configuration is, and what it names.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// `[gateway].data_dir`
    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The value of each metric, by name and labels.
    pub fn metrics(&self) -> BTreeMap<String, u64> {
        let text = self.gateway.metrics().unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines
            .filter_map(|line| line.rsplit_once(' '))
            .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
            .collect()
    }

    /// The sum of a metric over all labels that contain `label`.
    pub fn sum(&self, name: &str, label: &str) -> u64 {
        let metrics = self.metrics();
        let of = |key: &str| key.split('{').next() == Some(name) && key.contains(label);
        metrics
            .iter()
            .filter(|(key, _)| of(key))
            .map(|(_, value)| value)
            .sum()
    }

    /// Waits until as many stanzas have ended as were received, and that is `received`.
    pub async fn at_rest(&self, received: u64) {
        let counted = || {
            (
                self.sum("portcullis_stanzas_received_total", ""),
                self.sum("portcullis_stanzas_total", ""),
            )
        };
        self.until(
            || counted() == (received, received),
            || format!("{:?} of {received}", counted()),
        )
        .await;
    }

    /// Waits for something that no event tells of.
    pub async fn until(&self, mut condition: impl FnMut() -> bool, state: impl Fn() -> String) {
        let deadline = Instant::now() + PATIENCE;
        while !condition() {
            assert!(Instant::now() < deadline, "still not so: {}", state());
            sleep(std::time::Duration::from_millis(10)).await;
        }
    }
}
