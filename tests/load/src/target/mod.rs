//! What is measured: started, with everything that it needs in a directory of its own.
//!
//! In: who it is, the certificates of all, and where it shall deliver. Out: a process that lets both ends
//! in. Fails, with the target's own words, where it does not start; [`missing`] tells beforehand of a
//! program that is not installed.

mod ejabberd;
mod gateway;
mod haproxy;
mod prosody;
mod relay;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use portcullis_test_support::{Identity, Pki};
use tempfile::TempDir;

use crate::arguments::{Duty, Subject, TargetKind};
use crate::process::{Process, installed};

/// The organisation's domain.
pub(crate) const OWN: &str = "org.test";
/// What a relay proves to be.
pub(crate) const RELAY: &str = "relay.load.test";
/// What every policy keeps out.
pub(crate) const FORBIDDEN: &str = "xyzzy";
/// What a component proves itself with.
pub(crate) const SECRET: &str = "load";

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

    fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// A target that lets both ends in.
pub(crate) struct Target {
    pub(crate) process: Process,
    /// Where partners connect to.
    pub(crate) outside: SocketAddr,
    /// Where the organisation's server connects to.
    pub(crate) inside: SocketAddr,
    /// Where the organisation's server takes stanzas from instead of being connected to (XEP-0114).
    pub(crate) component: Option<SocketAddr>,
}

impl Target {
    /// `partners`: how many there are; `ends`: where it delivers to the organisation, and to partners.
    pub(crate) fn start(
        subject: &Subject,
        partners: u16,
        certificates: &Certificates,
        ends: [SocketAddr; 2],
    ) -> Self {
        let bare = |duty| relay::start(subject, certificates, ends[0], duty);
        match subject.target {
            TargetKind::Gateway => gateway::start(subject, partners, certificates, ends),
            TargetKind::RelayCopy => bare(Duty::Copy),
            TargetKind::RelayFrameEach => bare(Duty::FrameEach),
            TargetKind::RelayAccept => bare(Duty::Accept),
            TargetKind::Haproxy => haproxy::start(subject, certificates, ends[0]),
            TargetKind::Prosody => prosody::start(subject, certificates, &[]),
            TargetKind::ProsodyPolicy => prosody::start(subject, certificates, &[prosody::POLICY]),
            TargetKind::Ejabberd => ejabberd::start(subject, certificates, &[]),
            TargetKind::EjabberdPolicy => {
                ejabberd::start(subject, certificates, &[ejabberd::POLICY])
            }
        }
    }
}

/// The programs that this target needs and that are not here.
pub(crate) fn missing(target: TargetKind) -> Vec<&'static str> {
    let needed: &[&str] = match target {
        TargetKind::Haproxy => &["haproxy"],
        TargetKind::Prosody | TargetKind::ProsodyPolicy => &["prosody"],
        TargetKind::Ejabberd => &["ejabberdctl", "erl"],
        TargetKind::EjabberdPolicy => &["ejabberdctl", "erl", "erlc"],
        TargetKind::Gateway
        | TargetKind::RelayCopy
        | TargetKind::RelayFrameEach
        | TargetKind::RelayAccept => &[],
    };
    let absent = |name: &&&str| installed(name).is_none();
    needed.iter().filter(absent).copied().collect()
}

/// An address where nobody listens, for those who cannot say which one they were given.
fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// A program in the directory of this one.
pub(crate) fn beside(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    own.parent().unwrap_or(Path::new(".")).join(name)
}
