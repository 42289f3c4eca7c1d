//! The demo's files: certificates and the configuration, in one temporary directory.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use portcullis_xmpp::jid::Domain;

use super::Failed;
use crate::config::{Identity, Revocation, Trust};
use crate::tls::Settings;
use crate::tls::ca::{self, Authority, Plan};

/// Where the demo would like to be, as a real gateway.
const FEDERATION: u16 = 5269;
const INTERNAL: u16 = 23456;
const ADMIN: u16 = 9269;

/// Certificates of everybody.
pub(super) struct Certificates {
    dir: PathBuf,
    authority: Authority,
}

impl Certificates {
    /// Makes an authority for the outside, and by `ca init` those for the inside.
    pub(super) fn make(dir: &Path, own: &Domain) -> Result<Self, Failed> {
        let failed = |error: &dyn ToString| Failed::new("certificates", error.to_string());
        let authority =
            Authority::unconstrained("Portcullis demo CA").map_err(|error| failed(&error))?;
        write(&dir.join("public-ca.pem"), authority.certificate())?;
        let plan = Plan {
            domains: vec![own.clone()],
            servers: vec![vec![own.clone()]],
        };
        ca::init(&dir.join("ca"), &plan).map_err(|error| failed(&error))?;
        Ok(Self {
            dir: dir.to_owned(),
            authority,
        })
    }

    /// A certificate by the outside's authority; `file` begins the names of its two files.
    pub(super) fn issue(&self, file: &str, domain: &Domain) -> Result<Identity, Failed> {
        let pair = self
            .authority
            .issue(std::slice::from_ref(domain))
            .map_err(|error| Failed::new(format!("a certificate for {domain}"), error))?;
        let identity = Identity {
            domains: vec![domain.clone()],
            certificate: self.dir.join(format!("{file}.pem")),
            key: self.dir.join(format!("{file}.key")),
        };
        write(&identity.certificate, &pair.certificate)?;
        write(&identity.key, &pair.key)?;
        // As the gateway asks of every private key.
        fs::set_permissions(&identity.key, Permissions::from_mode(0o600))
            .map_err(|error| Failed::new(format!("the key of {domain}"), error))?;
        Ok(identity)
    }

    /// What a partner shows and believes.
    pub(super) fn partner(&self, domain: &Domain) -> Result<Settings, Failed> {
        let identity = self.issue(domain.as_str(), domain)?;
        Ok(settings(identity, self.dir.join("public-ca.pem")))
    }

    /// What the internal server shows and believes: only what `ca init` made.
    pub(super) fn internal(&self, own: &Domain) -> Settings {
        let ca = self.dir.join("ca");
        let identity = Identity {
            domains: vec![own.clone()],
            certificate: ca.join(format!("{own}.pem")),
            key: ca.join(format!("{own}.key")),
        };
        settings(identity, ca.join("internal-servers-trust.pem"))
    }
}

fn settings(identity: Identity, trust: PathBuf) -> Settings {
    Settings {
        own_domains: identity.domains.iter().cloned().collect(),
        identities: vec![identity.clone()],
        trust: vec![Trust::File(trust.clone())],
        partner_trust: Vec::new(),
        crls: Vec::new(),
        revocation: Revocation::default(),
        internal: Identity {
            domains: Vec::new(),
            ..identity
        },
        client_ca: trust,
        internal_crls: Vec::new(),
        internal_revocation: Revocation::default(),
        mint: None,
    }
}

/// Where the gateway will listen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    pub(super) federation: SocketAddr,
    pub(super) internal: SocketAddr,
    pub(super) admin: SocketAddr,
}

impl Ports {
    /// The usual ports where they are free, others where not; `told` hears of each that is taken.
    pub(super) fn free(mut told: impl FnMut(u16, u16)) -> Result<Self, Failed> {
        let mut choose = |wanted: u16| -> Result<SocketAddr, Failed> {
            let free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port))?.local_addr();
            if let Ok(address) = free(wanted) {
                return Ok(address);
            }
            let other = free(0).map_err(|error: io::Error| Failed::new("a free port", error))?;
            told(wanted, other.port());
            Ok(other)
        };
        Ok(Self {
            federation: choose(FEDERATION)?,
            internal: choose(INTERNAL)?,
            admin: choose(ADMIN)?,
        })
    }
}

/// What of the configuration changes from run to run.
pub(super) struct Configuration<'c> {
    pub(super) dir: &'c Path,
    pub(super) plugins_dir: &'c Path,
    pub(super) ports: Ports,
    pub(super) dns: SocketAddr,
    pub(super) server: SocketAddr,
}

impl Configuration<'_> {
    /// Where it is written.
    pub(super) fn file(&self) -> PathBuf {
        self.dir.join("portcullis.toml")
    }

    /// Writes it whole, replacing the one before in one step: a watcher sees no half of it.
    pub(super) fn write(&self, allow: &[&str]) -> Result<(), Failed> {
        let whole = self.text(allow);
        let failed = |error: io::Error| Failed::new("writing the configuration", error);
        let mut new = tempfile::NamedTempFile::new_in(self.dir).map_err(failed)?;
        new.write_all(whole.as_bytes()).map_err(failed)?;
        new.persist(self.file())
            .map_err(|error| failed(error.error))?;
        Ok(())
    }

    fn text(&self, allow: &[&str]) -> String {
        let Ports {
            federation,
            internal,
            admin,
        } = self.ports;
        let (plugins_dir, dns, server) = (self.plugins_dir.display(), self.dns, self.server);
        let allow: Vec<_> = allow.iter().map(|domain| format!("\"{domain}\"")).collect();
        let allow = allow.join(", ");
        format!(
            r#"[gateway]
domains = ["org.test"]
data_dir = "data"
plugins_dir = '{plugins_dir}'

[federation]
listen = ["{federation}"]
certificate = "org.test.pem"
key = "org.test.key"
trust = ["public-ca.pem"]

[internal]
listen = ["{internal}"]
certificate = "ca/gateway.pem"
key = "ca/gateway.key"
client_ca = "ca/internal-ca.pem"
mint = {{ ca = "ca/mint-ca.pem", key = "ca/mint-ca.key" }}

[[internal.server]]
domains = ["org.test"]
connect = ["{server}"]

[dns]
servers = ["{dns}"]
allow_private = true

[[partner]]
domain = "alpha.test"
type = "federated"
dialback = false
description = "the demo's first partner"

[[plugin]]
name = "allowlist"
component = "partner_allowlist.wasm"
[plugin.config]
allow = [{allow}]

[[plugin]]
name = "presence"
component = "presence_filter.wasm"
[plugin.config]
outbound = "show"

[[plugin]]
name = "audit"
component = "audit_log.wasm"

[admin]
listen = "{admin}"
"#
        )
    }
}

fn write(file: &Path, text: &str) -> Result<(), Failed> {
    fs::write(file, text).map_err(|error| Failed::new(file.display().to_string(), error))
}
