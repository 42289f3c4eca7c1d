//! Certificates that their authority has taken back: revocation lists (CRLs) from files.
//!
//! In: `[federation].crls`, `[internal].crls` and what `revocation` says of doubt. Out: for each side
//! what path building has to know. What can fail: a file that is missing, or holds no list, or a
//! kind of list that nobody could rely on (indirect, delta). Which authority a list is from is found
//! out by its name; its signature is checked whenever a chain is judged by it.
//!
//! A list that has expired is a warning, whatever else it is: `soft`, what it revokes stays revoked
//! and nothing newer is known; `hard`, what it should cover is refused, and so is what no list covers.

use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::pem::PemObject;
use time::OffsetDateTime;
use webpki::{
    CertRevocationList, ExpirationPolicy, OwnedCertRevocationList, RevocationOptions,
    RevocationOptionsBuilder, UnknownStatusPolicy,
};

use crate::config;

use super::Side;
use super::files::Files;
use super::problem::{Problem, Problems};
use super::settings::Settings;
use super::unproven::printable;

/// The lists of both sides, read at one moment.
#[derive(Debug)]
pub struct Revocations {
    federation: Lists,
    internal: Lists,
    files: Files,
}

/// The lists of one side.
#[derive(Debug, Default)]
pub(super) struct Lists {
    wanted: Vec<PathBuf>,
    doubt: config::Revocation,
    /// The newest first, since path building takes the first that is its authority's.
    lists: Vec<List>,
}

#[derive(Debug)]
struct List {
    file: PathBuf,
    issuer: String,
    this_update: OffsetDateTime,
    next_update: Option<OffsetDateTime>,
    content: CertRevocationList<'static>,
}

impl Revocations {
    pub(super) fn load(settings: &Settings) -> Result<Self, Vec<Problem>> {
        Self::read(
            (&settings.crls, settings.revocation),
            (&settings.internal_crls, settings.internal_revocation),
        )
    }

    fn read(
        federation: (&[PathBuf], config::Revocation),
        internal: (&[PathBuf], config::Revocation),
    ) -> Result<Self, Vec<Problem>> {
        let mut problems = Problems::default();
        let mut files = Files::default();
        let mut side = |(wanted, doubt)| Lists::load(wanted, doubt, &mut files, &mut problems);
        let (federation, internal) = (side(federation), side(internal));
        problems.into_result()?;
        Ok(Self {
            federation,
            internal,
            files,
        })
    }

    /// Reads the same files again.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn again(&self) -> Result<Self, Vec<Problem>> {
        let [federation, internal] =
            [&self.federation, &self.internal].map(|lists| (lists.wanted.as_slice(), lists.doubt));
        Self::read(federation, internal)
    }

    /// The files whose content is no longer what was loaded.
    #[must_use]
    pub fn changed_files(&self) -> Vec<PathBuf> {
        self.files.changed()
    }

    /// All files this was read from, for a watcher.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.paths()
    }

    pub(super) fn of(&self, side: Side) -> &Lists {
        match side {
            Side::Federation => &self.federation,
            Side::Internal => &self.internal,
        }
    }

    /// The lists that have expired, as warnings.
    #[must_use]
    pub fn expired(&self, now: OffsetDateTime) -> Vec<Problem> {
        [&self.federation, &self.internal]
            .into_iter()
            .flat_map(|lists| lists.expired(now))
            .collect()
    }
}

impl Lists {
    fn load(
        wanted: &[PathBuf],
        doubt: config::Revocation,
        files: &mut Files,
        problems: &mut Problems,
    ) -> Self {
        let mut lists = Vec::new();
        for file in wanted {
            let read = files.read(file).and_then(|content| parse(file, &content));
            lists.extend(problems.take(read).unwrap_or_default());
        }
        lists.sort_by_key(|list| std::cmp::Reverse(list.this_update));
        Self {
            wanted: wanted.to_vec(),
            doubt,
            lists,
        }
    }

    /// Runs path building with what these lists say.
    pub(super) fn apply<R>(&self, build: impl FnOnce(Option<RevocationOptions<'_>>) -> R) -> R {
        let lists: Vec<_> = self.lists.iter().map(|list| &list.content).collect();
        let (unknown, expired) = match self.doubt {
            config::Revocation::Soft => (UnknownStatusPolicy::Allow, ExpirationPolicy::Ignore),
            config::Revocation::Hard => (UnknownStatusPolicy::Deny, ExpirationPolicy::Enforce),
        };
        // It fails without a list only; the configuration asks for one where doubt refuses.
        let options = RevocationOptionsBuilder::new(&lists).ok().map(|options| {
            options
                .with_status_policy(unknown)
                .with_expiration_policy(expired)
                .build()
        });
        build(options)
    }

    /// When the next of the lists expires, if that changes any judgement.
    pub(super) fn next_expiry(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        match self.doubt {
            config::Revocation::Soft => None,
            config::Revocation::Hard => self
                .lists
                .iter()
                .filter_map(|list| list.next_update)
                .filter(|next_update| *next_update > now)
                .min(),
        }
    }

    fn expired(&self, now: OffsetDateTime) -> impl Iterator<Item = Problem> {
        let meaning = match self.doubt {
            config::Revocation::Soft => {
                "what it revokes stays revoked, and nothing newer is known: fetch it again"
            }
            config::Revocation::Hard => "what it should cover is refused: fetch it again",
        };
        self.lists.iter().filter_map(move |list| {
            let next_update = list.next_update.filter(|next_update| *next_update <= now)?;
            let text = format!(
                "the revocation list of {} expired on {}",
                list.issuer,
                next_update.date()
            );
            Some(Problem::warning(&list.file, text).with_help(meaning))
        })
    }
}

/// The lists of one file: several in PEM, one in DER.
fn parse(file: &Path, content: &[u8]) -> Result<Vec<List>, Problem> {
    if content.first() == Some(&0x30) {
        return list(file, content).map(|list| vec![list]);
    }
    let found = CertificateRevocationListDer::pem_slice_iter(content)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Problem::error(file, format!("is no valid PEM file: {error}")))?;
    if found.is_empty() {
        return Err(Problem::error(file, "holds no revocation list")
            .with_help("expected DER, or PEM: -----BEGIN X509 CRL-----"));
    }
    found.iter().map(|der| list(file, der)).collect()
}

fn list(file: &Path, der: &[u8]) -> Result<List, Problem> {
    let unreadable = |error: &dyn std::fmt::Display| {
        let text = format!("holds a revocation list that cannot be used: {error}");
        Problem::error(file, text)
    };
    let content = OwnedCertRevocationList::from_der(der).map_err(|error| unreadable(&error))?;
    let (_, parsed) = x509_parser::parse_x509_crl(der).map_err(|error| unreadable(&error))?;
    Ok(List {
        file: file.to_owned(),
        issuer: printable(&parsed.issuer().to_string()),
        this_update: parsed.last_update().to_datetime(),
        next_update: parsed.next_update().map(|time| time.to_datetime()),
        content: content.into(),
    })
}
