//! The batch that an observer hears.

use portcullis_xmpp::stanza::Stanza;
use wasmtime::component::Resource;

use super::{Host, saturate};
use crate::bindings::portcullis::policy::types;
use crate::decision::Heard;
use crate::instance::{DecisionsHandle, Guest, Scope, convert};

impl types::HostDecisions for Guest {
    fn count(&mut self, _: Resource<DecisionsHandle>) -> Host<u32> {
        Ok(saturate(lent(&self.scope)?.len()))
    }

    fn json(&mut self, _: Resource<DecisionsHandle>, index: u32) -> Host<String> {
        self.of_heard(index, |heard, at| heard.record(at))
    }

    fn partner(&mut self, _: Resource<DecisionsHandle>, index: u32) -> Host<String> {
        self.of_heard(index, |heard, at| {
            Some(heard.peer(at)?.partner().as_str().to_owned())
        })
    }

    fn direction(&mut self, _: Resource<DecisionsHandle>, index: u32) -> Host<types::Direction> {
        self.of_heard(index, |heard, at| {
            Some(convert::direction(heard.peer(at)?.direction))
        })
    }

    fn body(&mut self, _: Resource<DecisionsHandle>, index: u32) -> Host<Option<String>> {
        self.of_heard(index, |heard, at| {
            Some(heard.stanza(at)?.and_then(Stanza::body))
        })
    }

    fn xml(&mut self, _: Resource<DecisionsHandle>, index: u32) -> Host<Option<String>> {
        self.of_heard(index, |heard, at| {
            Some(heard.stanza(at)?.map(Stanza::to_xml))
        })
    }

    fn drop(&mut self, _: Resource<DecisionsHandle>) -> Host<()> {
        // Only ever lent: there is nothing to give back.
        Ok(())
    }
}

impl Guest {
    /// Looks at one of the batch.
    fn of_heard<T>(&self, index: u32, look: impl FnOnce(&Heard, usize) -> Option<T>) -> Host<T> {
        look(lent(&self.scope)?, usize::try_from(index)?)
            .ok_or_else(|| wasmtime::format_err!("there is no decision {index} in this batch"))
    }
}

/// The batch that the call may see.
pub(super) fn lent(scope: &Scope) -> Host<&Heard> {
    match scope {
        Scope::Observing(heard) => Ok(heard),
        _ => Err(wasmtime::format_err!("no decision was lent to this call")),
    }
}
