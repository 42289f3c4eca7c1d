//! The batch that an observer hears.

use std::sync::Arc;

use portcullis_xmpp::stanza::Stanza;
use wasmtime::component::Resource;

use super::{Host, saturate};
use crate::bindings::portcullis::policy::types;
use crate::decision::Decision;
use crate::instance::{DecisionsHandle, Guest, Scope, convert};

impl types::HostDecisions for Guest {
    fn count(&mut self, _: Resource<DecisionsHandle>) -> Host<u32> {
        Ok(saturate(self.decisions()?.len()))
    }

    fn json(&mut self, _: Resource<DecisionsHandle>, index: u32) -> Host<String> {
        Ok(self.decision(index)?.json())
    }

    fn partner(&mut self, _: Resource<DecisionsHandle>, index: u32) -> Host<String> {
        Ok(self.decision(index)?.peer.partner().as_str().to_owned())
    }

    fn direction(&mut self, _: Resource<DecisionsHandle>, index: u32) -> Host<types::Direction> {
        Ok(convert::direction(self.decision(index)?.peer.direction))
    }

    fn body(&mut self, _: Resource<DecisionsHandle>, index: u32) -> Host<Option<String>> {
        Ok(self.decision(index)?.stanza.as_ref().and_then(Stanza::body))
    }

    fn xml(&mut self, _: Resource<DecisionsHandle>, index: u32) -> Host<Option<String>> {
        Ok(self.decision(index)?.stanza.as_ref().map(Stanza::to_xml))
    }

    fn drop(&mut self, _: Resource<DecisionsHandle>) -> Host<()> {
        // Only ever lent: there is nothing to give back.
        Ok(())
    }
}

impl Guest {
    fn decisions(&self) -> Host<&[Arc<Decision>]> {
        lent(&self.scope)
    }

    fn decision(&self, index: u32) -> Host<&Decision> {
        let place = usize::try_from(index)?;
        let decision = self.decisions()?.get(place);
        decision
            .map(|decision| &**decision)
            .ok_or_else(|| wasmtime::format_err!("there is no decision {index} in this batch"))
    }
}

/// The decisions that the call may see.
pub(super) fn lent(scope: &Scope) -> Host<&[Arc<Decision>]> {
    match scope {
        Scope::Observing(batch) => Ok(batch),
        _ => Err(wasmtime::format_err!("no decision was lent to this call")),
    }
}
