//! What stands around a gateway: the organisation's server org.test, partners, certificates.
//!
//! alpha.test is a partner whose server behaves, so that errors find their way back; tests that want
//! it otherwise put a [`Listener`](crate::Listener) in its place. Nobody knows gamma.test.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use portcullis_test_support::{Behaviour, Identity, Pki, Server};
use tempfile::TempDir;

use crate::{Gateway, Node, Peer, Show, ns};

/// A directory and authorities, before anything runs.
pub struct Bare {
    dir: TempDir,
    /// All certificates.
    pub pki: Pki,
}

/// The first step: partners need certificates before the gateway is there.
pub fn bare() -> Bare {
    let dir = tempfile::tempdir().unwrap();
    let pki = Pki::new(dir.path(), &["org.test", "second.test"]);
    Bare { dir, pki }
}

/// A partner's record.
#[derive(Debug, Clone)]
pub struct Partner {
    /// Its domain.
    pub domain: &'static str,
    /// Where it is; none leaves that to DNS.
    pub address: Option<SocketAddr>,
    /// Further keys, as TOML.
    pub more: &'static str,
}

/// What differs from one test to the next.
pub struct Plan {
    /// The organisation's domains; its server has only org.test.
    pub domains: Vec<&'static str>,
    /// How alpha.test's own server takes streams.
    pub alpha: Behaviour,
    /// Where alpha.test is instead, if the test plays it.
    pub alpha_at: Option<SocketAddr>,
    /// Further keys of alpha.test's record, as TOML.
    pub record: &'static str,
    /// Other partners.
    pub partners: Vec<Partner>,
    /// How org.test's server takes streams.
    pub org: Behaviour,
    /// Where org.test is instead, if the test plays it.
    pub org_at: Option<SocketAddr>,
    /// Further keys, by section, as TOML.
    pub keys: Vec<(&'static str, String)>,
    /// Anything else, as TOML.
    pub more: String,
    /// The resolver; none: nobody answers.
    pub dns: Option<SocketAddr>,
    /// `[dns].allow_private`
    pub private: &'static str,
    /// Where components are.
    pub plugins: Option<PathBuf>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            domains: vec!["org.test"],
            alpha: Behaviour::StartTls,
            alpha_at: None,
            record: "",
            partners: Vec::new(),
            org: Behaviour::StartTls,
            org_at: None,
            keys: Vec::new(),
            more: String::new(),
            dns: None,
            private: "true",
            plugins: None,
        }
    }
}

/// A gateway and what is around it.
pub struct Stage {
    dir: TempDir,
    /// All certificates.
    pub pki: Pki,
    /// The program.
    pub gateway: Gateway,
    /// alpha.test's server.
    pub alpha: Server,
    /// What alpha.test shows.
    pub alpha_identity: Identity,
    /// org.test's server.
    pub org: Server,
    /// What org.test's server shows.
    pub org_identity: Identity,
    plan: Plan,
    certificates: [Identity; 2],
}

/// How far a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// TCP stands, nothing was said.
    Connected,
    /// In the clear, the features were read.
    Clear,
    /// TLS stands by STARTTLS, nothing was said inside.
    Secured,
    /// The features inside TLS were read.
    Authenticating,
    /// `<success/>` was read, the new header was not sent.
    Restarting,
    /// Stanzas may flow.
    Established,
}

impl At {
    /// All of them, in order.
    pub const ALL: [Self; 6] = [
        Self::Connected,
        Self::Clear,
        Self::Secured,
        Self::Authenticating,
        Self::Restarting,
        Self::Established,
    ];
}

impl Bare {
    /// A path in the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Starts the servers and the gateway.
    pub async fn start(self, plan: Plan) -> Stage {
        let Self { dir, pki } = self;
        let org_identity = pki.internal_server(&["org.test"]);
        let alpha_identity = pki.partner(&["alpha.test"]);
        let org = Server::start(&org_identity, plan.org).await;
        let alpha = Server::start(&alpha_identity, plan.alpha).await;
        let certificates = [
            pki.partner(&["org.test", "second.test"]),
            pki.internal_server(&["gateway.org.test"]),
        ];
        std::fs::create_dir(dir.path().join("plugins")).unwrap();
        let file = dir.path().join("portcullis.toml");
        let text = text(dir.path(), &pki, &plan, [&alpha, &org], &certificates);
        std::fs::write(&file, text).unwrap();
        let gateway = Gateway::start(&file, &dir.path().join("data")).await;
        Stage {
            dir,
            pki,
            gateway,
            alpha,
            alpha_identity,
            org,
            org_identity,
            plan,
            certificates,
        }
    }
}

fn text(
    dir: &Path,
    pki: &Pki,
    plan: &Plan,
    [alpha, org]: [&Server; 2],
    [federation, internal]: &[Identity; 2],
) -> String {
    let plugins = plan.plugins.clone().unwrap_or_else(|| dir.join("plugins"));
    let resolver = plan.dns.map_or("127.0.0.1:1".to_owned(), |a| a.to_string());
    let mut sections: Vec<(&str, String)> = vec![
        (
            "gateway",
            format!(
                "domains = {:?}\ndata_dir = '{}'\nplugins_dir = '{}'",
                plan.domains,
                dir.join("data").display(),
                plugins.display()
            ),
        ),
        (
            "federation",
            format!(
                "listen = ['127.0.0.1:0']\ncertificate = '{}'\nkey = '{}'\ntrust = ['{}']",
                federation.file.display(),
                federation.key_file.display(),
                pki.public.file.display()
            ),
        ),
        (
            "internal",
            format!(
                "listen = ['127.0.0.2:0']\ncertificate = '{}'\nkey = '{}'\nclient_ca = '{}'\nmint = {{ ca = '{}', key = '{}' }}",
                internal.file.display(),
                internal.key_file.display(),
                pki.internal.file.display(),
                pki.mint.file.display(),
                pki.mint.key_file.display()
            ),
        ),
        (
            "dns",
            format!("servers = ['{resolver}']\nallow_private = {}", plan.private),
        ),
        ("timeouts", String::new()),
        ("limits", String::new()),
        ("admin", "listen = '127.0.0.3:0'".to_owned()),
    ];
    // All of a test's peers come from one address, or from few.
    if !plan.keys.iter().any(|(_, keys)| keys.contains("attempts_")) {
        sections[5].1.push_str("attempts_per_minute = 1000000");
    }
    for (name, keys) in &plan.keys {
        let of_name = sections.iter_mut().find(|(section, _)| section == name);
        let (_, text) = of_name.unwrap_or_else(|| panic!("no section {name}"));
        write!(text, "\n{keys}").unwrap();
    }
    let mut text = String::new();
    for (name, keys) in sections {
        writeln!(text, "[{name}]\n{keys}").unwrap();
    }
    writeln!(
        text,
        "[[internal.server]]\ndomains = ['org.test']\nconnect = ['{}']\ntls = '{}'",
        plan.org_at.unwrap_or(org.address),
        if plan.org == Behaviour::Direct {
            "direct"
        } else {
            "starttls"
        }
    )
    .unwrap();
    let alpha = Partner {
        domain: "alpha.test",
        address: Some(plan.alpha_at.unwrap_or(alpha.address)),
        more: plan.record,
    };
    for partner in [&alpha].into_iter().chain(&plan.partners) {
        writeln!(text, "[[partner]]\ndomain = '{}'", partner.domain).unwrap();
        if let Some(address) = partner.address {
            writeln!(text, "proxy = '{address}'").unwrap();
        }
        writeln!(text, "{}", partner.more).unwrap();
    }
    text.push_str(&plan.more);
    text
}

impl Stage {
    /// With everything as usual.
    pub async fn usual() -> Self {
        bare().start(Plan::default()).await
    }

    /// `[gateway].data_dir`
    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Changes the plan, writes the configuration anew and lets the gateway read it.
    pub async fn rewrite(&mut self, change: impl FnOnce(&mut Plan)) -> serde_json::Value {
        change(&mut self.plan);
        let servers = [&self.alpha, &self.org];
        let text = text(
            self.dir.path(),
            &self.pki,
            &self.plan,
            servers,
            &self.certificates,
        );
        std::fs::write(self.dir.path().join("portcullis.toml"), text).unwrap();
        self.gateway.reload().await
    }

    /// alpha.test opens a stream to org.test and gets this far.
    pub async fn outside(&self, at: At) -> Peer {
        let show = Show::Certificate(&self.alpha_identity);
        self.outside_as("alpha.test", &show, at).await
    }

    /// Somebody opens a stream to org.test and gets this far.
    pub async fn outside_as(&self, from: &str, show: &Show<'_>, at: At) -> Peer {
        reach(self.gateway.federation, from, "org.test", show, at).await
    }

    /// The next stanza that reaches org.test's server.
    pub async fn org_gets(&mut self) -> Node {
        Node::parse(&self.org.stanza().await)
    }

    /// The next stanza that reaches alpha.test's server.
    pub async fn alpha_gets(&mut self) -> Node {
        Node::parse(&self.alpha.stanza().await)
    }

    /// org.test opens a stream to alpha.test, through the gateway, and gets this far.
    pub async fn inside(&self, at: At) -> Peer {
        self.inside_to("alpha.test", at).await
    }

    /// org.test opens a stream to somebody and gets this far.
    pub async fn inside_to(&self, to: &str, at: At) -> Peer {
        let show = Show::Certificate(&self.org_identity);
        reach(self.gateway.internal, "org.test", to, &show, at).await
    }
}

/// Leads a stream to where it should be.
async fn reach(address: SocketAddr, from: &str, to: &str, show: &Show<'_>, at: At) -> Peer {
    let mut peer = Peer::connect(address).await;
    if at == At::Connected {
        return peer;
    }
    peer.open(from, to).await;
    peer.features().await;
    if at == At::Clear {
        return peer;
    }
    peer.start_tls(show, to).await;
    if at == At::Secured {
        return peer;
    }
    peer.open(from, to).await;
    peer.features().await;
    if at == At::Authenticating {
        return peer;
    }
    peer.external().await;
    if at == At::Restarting {
        return peer;
    }
    peer.open(from, to).await;
    peer.features().await;
    peer
}

impl Peer {
    /// STARTTLS, from `<starttls/>` to the end of the handshake.
    pub async fn start_tls(&mut self, show: &Show<'_>, to: &str) {
        self.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
            .await;
        self.expect(ns::TLS, "proceed").await;
        let secured = self.secure(show.client(), to).await;
        secured.unwrap_or_else(|error| panic!("TLS: {error}{}", self.conversation()));
    }

    /// SASL EXTERNAL as usual.
    pub async fn external(&mut self) {
        self.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>")
            .await;
        self.expect(ns::SASL, "success").await;
        self.restart();
    }
}
