//! `portcullis ca init`: the two authorities of an organisation and what they sign first.
//!
//! In: a directory, the organisation's domains, and which internal server has which of them. Out:
//! files, and a list of them that says what each is for. Keys are readable for their owner only,
//! nothing that exists is ever overwritten: what is there is kept and used, what is missing is made.

mod authority;

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use portcullis_xmpp::jid::Domain;

pub use authority::{Authority, Pair};

const SECRET: u32 = 0o600;
const PUBLIC: u32 = 0o644;
const DIRECTORY: u32 = 0o700;

const KEY: &str = "its key";
const KEY_OF_AUTHORITY: &str = "its key: on this machine only, with a copy in a safe place";
const TRUST: &str = "both authorities; to every internal server, as what it trusts for \
    server-to-server (Prosody: ssl.cafile, ejabberd: s2s_cafile)";

/// Why `ca init` could not finish. What was written until then stays; running it again goes on.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// The operator's to mend: a path, a permission, a full disk.
    #[error("{}: {error}", file.display())]
    File {
        /// Which file or directory.
        file: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A half of a pair is there without the other half: the operator decides which one is right.
    #[error("{} is there, but {} is not: put it back, or move the other one away", there.display(), missing.display())]
    HalfAPair {
        /// The half that exists.
        there: PathBuf,
        /// The half that does not.
        missing: PathBuf,
    },
    /// An existing file is not what its name says.
    #[error("{}: {reason}", file.display())]
    Unusable {
        /// Which file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No domain was given: name constraints need at least one.
    #[error("no domain was given: the mint authority has to know which names it may not sign")]
    NoDomain,
    /// The gateway's own fault, or the system has no random numbers.
    #[error("a certificate could not be made: {0}")]
    Making(String),
}

/// What [`init`] is to make.
#[derive(Clone, Debug)]
pub struct Plan {
    /// All domains of the organisation, `[gateway].domains`.
    pub domains: Vec<Domain>,
    /// The domains of each internal server; its files are named after the first.
    pub servers: Vec<Vec<Domain>>,
}

/// One file that [`init`] has seen to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Where it is.
    pub file: PathBuf,
    /// What it is for and where it goes, in words for an operator.
    pub purpose: String,
    /// Whether it was made now, or was there and stayed as it was.
    pub made: bool,
}

/// Makes both authorities, the gateway's certificate for the inside, and one certificate for each
/// internal server, in `dir`.
///
/// # Errors
/// See [`CaError`]; everything that exists stays as it is in any case.
pub fn init(dir: &Path, plan: &Plan) -> Result<Vec<Outcome>, CaError> {
    let Some(first) = plan.domains.first() else {
        return Err(CaError::NoDomain);
    };
    DirBuilder::new()
        .recursive(true)
        .mode(DIRECTORY)
        .create(dir)
        .map_err(|error| CaError::File {
            file: dir.to_owned(),
            error,
        })?;
    let mut done = Workbench {
        dir,
        outcomes: Vec::new(),
    };

    let internal = done.authority(
        "internal-ca",
        || Authority::for_inside(&plan.domains),
        "signs the certificates of the inside: [internal].client_ca",
    )?;
    let mint = done.authority(
        "mint-ca",
        || Authority::for_mint(&plan.domains),
        "signs certificates in partners' names, never in yours: [internal].mint",
    )?;
    let trust = dir.join("internal-servers-trust.pem");
    if trust.exists() {
        done.keep(trust, TRUST);
    } else {
        let both = format!("{}{}", mint.certificate(), internal.certificate());
        done.write(trust, &both, PUBLIC, TRUST)?;
    }
    let gateway = Domain::parse(&format!("gateway.{first}"))
        .map_err(|error| CaError::Making(format!("gateway.{first}: {error}")))?;
    done.pair(
        "gateway",
        &internal,
        &[gateway],
        "the gateway's own, for the inside: [internal].certificate and .key",
    )?;
    for domains in &plan.servers {
        if let Some(name) = domains.first() {
            let purpose =
                format!("to the internal server of {name}, as its server-to-server certificate");
            done.pair(name.as_str(), &internal, domains, &purpose)?;
        }
    }
    Ok(done.outcomes)
}

/// The directory being filled.
struct Workbench<'a> {
    dir: &'a Path,
    outcomes: Vec<Outcome>,
}

impl Workbench<'_> {
    fn authority(
        &mut self,
        name: &str,
        make: impl FnOnce() -> Result<Authority, CaError>,
        purpose: &str,
    ) -> Result<Authority, CaError> {
        let (certificate, key) = self.paths(name);
        if both_exist(&certificate, &key)? {
            let found = Authority::of_files(read(&certificate)?, read(&key)?);
            self.keep(key, KEY_OF_AUTHORITY);
            self.keep(certificate.clone(), purpose);
            return found.map_err(|reason| CaError::Unusable {
                file: certificate,
                reason,
            });
        }
        let authority = make()?;
        self.write(key, authority.key(), SECRET, KEY_OF_AUTHORITY)?;
        self.write(certificate, authority.certificate(), PUBLIC, purpose)?;
        Ok(authority)
    }

    fn pair(
        &mut self,
        name: &str,
        authority: &Authority,
        names: &[Domain],
        purpose: &str,
    ) -> Result<(), CaError> {
        let (certificate, key) = self.paths(name);
        if both_exist(&certificate, &key)? {
            self.keep(key, KEY);
            self.keep(certificate, purpose);
            return Ok(());
        }
        let pair = authority.issue(names)?;
        self.write(key, &pair.key, SECRET, KEY)?;
        self.write(certificate, &pair.certificate, PUBLIC, purpose)
    }

    fn keep(&mut self, file: PathBuf, purpose: &str) {
        self.outcomes.push(Outcome {
            file,
            purpose: purpose.to_owned(),
            made: false,
        });
    }

    fn write(
        &mut self,
        file: PathBuf,
        content: &str,
        mode: u32,
        purpose: &str,
    ) -> Result<(), CaError> {
        write_new(&file, content, mode).map_err(|error| CaError::File {
            file: file.clone(),
            error,
        })?;
        self.outcomes.push(Outcome {
            file,
            purpose: purpose.to_owned(),
            made: true,
        });
        Ok(())
    }

    fn paths(&self, name: &str) -> (PathBuf, PathBuf) {
        (
            self.dir.join(format!("{name}.pem")),
            self.dir.join(format!("{name}.key")),
        )
    }
}

fn both_exist(one: &Path, other: &Path) -> Result<bool, CaError> {
    let half = |there: &Path, missing: &Path| {
        Err(CaError::HalfAPair {
            there: there.to_owned(),
            missing: missing.to_owned(),
        })
    };
    match (one.exists(), other.exists()) {
        (true, false) => half(one, other),
        (false, true) => half(other, one),
        (both, _) => Ok(both),
    }
}

fn read(file: &Path) -> Result<String, CaError> {
    fs::read_to_string(file).map_err(|error| CaError::File {
        file: file.to_owned(),
        error,
    })
}

/// Never opens what exists, so a race or a planted link cannot make us overwrite anything.
fn write_new(file: &Path, content: &str, mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(file)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests;
