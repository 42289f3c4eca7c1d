//! The imports: what a guest may ask the host.
//!
//! In: calls of a guest, hostile. Out: answers; recoverable errors are values of the WIT, since an
//! `Err` of wasmtime is a trap that costs the guest its store. A trap is given only for what no honest
//! plugin does: a handle that it was not lent, or `state` under a declared memo.

use std::sync::Arc;
use std::time::Duration;

use portcullis_xmpp::jid::{Domain, Jid};
use portcullis_xmpp::stanza::{EditError, Stanza, Subtype};
use sha2::{Digest, Sha256};
use wasmtime::component::{HasSelf, Linker, Resource};

use super::log::Level;
use super::{DecisionsHandle, Guest, PeerHandle, Rehearsal, Scope, StanzaHandle, convert};
use crate::bindings::portcullis::policy::{domains, emit, journal, log, partners, state, types};
use crate::decision::Decision;
use crate::journal::{Append, JournalError};
use crate::spec::Emission;
use crate::state::{State, StateError};

type Host<T> = wasmtime::Result<T>;

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    types::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
    state::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
    journal::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
    log::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
    domains::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
    partners::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
    emit::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)
}

impl Guest {
    fn stanza(&self) -> Host<&Stanza> {
        match &self.scope {
            Scope::Judging { stanza, .. } => Ok(stanza),
            _ => Err(wasmtime::format_err!("no stanza was lent to this call")),
        }
    }

    fn edit<T>(
        &mut self,
        edit: impl FnOnce(&mut Stanza, usize) -> Result<T, EditError>,
    ) -> Host<Result<T, types::EditError>> {
        let limit = self.context.stanza_bytes;
        let Scope::Judging {
            stanza,
            edits,
            edited,
            ..
        } = &mut self.scope
        else {
            return Err(wasmtime::format_err!("no stanza was lent to this call"));
        };
        let Some(left) = edits.checked_sub(1) else {
            return Ok(Err(types::EditError::TooLarge));
        };
        *edits = left;
        Ok(match edit(stanza, limit) {
            Ok(value) => {
                *edited = true;
                Ok(value)
            }
            Err(error) => Err(convert::edit_error(error)),
        })
    }

    fn decisions(&self) -> Host<&[Arc<Decision>]> {
        match &self.scope {
            Scope::Observing(batch) => Ok(batch),
            _ => Err(wasmtime::format_err!("no decision was lent to this call")),
        }
    }

    fn decision(&self, index: u32) -> Host<&Decision> {
        let place = usize::try_from(index)?;
        let decision = self.decisions()?.get(place);
        decision
            .map(|decision| &**decision)
            .ok_or_else(|| wasmtime::format_err!("there is no decision {index} in this batch"))
    }

    fn peer(&self, handle: &Resource<PeerHandle>) -> Host<&portcullis_xmpp::stream::Peer> {
        Ok(&self.table.get(handle)?.0)
    }

    /// `state` for reading; none while rehearsing.
    fn readable(&self) -> Host<Option<&crate::state::Namespace>> {
        if self.memo {
            return Err(wasmtime::format_err!(
                "it reads `state`, though its subscription declares memo-ms"
            ));
        }
        Ok((self.rehearsal == Rehearsal::Live).then_some(&self.context.state))
    }

    /// `state` for writing; none while rehearsing. A generation that may never live writes nothing.
    fn writable(&self) -> Host<Result<Option<&crate::state::Namespace>, state::StateError>> {
        if matches!(self.scope, Scope::Starting) {
            let text = "state cannot be written in init: do it in started";
            return Ok(Err(state::StateError::Unavailable(text.to_owned())));
        }
        self.readable().map(Ok)
    }
}

impl types::Host for Guest {}

impl types::HostStanza for Guest {
    fn xml(&mut self, _: Resource<StanzaHandle>) -> Host<String> {
        Ok(self.stanza()?.to_xml())
    }

    fn size(&mut self, _: Resource<StanzaHandle>) -> Host<u32> {
        Ok(u32::try_from(self.stanza()?.wire_size()).unwrap_or(u32::MAX))
    }

    fn body(&mut self, _: Resource<StanzaHandle>) -> Host<Option<String>> {
        Ok(self.stanza()?.body())
    }

    fn attribute(&mut self, _: Resource<StanzaHandle>, name: String) -> Host<Option<String>> {
        Ok(self.stanza()?.attribute(&name).map(str::to_owned))
    }

    fn count(&mut self, _: Resource<StanzaHandle>, name: String, namespace: String) -> Host<u32> {
        Ok(u32::try_from(self.stanza()?.count(&name, &namespace)).unwrap_or(u32::MAX))
    }

    fn child_text(
        &mut self,
        _: Resource<StanzaHandle>,
        name: String,
        namespace: String,
    ) -> Host<Option<String>> {
        Ok(self.stanza()?.child_text(&name, &namespace))
    }

    fn child_attribute(
        &mut self,
        _: Resource<StanzaHandle>,
        name: String,
        namespace: String,
        attribute: String,
    ) -> Host<Option<String>> {
        Ok(self
            .stanza()?
            .child_attribute(&name, &namespace, &attribute)
            .map(|value| value.to_owned()))
    }

    fn child_xml(
        &mut self,
        _: Resource<StanzaHandle>,
        name: String,
        namespace: String,
    ) -> Host<Option<String>> {
        Ok(self.stanza()?.child_xml(&name, &namespace))
    }

    fn contains(
        &mut self,
        _: Resource<StanzaHandle>,
        name: String,
        namespace: String,
    ) -> Host<bool> {
        Ok(self.stanza()?.contains(&name, &namespace))
    }

    fn remove(
        &mut self,
        _: Resource<StanzaHandle>,
        name: String,
        namespace: String,
    ) -> Host<Result<u32, types::EditError>> {
        self.edit(|stanza, _| stanza.remove(&name, &namespace).map(saturate))
    }

    fn retain(
        &mut self,
        _: Resource<StanzaHandle>,
        keep: Vec<(String, String)>,
    ) -> Host<Result<u32, types::EditError>> {
        self.edit(|stanza, _| stanza.retain(&keep).map(saturate))
    }

    fn set_text(
        &mut self,
        _: Resource<StanzaHandle>,
        name: String,
        namespace: String,
        text: String,
    ) -> Host<Result<(), types::EditError>> {
        self.edit(|stanza, limit| stanza.set_text(&name, &namespace, &text, limit))
    }

    fn set_child_attribute(
        &mut self,
        _: Resource<StanzaHandle>,
        name: String,
        namespace: String,
        attribute: String,
        value: String,
    ) -> Host<Result<(), types::EditError>> {
        self.edit(|stanza, limit| {
            stanza.set_child_attribute(&name, &namespace, &attribute, &value, limit)
        })
    }

    fn insert(
        &mut self,
        _: Resource<StanzaHandle>,
        xml: String,
    ) -> Host<Result<(), types::EditError>> {
        self.edit(|stanza, limit| stanza.insert(&xml, limit))
    }

    fn set_subtype(
        &mut self,
        _: Resource<StanzaHandle>,
        to: types::Subtype,
    ) -> Host<Result<(), types::EditError>> {
        self.edit(|stanza, _| stanza.set_subtype(convert::subtype_of(to)))
    }

    fn peer(&mut self, _: Resource<StanzaHandle>) -> Host<Resource<PeerHandle>> {
        let Scope::Judging { peer, .. } = &self.scope else {
            return Err(wasmtime::format_err!("no stanza was lent to this call"));
        };
        Ok(self.table.push(PeerHandle(Arc::clone(peer)))?)
    }

    fn drop(&mut self, _: Resource<StanzaHandle>) -> Host<()> {
        // Only ever lent: there is nothing to give back.
        Ok(())
    }
}

impl types::HostPeer for Guest {
    fn domain(&mut self, peer: Resource<PeerHandle>) -> Host<String> {
        Ok(Guest::peer(self, &peer)?.remote.as_str().to_owned())
    }

    fn local_domain(&mut self, peer: Resource<PeerHandle>) -> Host<String> {
        Ok(Guest::peer(self, &peer)?.local.as_str().to_owned())
    }

    fn direction(&mut self, peer: Resource<PeerHandle>) -> Host<types::Direction> {
        Ok(convert::direction(Guest::peer(self, &peer)?.direction))
    }

    fn address(&mut self, peer: Resource<PeerHandle>) -> Host<Option<String>> {
        Ok(Guest::peer(self, &peer)?
            .address
            .map(|address| address.to_string()))
    }

    fn stream_id(&mut self, peer: Resource<PeerHandle>) -> Host<String> {
        Ok(Guest::peer(self, &peer)?.stream_id.to_string())
    }

    fn method(&mut self, peer: Resource<PeerHandle>) -> Host<Option<String>> {
        Ok(Guest::peer(self, &peer)?
            .method
            .map(|method| method.as_str().to_owned()))
    }

    fn tls_version(&mut self, peer: Resource<PeerHandle>) -> Host<Option<String>> {
        Ok(Guest::peer(self, &peer)?
            .tls
            .as_ref()
            .map(|tls| tls.version.to_owned()))
    }

    fn tls_cipher(&mut self, peer: Resource<PeerHandle>) -> Host<Option<String>> {
        Ok(Guest::peer(self, &peer)?
            .tls
            .as_ref()
            .map(|tls| tls.cipher.to_owned()))
    }

    fn certificate_sha256(&mut self, peer: Resource<PeerHandle>) -> Host<Option<String>> {
        let certificate = Guest::peer(self, &peer)?
            .tls
            .as_ref()
            .and_then(|tls| tls.certificate.as_deref());
        Ok(certificate.map(|der| format!("{:x}", Sha256::digest(der))))
    }

    fn certificate(&mut self, peer: Resource<PeerHandle>) -> Host<Option<Vec<u8>>> {
        let certificate = Guest::peer(self, &peer)?
            .tls
            .as_ref()
            .and_then(|tls| tls.certificate.as_deref());
        Ok(certificate.map(<[u8]>::to_vec))
    }

    fn drop(&mut self, peer: Resource<PeerHandle>) -> Host<()> {
        self.table.delete(peer)?;
        Ok(())
    }
}

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

impl state::Host for Guest {
    fn get(&mut self, key: String) -> Host<Result<Option<Vec<u8>>, state::StateError>> {
        let Some(state) = self.readable()? else {
            return Ok(Ok(None));
        };
        Ok(state.get(&key).map_err(state_error))
    }

    fn set(
        &mut self,
        key: String,
        value: Vec<u8>,
        ttl_ms: Option<u64>,
    ) -> Host<Result<(), state::StateError>> {
        Ok(match self.writable()? {
            Err(error) => Err(error),
            Ok(None) => Ok(()),
            Ok(Some(state)) => state.set(&key, &value, ttl(ttl_ms)).map_err(state_error),
        })
    }

    fn set_if_absent(
        &mut self,
        key: String,
        value: Vec<u8>,
        ttl_ms: Option<u64>,
    ) -> Host<Result<bool, state::StateError>> {
        Ok(match self.writable()? {
            Err(error) => Err(error),
            Ok(None) => Ok(true),
            Ok(Some(state)) => state
                .set_if_absent(&key, &value, ttl(ttl_ms))
                .map_err(state_error),
        })
    }

    fn increment(
        &mut self,
        key: String,
        by: i64,
        ttl_ms: Option<u64>,
    ) -> Host<Result<i64, state::StateError>> {
        Ok(match self.writable()? {
            Err(error) => Err(error),
            Ok(None) => Ok(by),
            Ok(Some(state)) => state.increment(&key, by, ttl(ttl_ms)).map_err(state_error),
        })
    }

    fn delete(&mut self, key: String) -> Host<Result<bool, state::StateError>> {
        Ok(match self.writable()? {
            Err(error) => Err(error),
            Ok(None) => Ok(false),
            Ok(Some(state)) => state.delete(&key).map_err(state_error),
        })
    }

    fn keys(
        &mut self,
        prefix: String,
        after: Option<String>,
        limit: u32,
    ) -> Host<Result<Vec<String>, state::StateError>> {
        let Some(state) = self.readable()? else {
            return Ok(Ok(Vec::new()));
        };
        let limit = usize::try_from(limit.clamp(1, 1000)).unwrap_or(1000);
        Ok(state
            .keys(&prefix, after.as_deref(), limit)
            .map_err(state_error))
    }
}

impl journal::Host for Guest {
    fn append(&mut self, line: String) -> Host<Result<(), journal::JournalError>> {
        if matches!(self.scope, Scope::Starting) {
            let text = "the journal cannot be written in init: do it in started";
            return Ok(Err(journal::JournalError::Unavailable(text.to_owned())));
        }
        if self.rehearsal == Rehearsal::Probe {
            return Ok(Ok(()));
        }
        Ok(self
            .context
            .journal
            .append(&line)
            .map_err(|error| match error {
                JournalError::Malformed(text) => journal::JournalError::Malformed(text),
                JournalError::Full => journal::JournalError::Full,
                JournalError::Unavailable(text) => journal::JournalError::Unavailable(text),
            }))
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

impl partners::Host for Guest {
    fn lookup(&mut self, domain: String) -> Host<Option<types::PartnerType>> {
        Ok(self
            .context
            .partners
            .get(domain.as_str())
            .copied()
            .map(convert::partner_type))
    }
}

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
        if self.rehearsal == Rehearsal::Probe {
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

fn ttl(milliseconds: Option<u64>) -> Option<Duration> {
    milliseconds.map(Duration::from_millis)
}

fn saturate(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn state_error(error: StateError) -> state::StateError {
    match error {
        StateError::KeyTooLarge(_) | StateError::ValueTooLarge(_) | StateError::Full => {
            state::StateError::TooLarge
        }
        other => state::StateError::Unavailable(other.to_string()),
    }
}
