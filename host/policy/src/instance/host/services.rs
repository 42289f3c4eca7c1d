//! Journal, hearing, log, domains, addresses, files and partner records.

use std::ops::Range;

use portcullis_xmpp::jid::{Domain, Jid};
use time::OffsetDateTime;
use wasmtime::component::Resource;

use super::decisions::lent;
use super::{Host, saturate};
use crate::bindings::portcullis::policy::{
    addresses, domains, files, hearing, journal, log, partners, types,
};
use crate::decision::{Heard, Hears, Sheaf};
use crate::instance::log::Level;
use crate::instance::{DecisionsHandle, Guest, Rehearsal, Scope, convert};
use crate::journal::{Append, CutShort, JournalError};

/// Records that are written at once, in bytes: what the journal makes of them is in memory until then.
const TOGETHER: usize = 64 * 1024;

impl journal::Host for Guest {
    fn append(&mut self, line: String) -> Host<Result<(), journal::JournalError>> {
        if matches!(self.scope, Scope::Starting) {
            let text = "the journal cannot be written in init: do it in started";
            return Ok(Err(journal::JournalError::Unavailable(text.to_owned())));
        }
        if self.rehearsal != Rehearsal::Live {
            return Ok(Ok(()));
        }
        Ok(self.context.journal.append(&line).map_err(journal_error))
    }

    fn append_decisions(
        &mut self,
        _: Resource<DecisionsHandle>,
        first: u32,
        count: u32,
    ) -> Host<Result<(), journal::CutShort>> {
        let first = usize::try_from(first)?;
        let past = first.saturating_add(usize::try_from(count)?);
        let heard = lent(&self.scope)?;
        if past > heard.len() {
            return Err(wasmtime::format_err!(
                "there are no decisions {first} to {past} in this batch"
            ));
        }
        if self.rehearsal != Rehearsal::Live {
            return Ok(Ok(()));
        }
        let journal = &*self.context.journal;
        let appended = match heard {
            Heard::Records(sheaf) => append(journal, sheaf, first..past),
            Heard::Decisions(decisions) => {
                let mut sheaf = Sheaf::default();
                for decision in decisions.get(first..past).unwrap_or_default() {
                    self.scribe.add(decision, &mut sheaf);
                }
                append(journal, &sheaf, 0..sheaf.len())
            }
        };
        Ok(appended.map_err(|cut_short| journal::CutShort {
            appended: saturate(cut_short.appended),
            error: journal_error(cut_short.error),
        }))
    }
}

/// Appends these records of the sheaf, [`TOGETHER`] and one record at a time.
fn append(journal: &dyn Append, sheaf: &Sheaf, places: Range<usize>) -> Result<(), CutShort> {
    let mut waiting = places.filter_map(|at| sheaf.record(at)).peekable();
    let (mut appended, mut records) = (0, Vec::new());
    while waiting.peek().is_some() {
        records.clear();
        let mut bytes = 0;
        while bytes < TOGETHER
            && let Some(record) = waiting.next()
        {
            bytes += record.len();
            records.push(record);
        }
        journal.append_own(&records).map_err(|cut_short| CutShort {
            appended: appended + cut_short.appended,
            ..cut_short
        })?;
        appended += records.len();
    }
    Ok(())
}

impl hearing::Host for Guest {
    fn records_only(&mut self) -> Host<()> {
        match self.scope {
            Scope::Starting => {
                self.hears = Hears::Records;
                Ok(())
            }
            _ => Err(wasmtime::format_err!(
                "what is heard is said in init, and only there"
            )),
        }
    }
}

fn journal_error(error: JournalError) -> journal::JournalError {
    match error {
        JournalError::Malformed(text) => journal::JournalError::Malformed(text),
        JournalError::Full => journal::JournalError::Full,
        JournalError::Unavailable(text) => journal::JournalError::Unavailable(text),
    }
}

impl log::Host for Guest {
    fn write(&mut self, level: log::Level, message: String) -> Host<()> {
        let level = match level {
            log::Level::Trace => Level::Trace,
            log::Level::Debug => Level::Debug,
            log::Level::Info => Level::Info,
            log::Level::Warn => Level::Warn,
            log::Level::Error => Level::Error,
        };
        if level == Level::Error {
            self.words.hear(&message);
        }
        self.context.log.write(level, &message);
        Ok(())
    }
}

impl domains::Host for Guest {
    fn normalize(&mut self, domain: String) -> Host<Result<String, String>> {
        Ok(Domain::parse(&domain)
            .map(|domain| domain.as_str().to_owned())
            .map_err(|error| error.to_string()))
    }

    fn is_own(&mut self, domain: String) -> Host<bool> {
        Ok(self.context.own_domains.contains(domain.as_str()))
    }
}

impl addresses::Host for Guest {
    fn normalize(&mut self, address: String) -> Host<Result<String, String>> {
        Ok(Jid::parse(&address)
            .map(|address| address.to_normal())
            .map_err(|error| error.to_string()))
    }
}

impl files::Host for Guest {
    fn read(&mut self, name: String) -> Host<Result<Vec<u8>, files::FileError>> {
        let files = &self.context.files;
        Ok(files.get(&name).map(<[u8]>::to_vec).ok_or_else(|| {
            let granted: Vec<_> = files.names().collect();
            files::FileError::NotGranted(match granted.as_slice() {
                [] => "[plugin.files] names no file".to_owned(),
                names => format!("[plugin.files] names {}", names.join(", ")),
            })
        }))
    }

    fn names(&mut self) -> Host<Vec<String>> {
        Ok(self.context.files.names().map(str::to_owned).collect())
    }
}

impl partners::Host for Guest {
    fn lookup(&mut self, domain: String) -> Host<Option<types::PartnerType>> {
        // What is no domain has no record.
        let Ok(domain) = Domain::parse(&domain) else {
            return Ok(None);
        };
        let partners = &self.context.partners;
        let record = partners.find(&domain, OffsetDateTime::now_utc());
        Ok(record.map(|record| convert::partner_type(record.kind)))
    }
}
