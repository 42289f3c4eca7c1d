//! The stanza under judgement: reads, and edits within their count and size.

use std::sync::Arc;

use portcullis_xmpp::stanza::{EditError, Stanza};
use wasmtime::component::Resource;

use super::{Host, saturate};
use crate::bindings::portcullis::policy::types;
use crate::instance::{Guest, PeerHandle, Scope, StanzaHandle, convert};

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

    fn texts(
        &mut self,
        _: Resource<StanzaHandle>,
        path: Vec<(String, String)>,
    ) -> Host<Vec<(String, String)>> {
        let texts = self.stanza()?.texts(&path).into_iter();
        Ok(texts.map(|(lang, text)| (lang.to_owned(), text)).collect())
    }

    fn attributes(
        &mut self,
        _: Resource<StanzaHandle>,
        path: Vec<(String, String)>,
        attribute: String,
    ) -> Host<Vec<String>> {
        let values = self.stanza()?.attributes(&path, &attribute).into_iter();
        Ok(values.map(str::to_owned).collect())
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

impl Guest {
    fn stanza(&self) -> Host<&Stanza> {
        self.context.unknowns.content();
        match &self.scope {
            Scope::Judging { stanza, .. } => Ok(stanza),
            _ => Err(wasmtime::format_err!("no stanza was lent to this call")),
        }
    }

    fn edit<T>(
        &mut self,
        edit: impl FnOnce(&mut Stanza, usize) -> Result<T, EditError>,
    ) -> Host<Result<T, types::EditError>> {
        self.context.unknowns.content();
        let limit = self.context.stanza_bytes;
        let figures = &self.context.figures;
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
            figures.edits_refused.add(1);
            return Ok(Err(types::EditError::TooLarge));
        };
        *edits = left;
        Ok(match edit(stanza, limit) {
            Ok(value) => {
                *edited = true;
                figures.edits.add(1);
                Ok(value)
            }
            Err(error) => {
                figures.edits_refused.add(1);
                Err(convert::edit_error(error))
            }
        })
    }
}
