//! The presence that a plugin causes.

use portcullis_xmpp::jid::Jid;
use portcullis_xmpp::stanza::Subtype;

use super::Host;
use crate::bindings::portcullis::policy::emit;
use crate::instance::{Guest, Rehearsal, Scope};
use crate::spec::Emission;

impl emit::Host for Guest {
    fn unavailable(&mut self, from: String, to: String) -> Host<Result<(), String>> {
        Ok(self.emit(Subtype::Unavailable, &from, &to))
    }

    fn unsubscribed(&mut self, from: String, to: String) -> Host<Result<(), String>> {
        Ok(self.emit(Subtype::Unsubscribed, bare(&from), bare(&to)))
    }
}

impl Guest {
    fn emit(&self, subtype: Subtype, from: &str, to: &str) -> Result<(), String> {
        if matches!(self.scope, Scope::Starting) {
            return Err("nothing can be emitted in init: do it in started".to_owned());
        }
        let address = |text: &str| {
            Jid::parse(text).map_err(|error| format!("`{text}` is no address: {error}"))
        };
        let (from, to) = (address(from)?, address(to)?);
        let own = &self.context.own_domains;
        if own.contains(from.domain()) == own.contains(to.domain()) {
            return Err(format!(
                "exactly one of `{}` and `{}` must be the organisation's",
                from.as_str(),
                to.as_str()
            ));
        }
        if self.rehearsal != Rehearsal::Live {
            return Ok(());
        }
        let emission = Emission { subtype, from, to };
        self.context
            .emit
            .try_send(emission)
            .map_err(|_| "too many stanzas wait to be sent".to_owned())
    }
}

fn bare(address: &str) -> &str {
    address.split_once('/').map_or(address, |(bare, _)| bare)
}
