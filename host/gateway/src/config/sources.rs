//! `partners_dir`: a directory of files with partner records.
//!
//! In: the directory. Out: the text of each `*.toml` in it, in the order of the file names; files
//! that begin with a dot are an editor's, not the operator's. A file that cannot be read fails the
//! whole: records that are missing must not go unnoticed.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use portcullis_xmpp::jid::Domain;
use toml::de::DeTable;

use super::{
    claims::Claims,
    model::Limits,
    partner,
    problem::{Finding, Problem, Sink, Source},
    record::Partner,
    section::Section,
    shape,
};

/// What could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}: {error}", path.display())]
pub(super) struct Unreadable {
    path: PathBuf,
    error: io::Error,
}

/// Reads every file of partners in `dir`.
pub(super) fn read(dir: &Path) -> Result<Vec<Source>, Unreadable> {
    let fail = |path: &Path, error| Unreadable {
        path: path.to_owned(),
        error,
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(|error| fail(dir, error))? {
        let path = entry.map_err(|error| fail(dir, error))?.path();
        let hidden =
            (path.file_name()).is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden
            && path
                .extension()
                .is_some_and(|extension| extension == "toml")
        {
            files.push(path);
        }
    }
    files.sort();
    let read = |file: PathBuf| match fs::read_to_string(&file) {
        Ok(text) => Ok(Source { file, text }),
        Err(error) => Err(fail(&file, error)),
    };
    files.into_iter().map(read).collect()
}

/// The records of one file, or nothing if one of them is no record; and every problem of it.
pub(super) fn partners(
    source: &Source,
    base: &Path,
    limits: &Limits,
    served: &Claims<Domain>,
    partners: &mut Claims<Domain>,
) -> (Option<Vec<Partner>>, Vec<Problem>) {
    let sink = Sink::of(source);
    let (document, syntax) = DeTable::parse_recoverable(&source.text);
    for error in &syntax {
        sink.report(Finding::syntax(error));
    }
    let records = Section::open(&shape::PARTNERS, document.get_ref(), 0..0, &sink)
        .sections("partner", &shape::PARTNER)
        .iter()
        .map(|section| partner::read(section, base, limits, served, partners))
        .collect();
    (records, sink.into_problems())
}
