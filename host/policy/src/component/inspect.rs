//! What a component file is, whether or not this gateway would take it as a plugin.
//!
//! In: a file. Out: [`Inspection`]. Nothing of it is run.

use std::path::Path;

use wasmtime::component::types::ComponentItem;

use super::{ComponentError, Digest, MAX_BYTES, Prepared, read};
use crate::engine::Engine;

/// What a component says of itself.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Inspection {
    /// Size of the file in bytes.
    pub bytes: usize,
    /// SHA-256 of the file, lower case hex.
    pub digest: String,
    /// The interfaces that it exports.
    pub exports: Vec<String>,
    /// The interfaces that it imports.
    pub imports: Vec<String>,
    /// Why this gateway would not take it as a plugin, if so.
    pub refused: Option<String>,
}

/// The file cannot be read, or is no component. The operator's to mend; the text says how.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NoComponent(String);

impl Engine {
    /// Reads, compiles and describes a component file; blocks meanwhile.
    ///
    /// # Errors
    /// [`NoComponent`]
    pub fn inspect(&self, file: &Path) -> Result<Inspection, NoComponent> {
        let no_component = |error: ComponentError| NoComponent(error.to_string());
        let bytes = read(file, MAX_BYTES).map_err(no_component)?;
        let digest = Digest::of(&bytes);
        let component = self.compile(&bytes, digest).map_err(no_component)?;
        let world = component.component_type();
        let engine = self.linker().engine();
        let interface = |item: &ComponentItem| matches!(item, ComponentItem::ComponentInstance(_));
        let exports = world.exports(engine);
        let imports = world.imports(engine);
        Ok(Inspection {
            bytes: bytes.len(),
            digest: digest.to_string(),
            exports: exports
                .filter(|(_, item)| interface(&item.ty))
                .map(|(name, _)| name.to_owned())
                .collect(),
            imports: imports.map(|(name, _)| name.to_owned()).collect(),
            refused: Prepared::link(self.linker(), component.clone(), digest)
                .err()
                .map(|error| error.to_string()),
        })
    }
}
