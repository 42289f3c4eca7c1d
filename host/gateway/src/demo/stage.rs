//! Everything that takes part in the demo, built and running.

use std::collections::BTreeMap;
use std::path::PathBuf;

use portcullis_xmpp::jid::Domain;
use tempfile::TempDir;

use super::files::{Certificates, Configuration, Ports};
use super::server::Server;
use super::{Failed, dns, plugins};
use crate::app::{self, Running};
use crate::cli::terminal::{Level, Terminal};
use crate::config::Config;

/// Whom the allowlist names at the beginning. alpha.test needs no entry: a partner record names it.
pub(super) const ALLOWED_FIRST: [&str; 1] = ["beta.test"];

/// See the module.
pub(super) struct Stage {
    pub(super) terminal: Terminal,
    pub(super) gateway: Running,
    pub(super) org: Server,
    pub(super) alpha: Server,
    pub(super) beta: Server,
    pub(super) gamma: Server,
    pub(super) ports: Ports,
    plugins_dir: PathBuf,
    dns: std::net::SocketAddr,
    dir: TempDir,
}

impl Stage {
    /// Makes and starts all of it.
    pub(super) async fn build(terminal: Terminal) -> Result<Self, Failed> {
        terminal.line(&terminal.painted(
            "1",
            "Portcullis demo: a gateway, an internal server, two partners and a stranger",
        ));
        terminal.heading("The stage is built");
        let plugins_dir = tokio::task::spawn_blocking(move || plugins::directory(terminal))
            .await
            .map_err(|error| Failed::new("the plugins", error))??;
        let dir = tempfile::Builder::new()
            .prefix("portcullis-demo-")
            .tempdir()
            .map_err(|error| Failed::new("a temporary directory", error))?;

        let domain = |name: &str| Domain::parse(name).map_err(|error| Failed::new(name, error));
        let own = domain("org.test")?;
        let certificates = Certificates::make(dir.path(), &own)?;
        certificates.issue("org.test", &own)?;
        let org = Server::start(&own, certificates.internal(&own)).await?;
        let mut partners = Vec::new();
        for name in ["alpha.test", "beta.test", "gamma.test"] {
            let name = domain(name)?;
            partners.push(Server::start(&name, certificates.partner(&name)?).await?);
        }
        let ports: BTreeMap<_, _> = partners
            .iter()
            .map(|partner| (partner.domain.to_string(), partner.address.port()))
            .collect();
        let dns = dns::serve(ports)
            .await
            .map_err(|error| Failed::new("the demo's DNS", error))?;
        terminal.mark(
            Level::Ok,
            &format!("an internal server, org.test, on {}", org.address),
            None,
        );
        for partner in &partners {
            let text = format!("{} on {}", partner.domain, partner.address);
            terminal.mark(Level::Ok, &text, None);
        }
        terminal.mark(
            Level::Ok,
            &format!("DNS with their SRV records on {dns}"),
            None,
        );

        let ports = Ports::free(|wanted, other| {
            let text = format!("port {wanted} is taken: {other} instead");
            terminal.mark(Level::Warning, &text, None);
        })?;
        let configuration = Configuration {
            dir: dir.path(),
            plugins_dir: &plugins_dir,
            ports,
            dns,
            server: org.address,
        };
        configuration.write(&ALLOWED_FIRST)?;
        let config = Config::load(&configuration.file())
            .map_err(|rejected| Failed::new("the configuration", rejected))?;
        let gateway = app::start(config)
            .await
            .map_err(|error| Failed::new("the gateway", error))?;
        terminal.mark(Level::Ok, &gateway.to_string(), None);

        let mut partners = partners.into_iter();
        let mut next = || {
            partners
                .next()
                .ok_or_else(|| Failed::new("the partners", "one is missing"))
        };
        Ok(Self {
            terminal,
            gateway,
            org,
            alpha: next()?,
            beta: next()?,
            gamma: next()?,
            ports,
            plugins_dir,
            dns,
            dir,
        })
    }

    /// Writes the configuration again, with another allowlist.
    pub(super) fn allow(&self, domains: &[&str]) -> Result<(), Failed> {
        self.configuration().write(domains)
    }

    /// Where the audit journal is.
    pub(super) fn journal(&self) -> PathBuf {
        self.dir.path().join("data/audit")
    }

    /// Says what a curious operator could do now.
    pub(super) fn what_to_try_next(&self) {
        let file = self.configuration().file();
        let (file, admin) = (file.display(), self.ports.admin);
        let terminal = self.terminal;
        terminal.heading("The gateway stays up. In another terminal:");
        for (command, what) in [
            (format!("portcullis status --config {file}"), "what it does"),
            (
                format!("$EDITOR {file}"),
                "change the allowlist, or break it: status says why nothing changed",
            ),
            (
                format!("portcullis check --config {file}"),
                "what is wrong with it, line by line",
            ),
            (
                format!("portcullis audit verify --config {file}"),
                "whether the journal is whole",
            ),
            (
                format!("tail -f {}/current.jsonl", self.journal().display()),
                "each decision as it falls",
            ),
            (format!("curl -s http://{admin}/metrics"), "the numbers"),
        ] {
            terminal.line(&format!(
                "  {command}\n      {}",
                terminal.painted("2", what)
            ));
        }
        terminal.line("\nCtrl-C ends it and takes the temporary directory away.");
    }

    /// Drains the gateway.
    pub(super) async fn end(self) -> Result<(), Failed> {
        let drained = self.gateway.shutdown().await;
        if !drained.is_clean() {
            return Err(Failed::new("the end", drained));
        }
        self.terminal
            .mark(Level::Ok, &format!("the gateway has {drained}"), None);
        Ok(())
    }

    fn configuration(&self) -> Configuration<'_> {
        Configuration {
            dir: self.dir.path(),
            plugins_dir: &self.plugins_dir,
            ports: self.ports,
            dns: self.dns,
            server: self.org.address,
        }
    }
}
